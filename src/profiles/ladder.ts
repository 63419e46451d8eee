import { HoldfastError } from '../core/errors.ts';

/** The chunk lengths to choose from, and what a good one is. */
export interface ChunkLadder {
  /** Bytes, ascending. */
  readonly rungs: readonly number[];
  /** The rung a provider starts at. */
  readonly defaultBytes: number;
  /** How long a chunk should take on the provider's link. */
  readonly targetSeconds: number;
}

const KIB = 1024;

export const DEFAULT_LADDER: ChunkLadder = {
  rungs: [256 * KIB, 512 * KIB, 1024 * KIB, 2048 * KIB, 4096 * KIB],
  defaultBytes: 1024 * KIB,
  targetSeconds: 3,
};

/** Stable chunks between two changes of the rung. */
export const STABLE_CHUNKS = 3;
/** A link worse than either goes down a rung, whatever its bandwidth. */
const POOR = { loss: 0.02, rttMs: 200 } as const;
/** Only a link better than both may go up. */
const GOOD = { loss: 0.002, rttMs: 80 } as const;

/** @throws HoldfastError `ConfigInvalid`. */
export function checkLadder(ladder: ChunkLadder): ChunkLadder {
  const { rungs, defaultBytes, targetSeconds } = ladder;
  const ascending = rungs.every((rung, i) => Number.isSafeInteger(rung) && rung > (rungs[i - 1] ?? 0));
  if (rungs.length === 0 || !ascending)
    throw invalid('chunks.ladder must be ascending whole numbers of bytes');
  if (!rungs.includes(defaultBytes)) throw invalid('chunks.default_bytes must be a rung of chunks.ladder');
  if (!(Number.isFinite(targetSeconds) && targetSeconds > 0)) {
    throw invalid('chunks.target_seconds must be a positive number');
  }
  return ladder;
}

const invalid = (message: string): HoldfastError => new HoldfastError('ConfigInvalid', message);

export interface LinkQuality {
  readonly bw_ewma: number;
  readonly rtt_ewma: number;
  readonly loss_ewma: number;
}

/** The rung to use next, at most one away from `current`, once enough stable chunks have been seen. */
export function nextRung(ladder: ChunkLadder, current: number, link: LinkQuality): number {
  if (link.loss_ewma > POOR.loss || link.rtt_ewma > POOR.rttMs) return rungBelow(ladder, current);
  if (link.bw_ewma === 0) return current;
  const fitting = rungAtMost(ladder, link.bw_ewma * ladder.targetSeconds);
  if (fitting < current) return rungBelow(ladder, current);
  const measured = link.rtt_ewma > 0;
  const mayGrow = measured && link.loss_ewma < GOOD.loss && link.rtt_ewma < GOOD.rttMs;
  return fitting > current && mayGrow ? rungAbove(ladder, current) : current;
}

/** The longest rung of at most `bytes`, or the lowest: also where a length goes that a new config took away. */
export const rungAtMost = (ladder: ChunkLadder, bytes: number): number =>
  ladder.rungs.findLast((rung) => rung <= bytes) ?? ladder.rungs[0]!;

/** One rung down; the lowest stays. */
export const rungBelow = (ladder: ChunkLadder, current: number): number =>
  ladder.rungs.findLast((rung) => rung < current) ?? ladder.rungs[0]!;

const rungAbove = (ladder: ChunkLadder, current: number): number =>
  ladder.rungs.find((rung) => rung > current) ?? current;
