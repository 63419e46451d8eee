import { bytes, seconds } from './format.ts';
import type { Io } from './io.ts';

const EVERY_MS = 100;
const MAX_BAR = 24;
const MIN_BAR = 4;
/** Where a terminal does not say how wide it is. */
const USUAL_COLUMNS = 80;

/** How many of what were done; text for a person. */
export type Unit = (count: number) => string;

export const chunks: Unit = (count) => `${count < 10 ? count.toFixed(1) : Math.round(count)} chunks`;

/** A bar on the terminal, nothing when piped or when a program reads. */
export class Progress {
  readonly #io: Io;
  readonly #label: string;
  readonly #shown: boolean;
  readonly #unit: Unit;
  readonly #started: number;
  #last = 0;

  constructor(io: Io, label: string, quiet: boolean, unit: Unit = bytes) {
    this.#io = io;
    this.#label = label;
    this.#unit = unit;
    this.#shown = !quiet && io.stderr.isTTY === true;
    this.#started = performance.now();
  }

  update(done: number, total: number | undefined): void {
    const now = performance.now();
    if (!this.#shown || now - this.#last < EVERY_MS) return;
    this.#last = now;
    const rate = (done / (now - this.#started)) * 1000;
    this.#draw(total === undefined ? this.#unit(done) : this.#bar(done, total, rate), rate);
  }

  end(): void {
    if (this.#shown && this.#last > 0) this.#io.stderr.write('\r\u001b[K');
  }

  #draw(what: string, rate: number): void {
    const line = `${this.#label} ${what}  ${this.#unit(rate)}/s`;
    // A line that wraps is not drawn over but repeated; the last column makes some terminals wrap.
    const room = this.#columns() - 1;
    this.#io.stderr.write(`\r\u001b[K${line.slice(0, Math.max(0, room))}`);
  }

  #bar(done: number, total: number, rate: number): string {
    const part = total === 0 ? 1 : Math.min(1, done / total);
    const left = rate > 0 ? seconds(((total - done) / rate) * 1000) : '?';
    const percent = `${Math.floor(part * 100)}`.padStart(3);
    const text = `${percent} %  ${left} left`;
    const others = `${this.#label} [] ${text}  ${this.#unit(rate)}/s`.length + 1;
    const width = Math.min(MAX_BAR, this.#columns() - others);
    if (width < MIN_BAR) return text.trimStart();
    const filled = Math.round(part * width);
    return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${text}`;
  }

  #columns(): number {
    return this.#io.stderr.columns || USUAL_COLUMNS;
  }
}
