import type { Stage } from '../../telemetry/index.ts';

export type Spent = Partial<Record<Stage, number>>;

/** Milliseconds that the stages of one job took, one after the other. */
export class Laps {
  readonly spent: Spent = {};
  readonly #now: () => number;
  #last: number;

  /** @param now milliseconds from any start. */
  constructor(now: () => number) {
    this.#now = now;
    this.#last = now();
  }

  /** What was done since the last lap was this. */
  end(stage: Stage): void {
    const now = this.#now();
    this.spent[stage] = (this.spent[stage] ?? 0) + now - this.#last;
    this.#last = now;
  }
}
