import type { Clock } from '../../core/clock.ts';
import type { VaultSubkeys } from '../../keys/derivation.ts';

/** How often it should be looked whether the machine slept. */
export const LOOK_EVERY_MS = 10_000;
/** The wall clock may run ahead of the monotonic one so far between two looks; more is a suspend. */
const MAX_DRIFT_MS = 5_000;
/** No look for so long: the process itself was stopped, or the monotonic clock counts sleep, as on macOS. */
const MAX_GAP_MS = LOOK_EVERY_MS + 60_000;

/** Keys in memory, until their time is over or the machine has slept. */
export class Keeper {
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly #untilMs: number;
  readonly #untilWallMs: number;
  #subkeys: VaultSubkeys | undefined;
  #lookedMs: number;
  #lookedWallMs: number;

  constructor(subkeys: VaultSubkeys, forMs: number, clock: Pick<Clock, 'now' | 'monotonic'>) {
    this.#clock = clock;
    this.#subkeys = subkeys;
    this.#lookedMs = clock.monotonic();
    this.#lookedWallMs = clock.now();
    this.#untilMs = this.#lookedMs + forMs;
    this.#untilWallMs = this.#lookedWallMs + forMs;
  }

  /** The keys, if they may still be used; a look at the clocks. */
  held(): VaultSubkeys | undefined {
    const [ms, wallMs] = [this.#clock.monotonic(), this.#clock.now()];
    const [gap, drift] = [ms - this.#lookedMs, wallMs - this.#lookedWallMs - (ms - this.#lookedMs)];
    this.#lookedMs = ms;
    this.#lookedWallMs = wallMs;
    const over = ms >= this.#untilMs || wallMs >= this.#untilWallMs;
    if (over || drift > MAX_DRIFT_MS || gap > MAX_GAP_MS) this.forget();
    return this.#subkeys;
  }

  leftMs(): number {
    const { monotonic, now } = this.#clock;
    return Math.max(0, Math.min(this.#untilMs - monotonic(), this.#untilWallMs - now()));
  }

  forget(): void {
    if (this.#subkeys === undefined) return;
    for (const key of ['wrap', 'pointer', 'name', 'slot'] as const) this.#subkeys[key].fill(0);
    this.#subkeys = undefined;
  }
}
