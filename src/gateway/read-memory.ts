/** Windows of a read that hold memory at the same time: one being consumed, two ahead. */
const WINDOWS = 3;
/** All shards of a chunk, the parity too, over its own length; rounded up. */
const EXPANSION = 2;
/** Shards of the shortest chunks are rounded up to whole pages and rows. */
const FLOOR_BYTES = 256 * 1024;

/** The most memory that reading `length` bytes holds in an arena of `capacity`. */
export function readMemory(length: number, chunkLen: number, capacity: number): number {
  const windows = WINDOWS * Math.max(capacity / 16, chunkLen);
  const touched = length + 2 * chunkLen;
  return FLOOR_BYTES + EXPANSION * Math.min(windows, touched);
}
