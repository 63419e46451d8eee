import { readFileSync } from 'node:fs';

const SAMPLE_MS = 100;
const WINDOW_MS = 5_000;

interface Sample {
  readonly ms: number;
  readonly read: number;
  readonly all: number;
}

/** What this process reads and writes, of files and of everything, where its system tells. */
export class MovedBytes {
  readonly #samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#sample();
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  /** @returns bytes read since, and the most bytes a second within a window of five seconds. */
  end(): { readonly read: number | undefined; readonly mostInWindow: number | undefined } {
    clearInterval(this.#timer);
    this.#sample();
    const [first, last] = [this.#samples.at(0), this.#samples.at(-1)];
    if (first === undefined || last === undefined) return { read: undefined, mostInWindow: undefined };
    let most: number | undefined;
    let from = 0;
    for (const { ms, all } of this.#samples) {
      while (this.#samples[from + 1] !== undefined && ms - this.#samples[from + 1]!.ms >= WINDOW_MS) from++;
      const start = this.#samples[from]!;
      if (ms - start.ms < WINDOW_MS) continue;
      most = Math.max(most ?? 0, (1000 * (all - start.all)) / (ms - start.ms));
    }
    return { read: last.read - first.read, mostInWindow: most };
  }

  #sample(): void {
    try {
      const text = readFileSync('/proc/self/io', 'utf8');
      const [, read] = /^rchar: (\d+)$/m.exec(text) ?? [];
      const [, written] = /^wchar: (\d+)$/m.exec(text) ?? [];
      if (read === undefined || written === undefined) return;
      this.#samples.push({ ms: performance.now(), read: Number(read), all: Number(read) + Number(written) });
    } catch {
      // Another system.
    }
  }
}
