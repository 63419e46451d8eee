import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';

type Anything = (...given: never[]) => unknown;

/**
 * What must not happen while a run lasts: that the product's own code reads real time or chance, and that a promise is
 * rejected to nobody, which would end a real process.
 */
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
    this.#watch(globalThis.crypto, ['getRandomValues', 'randomUUID']);
    this.#watch(process, ['hrtime', 'uptime']);
    this.#watch(timers, ['setTimeout', 'setImmediate', 'setInterval']);
    this.#watchNewDates();
    syncBuiltinESMExports();
    const onRejection = (error: unknown): void => {
      this.escapes.add(`rejected to nobody: ${error instanceof Error ? error.stack : error}`);
    };
    process.on('unhandledRejection', onRejection);
    this.#restore.push(() => process.off('unhandledRejection', onRejection));
  }

  end(): void {
    for (const restore of this.#restore) restore();
    syncBuiltinESMExports();
  }

  #watch(on: object, names: readonly string[]): void {
    const target = on as Record<string, Anything>;
    for (const name of names) {
      const real = target[name]!;
      const noteCaller = this.#callerNoted(name);
      target[name] = function watched(this: unknown, ...given: never[]): unknown {
        noteCaller();
        return Reflect.apply(real, this, given);
      };
      this.#restore.push(() => {
        target[name] = real;
      });
    }
  }

  #watchNewDates(): void {
    const real = Date;
    const noteCaller = this.#callerNoted('new Date()');
    globalThis.Date = new Proxy(real, {
      construct(target, given, newTarget) {
        if (given.length === 0) noteCaller();
        return Reflect.construct(target, given, newTarget);
      },
    });
    this.#restore.push(() => {
      globalThis.Date = real;
    });
  }

  /** The caller's caller. Who only schedules what the platform needs is none of ours. */
  #callerNoted(name: string): () => void {
    const { escapes } = this;
    return () => {
      const { stackTraceLimit } = Error;
      Error.stackTraceLimit = 3;
      const from = new Error(name).stack?.split('\n')[3] ?? '';
      Error.stackTraceLimit = stackTraceLimit;
      if (/[/\\]src[/\\](?!.*node_modules)/.test(from))
        escapes.add(`real time or chance: ${name} ${from.trim()}`);
    };
  }
}
