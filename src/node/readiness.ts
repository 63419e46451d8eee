import { type Clock, withDeadline } from '../core/clock.ts';
import { isHoldfastError } from '../core/errors.ts';
import { type ReadinessReport, readinessOf, when } from '../http/gates.ts';
import { HttpProblem } from '../http/problem.ts';
import type { BlobAdapter } from '../providers/adapter.ts';

export interface Readiness {
  report(client: string): Promise<ReadinessReport>;
  /** Claims room for a body of so many bytes. @throws HttpProblem 507 */
  claim(bytes: number): Promise<Claim>;
}

interface ReadinessOptions {
  readonly adapter: BlobAdapter;
  readonly clock: Clock;
  readonly minFreeBytes: number;
  takesWrites(client: string): boolean;
  draining(): boolean;
}

/** A probe writes, so those who ask share one. */
const PROBE_AGE_MS = 1_000;
const PROBE_MS = 2_000;
/** While a probe is under way a write may rely on one that is a little older. */
const SPACE_AGE_MS = 5_000;

interface Probed {
  readonly atMs: number;
  readonly freeBytes: number | undefined;
  readonly failure: 'unreachable' | 'degraded' | 'full' | undefined;
}

export function createReadiness(options: ReadinessOptions): Readiness {
  const { adapter, clock, minFreeBytes } = options;
  let last: Probed | undefined;
  let probing: Promise<Probed> | undefined;
  const space = createSpace(minFreeBytes);
  const ageMs = (): number => (last === undefined ? Number.POSITIVE_INFINITY : clock.monotonic() - last.atMs);

  const probe = async (): Promise<Probed> => {
    const atMs = clock.monotonic();
    try {
      const { freeBytes } = await withDeadline(clock, PROBE_MS, 'probe', (signal) =>
        adapter.probe({ signal }),
      );
      return { atMs, freeBytes, failure: undefined };
    } catch (error) {
      if (isHoldfastError(error, 'QuotaExceeded')) return { atMs, freeBytes: 0, failure: 'full' };
      const degraded = isHoldfastError(error) && error.code === 'backend_down';
      return { atMs, freeBytes: undefined, failure: degraded ? 'degraded' : 'unreachable' };
    }
  };
  const recent = (): Promise<Probed> => {
    if (last !== undefined && ageMs() < PROBE_AGE_MS) return Promise.resolve(last);
    if (probing === undefined) {
      const saw = space.look();
      probing = probe().then((result) => {
        last = result;
        probing = undefined;
        saw(result.freeBytes);
        return result;
      });
    }
    return probing;
  };

  return {
    async claim(bytes) {
      const looking = recent();
      if (ageMs() > SPACE_AGE_MS) await looking;
      return space.claim(bytes, () => void recent());
    },
    async report(client) {
      const { failure, freeBytes } = await recent();
      const full = failure === 'full' || (freeBytes !== undefined && freeBytes < minFreeBytes);
      const overloaded = !options.takesWrites(client);
      return readinessOf([
        { gate: 'engine', needs: [], reasons: when(failure === 'unreachable', 'storage_unreachable') },
        { gate: 'backends', needs: ['engine'], reasons: when(failure === 'degraded', 'backend_down') },
        { gate: 'room', needs: ['backends'], reasons: when(full, 'storage_full') },
        { gate: 'reads', needs: ['engine'], reasons: when(options.draining(), 'draining') },
        { gate: 'writes', needs: ['room', 'reads'], reasons: when(overloaded, 'overloaded') },
      ]);
    },
  };
}

/** The room on disk of a body that is coming. */
export interface Claim {
  /** The body is longer than it said. @throws HttpProblem 507 */
  grow(bytes: number): void;
  /** So much more of what was claimed has come. @throws HttpProblem 507 when others have filled the disk meanwhile. */
  came(bytes: number): void;
  /** The body is stored, or never will be. Idempotent. */
  release(): void;
}

/** Free space as the last look saw it, less what has been claimed since. */
interface Space {
  /** A look begins. It will not see what is claimed from now on. @returns what the caller tells the outcome to. */
  look(): (freeBytes: number | undefined) => void;
  /**
   * @param lookAgain makes a look begin, if the last is old.
   * @throws HttpProblem 507 when `minFreeBytes` would not stay free.
   */
  claim(bytes: number, lookAgain: () => void): Claim;
}

/** @param minFreeBytes 0: bodies may use all there is, and the storage itself says when it is full. */
function createSpace(minFreeBytes: number): Space {
  let free: number | undefined;
  /** Bytes claimed since the last look began, written by now or not. `open`: those that are not released. */
  let claimed = 0;
  let open = 0;

  const take = (bytes: number): void => {
    if (minFreeBytes > 0 && free !== undefined && free - claimed - bytes < minFreeBytes) throw noRoom();
    claimed += bytes;
    open += bytes;
  };

  return {
    look() {
      const before = claimed;
      const openThen = open;
      return (seen) => {
        free = seen;
        // The look may have seen what was open, or not. Better to count it twice than not at all.
        claimed += openThen - before;
      };
    },
    claim(bytes, lookAgain) {
      take(bytes);
      let mine = bytes;
      let toCome = bytes;
      return {
        grow(more) {
          take(more);
          mine += more;
          toCome += more;
        },
        came(some) {
          lookAgain();
          // What has come may show in the look or not; what is to come does not.
          if (minFreeBytes > 0 && free !== undefined && free - toCome < minFreeBytes) throw noRoom();
          toCome -= some;
        },
        release() {
          open -= mine;
          mine = 0;
        },
      };
    },
  };
}

const noRoom = (): HttpProblem =>
  new HttpProblem(507, 'QuotaExceeded', 'this node has no room for more', { close: true });
