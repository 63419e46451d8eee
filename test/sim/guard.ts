import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

type Anything = (...given: never[]) => unknown;

/** Who reads real time or chance while a run lasts. Only calls from the product's own code count. */
export class Guard {
  readonly escapes: Set<string> = new Set();
  readonly #restore: (() => void)[] = [];

  constructor() {
    this.#watch(globalThis, ['setTimeout', 'setInterval', 'setImmediate']);
    this.#watch(Date, ['now']);
    this.#watch(performance, ['now']);
    this.#watch(Math, ['random']);
    this.#watch(AbortSignal, ['timeout']);
    this.#watch(crypto, ['randomBytes', 'randomInt', 'randomUUID', 'randomFillSync']);
    syncBuiltinESMExports();
  }

  end(): void {
    for (const restore of this.#restore) restore();
    syncBuiltinESMExports();
  }

  #watch(on: object, names: readonly string[]): void {
    const target = on as Record<string, Anything>;
    for (const name of names) {
      const real = target[name]!;
      const { escapes } = this;
      target[name] = function watched(this: unknown, ...given: never[]): unknown {
        const from = new Error(name).stack?.split('\n')[2] ?? '';
        if (/[/\\]src[/\\](?!.*node_modules)/.test(from)) escapes.add(`${name}: ${from.trim()}`);
        return Reflect.apply(real, this, given);
      };
      this.#restore.push(() => {
        target[name] = real;
      });
    }
  }
}
