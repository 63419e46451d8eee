import { createLinearCode } from '../../coding/erasure/code.ts';
import type { CodeParams } from '../../coding/erasure/params.ts';

/** What is said of a chunk that its code cannot rebuild, for people and for what they search their logs by. */
export function limitedText(code: CodeParams, missing: number): string {
  const { dataShards, totalShards } = createLinearCode(code);
  return `algorithm_limited:${code.algorithm}:missing=${missing}:parity=${totalShards - dataShards}`;
}
