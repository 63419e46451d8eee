/** A provider nearer than this is not better for it: what a transfer takes then is not the way. */
const NEAR_MS = 20;
/** What the best does in one turn, those of the next standing do in so many. */
const STEP = 4;
const LAST = 3;

/**
 * How far each score is behind the best, in steps of four: 0 for the best and whoever is about as good, 3 at the most.
 * Coarse on purpose: what is measured wavers, and shards and reads should not move with it.
 * @param scores (1 − loss) · success rate / RTT in milliseconds.
 */
export function standings(scores: readonly number[]): number[] {
  const capped = scores.map((score) => Math.min(score, 1 / NEAR_MS));
  const best = Math.max(...capped);
  return capped.map((score) => {
    if (!(score > 0)) return best > 0 ? LAST : 0;
    return Math.min(LAST, Math.floor(Math.log(best / score) / Math.log(STEP)));
  });
}
