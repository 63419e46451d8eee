import { abortError, NO_LONGER_NEEDED, throwIfAborted } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';

/**
 * Shares the pipeline's memory between reads. A read takes its memory piece by piece, so reads that together want more
 * than there is could wait for each other for ever. Here each read declares its most in advance and starts when that is
 * free, first come, first served.
 */
export interface MemoryGate {
  /**
   * @param bytes the most that the read will hold; more than there is counts as all there is.
   * @throws HoldfastError `Unavailable` (`gateway_busy`) when too many wait or the wait is too long; `Aborted`.
   */
  enter(bytes: number, maxWaitMs: number, signal: AbortSignal): Promise<Permit>;
  readonly waiting: number;
}

interface Permit {
  /** The read waits for its client. If that lasts and others want the memory, the gate calls `park`, once. */
  idle(park: () => void): void;
  busy(): void;
  /** Idempotent. */
  release(): void;
}

interface GateOptions {
  readonly clock: Clock;
  readonly capacityBytes: number;
  readonly maxWaiting: number;
  /** How long a client may be slow while others wait. */
  readonly parkAfterMs: number;
}

interface Holder {
  readonly bytes: number;
  idleSinceMs: number;
  park: (() => void) | undefined;
}

interface Waiter {
  readonly bytes: number;
  readonly grant: (permit: Permit) => void;
}

export const createMemoryGate = (options: GateOptions): MemoryGate => new Gate(options);

class Gate implements MemoryGate {
  readonly #options: GateOptions;
  readonly #holders = new Set<Holder>();
  readonly #waiters: Waiter[] = [];
  #free: number;
  #watching = false;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#free = options.capacityBytes;
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  async enter(bytes: number, maxWaitMs: number, signal: AbortSignal): Promise<Permit> {
    throwIfAborted(signal, 'read');
    const need = Math.min(bytes, this.#options.capacityBytes);
    if (this.waiting === 0 && need <= this.#free) return this.#admit(need);
    if (this.waiting >= this.#options.maxWaiting) throw busy('too many reads are waiting');
    return this.#wait(need, maxWaitMs, signal);
  }

  #admit(bytes: number): Permit {
    const { clock } = this.#options;
    const holder: Holder = { bytes, idleSinceMs: 0, park: undefined };
    this.#holders.add(holder);
    this.#free -= bytes;
    return {
      idle(park) {
        holder.park = park;
        holder.idleSinceMs = clock.monotonic();
      },
      busy() {
        holder.park = undefined;
      },
      release: () => {
        if (!this.#holders.delete(holder)) return;
        this.#free += bytes;
        this.#serve();
      },
    };
  }

  #serve(): void {
    while (this.#waiters.length > 0 && this.#waiters[0]!.bytes <= this.#free) {
      const { bytes, grant } = this.#waiters.shift()!;
      grant(this.#admit(bytes));
    }
  }

  #wait(bytes: number, maxWaitMs: number, signal: AbortSignal): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const done = new AbortController();
      const leave = (error: HoldfastError): void => {
        settle();
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        this.#serve(); // those behind may need less
        reject(error);
      };
      const onAbort = (): void => leave(abortError(signal, 'read'));
      const settle = (): void => {
        done.abort(NO_LONGER_NEEDED);
        signal.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        bytes,
        grant(permit) {
          settle();
          resolve(permit);
        },
      };
      this.#waiters.push(waiter);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#options.clock.sleep(maxWaitMs, done.signal).then(
        () => leave(busy('no memory for this read came free in time')),
        () => {},
      );
      void this.#watch();
    });
  }

  /** Parks reads whose clients are slow. Runs only while someone waits. */
  async #watch(): Promise<void> {
    if (this.#watching) return;
    this.#watching = true;
    const { clock, parkAfterMs } = this.#options;
    while (this.waiting > 0) {
      const now = clock.monotonic();
      for (const holder of this.#holders) {
        if (holder.park === undefined || now - holder.idleSinceMs < parkAfterMs) continue;
        const { park } = holder;
        holder.park = undefined;
        park();
      }
      await clock.sleep(parkAfterMs / 4);
    }
    this.#watching = false;
  }
}

const busy = (message: string): HoldfastError =>
  new HoldfastError('Unavailable', message, { code: 'gateway_busy', operation: 'read' });
