import { abortError, NO_LONGER_NEEDED, throwIfAborted } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';

/**
 * Shares the pipeline's memory between reads. A read takes its memory piece by piece, so reads that together want
 * more than there is could wait for each other for ever: here each declares its most in advance and starts when that
 * is free, first come, first served.
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
  /** The holder waits for its client: if that lasts and others want the memory, `park` is called, once. */
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

export function createMemoryGate({ clock, capacityBytes, maxWaiting, parkAfterMs }: GateOptions): MemoryGate {
  const holders = new Set<Holder>();
  const waiters: Waiter[] = [];
  let free = capacityBytes;
  let watching = false;

  const admit = (bytes: number): Permit => {
    const holder: Holder = { bytes, idleSinceMs: 0, park: undefined };
    holders.add(holder);
    free -= bytes;
    return {
      idle(park) {
        holder.park = park;
        holder.idleSinceMs = clock.monotonic();
      },
      busy() {
        holder.park = undefined;
      },
      release() {
        if (!holders.delete(holder)) return;
        free += bytes;
        serve();
      },
    };
  };

  const serve = (): void => {
    while (waiters.length > 0 && waiters[0]!.bytes <= free) {
      const { bytes, grant } = waiters.shift()!;
      grant(admit(bytes));
    }
  };

  /** Runs only while someone waits. */
  const watch = async (): Promise<void> => {
    if (watching) return;
    watching = true;
    while (waiters.length > 0) {
      const now = clock.monotonic();
      for (const holder of holders) {
        if (holder.park === undefined || now - holder.idleSinceMs < parkAfterMs) continue;
        const { park } = holder;
        holder.park = undefined;
        park();
      }
      await clock.sleep(parkAfterMs / 4);
    }
    watching = false;
  };

  const wait = (bytes: number, maxWaitMs: number, signal: AbortSignal): Promise<Permit> =>
    new Promise((resolve, reject) => {
      const done = new AbortController();
      const leave = (error: HoldfastError): void => {
        settle();
        waiters.splice(waiters.indexOf(waiter), 1);
        serve(); // those behind may need less
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
      waiters.push(waiter);
      signal.addEventListener('abort', onAbort, { once: true });
      clock.sleep(maxWaitMs, done.signal).then(
        () => leave(busy('no memory for this read came free in time')),
        () => {},
      );
      void watch();
    });

  return {
    get waiting() {
      return waiters.length;
    },
    async enter(bytes, maxWaitMs, signal) {
      throwIfAborted(signal, 'read');
      const need = Math.min(bytes, capacityBytes);
      if (waiters.length === 0 && need <= free) return admit(need);
      if (waiters.length >= maxWaiting) throw busy('as many reads as can wait are waiting');
      return wait(need, maxWaitMs, signal);
    },
  };
}

const busy = (message: string): HoldfastError =>
  new HoldfastError('Unavailable', message, { code: 'gateway_busy', operation: 'read' });
