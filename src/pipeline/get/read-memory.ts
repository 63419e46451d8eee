import { MAX_WINDOW } from './get.ts';
import { DEPTH } from './read-ahead.ts';

/** All shards of a chunk, the parity too, over its own length; rounded up. */
const EXPANSION = 2;
/** Shards of the shortest chunks are rounded up to whole pages and rows. */
const FLOOR_BYTES = 256 * 1024;

/** The most memory that reading `length` bytes holds in an arena of `capacity`. */
export function readMemory(length: number, chunkLen: number, capacity: number): number {
  const windows = DEPTH * Math.max(MAX_WINDOW * capacity, EXPANSION * chunkLen);
  const touched = EXPANSION * (length + 2 * chunkLen);
  return FLOOR_BYTES + Math.min(windows, touched);
}
