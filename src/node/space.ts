import { HttpProblem } from '../http/message/problem.ts';

/** What a body that comes will take of the disk. */
export interface Claim {
  /** It is longer than was said. @throws HttpProblem 507 */
  grow(bytes: number): void;
  /** It is stored, or will not be. Idempotent. */
  release(): void;
}

/** Free space as it was seen last, less what has been promised since. */
export interface Space {
  /** A look begins: what is claimed from now on it will not see. @returns how to say what it saw. */
  look(): (freeBytes: number | undefined) => void;
  /** @throws HttpProblem 507 when `minFreeBytes` would not stay free. */
  claim(bytes: number): Claim;
}

/** @param minFreeBytes 0: whatever is free may be used, and what is not there the storage itself says. */
export function createSpace(minFreeBytes: number): Space {
  let free: number | undefined;
  /** Claimed since the last look began, whether or not it is written by now; and of that, what is still open. */
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
        // What was open may have been seen or not: counted once too often rather than not at all.
        claimed += openThen - before;
      };
    },
    claim(bytes) {
      take(bytes);
      let mine = bytes;
      return {
        grow(more) {
          take(more);
          mine += more;
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
