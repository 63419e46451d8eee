import { createLinearCode } from '../coding/erasure/code.ts';
import type { LinearCode } from '../coding/erasure/linear-code.ts';

/**
 * The code as it does its work on so many failure domains. One that rebuilds a single shard keeps no promise once two of its
 * shards share a domain, so `xor` gets at most one data shard less than there are domains, and one parity: copies of
 * the parity would survive nothing more. Every other code is spread as it is.
 * @param code its data shards are the most there may be.
 */
export function fittedTo(code: LinearCode, domains: number): LinearCode {
  const { params } = code;
  if (params.algorithm !== 'xor') return code;
  const dataShards = Math.max(1, Math.min(params.dataShards, domains - 1));
  if (dataShards === params.dataShards && params.parityShards === 1) return code;
  return createLinearCode({ algorithm: 'xor', dataShards, parityShards: 1 });
}
