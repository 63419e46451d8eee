import type { CodeParams } from '../coding/erasure/params.ts';
import type { Config } from '../config/types.ts';

/** The code that the configuration asks for. */
export function codeOf({ erasure, fountain }: Pick<Config, 'erasure' | 'fountain'>): CodeParams {
  const { algorithm, dataShards, localParity, globalParity, parityShards } = erasure;
  if (algorithm !== 'lrc') return { algorithm, dataShards, parityShards };
  const fountainKind = fountain.shards === 0 ? 'none' : fountain.kind;
  const fountainShards = fountainKind === 'none' ? 0 : fountain.shards;
  return { algorithm, dataShards, localParity, globalParity, fountainKind, fountainShards };
}
