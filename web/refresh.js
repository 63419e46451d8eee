/** Shows something again and again: one request at a time, slower while it fails, and not while nobody looks. */

const LONGEST_MS = 60_000;

export class Refresher {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {AbortController | undefined} */
  #running;
  #failures = 0;
  #paused = false;
  #everyMs;
  #work;
  #onState;

  /**
   * @param {object} options
   * @param {number} options.everyMs from the end of one to the beginning of the next
   * @param {(signal: AbortSignal) => Promise<'good' | 'bad' | 'stop'>} options.work tells how it went, and whether it is worth asking again; never rejects
   * @param {(state: { running: boolean, paused: boolean, nextMs: number | undefined }) => void} options.onState
   */
  constructor({ everyMs, work, onState }) {
    this.#everyMs = everyMs;
    this.#work = work;
    this.#onState = onState;
  }

  get paused() {
    return this.#paused;
  }

  /** @param {boolean} on */
  pause(on) {
    this.#paused = on;
    if (on) this.#cancel();
    else void this.now();
    this.#tell();
  }

  /** Does it now; what is under way is given up for it. */
  async now() {
    this.#cancel();
    const running = new AbortController();
    this.#running = running;
    this.#tell();
    const went = await this.#work(running.signal);
    if (this.#running !== running) return;
    this.#running = undefined;
    this.#failures = went === 'good' ? 0 : this.#failures + 1;
    if (went === 'stop') this.#tell();
    else this.#wait();
  }

  /** For good. */
  stop() {
    this.#cancel();
  }

  /** The page was hidden, or is seen again. */
  seen() {
    if (document.hidden) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    } else if (this.#running === undefined && !this.#paused) void this.now();
  }

  #wait() {
    const waitMs = Math.min(LONGEST_MS, this.#everyMs * 2 ** Math.min(this.#failures, 6));
    if (!this.#paused && !document.hidden) this.#timer = setTimeout(() => void this.now(), waitMs);
    this.#tell(waitMs);
  }

  /** @param {number} [nextMs] */
  #tell(nextMs) {
    this.#onState({ running: this.#running !== undefined, paused: this.#paused, nextMs });
  }

  #cancel() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running?.abort();
    this.#running = undefined;
  }
}
