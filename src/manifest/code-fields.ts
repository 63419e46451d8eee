import type { CodeParams, FountainKind } from '../coding/erasure/params.ts';
import { validateCodeParams } from '../coding/erasure/params.ts';
import { HoldfastError } from '../core/errors.ts';
import type { Fields } from './fields.ts';

const ALGORITHMS = ['lrc', 'reed-solomon', 'xor', 'replica'] as const;
const FOUNTAINS = ['pair', 'wide', 'none'] as const;
const MAX = 255;

/** The fields of a root that name its code: `erasure_*` and, for `lrc`, `fountain_*`. */
export function codeFields(code: CodeParams): Record<string, string | number> {
  switch (code.algorithm) {
    case 'lrc':
      return {
        erasure_alg: 'lrc',
        erasure_data: code.dataShards,
        erasure_parity: code.localParity + code.globalParity + code.fountainShards,
        erasure_local: code.localParity,
        erasure_global: code.globalParity,
        fountain_kind: code.fountainKind,
        fountain_shards: code.fountainShards,
      };
    case 'replica':
      return { erasure_alg: 'replica', erasure_data: 1, erasure_parity: code.copies - 1 };
    default:
      return {
        erasure_alg: code.algorithm,
        erasure_data: code.dataShards,
        erasure_parity: code.parityShards,
      };
  }
}

/** @throws HoldfastError `Corrupt` for a code that does not exist. */
export function readCodeFields(fields: Fields): CodeParams {
  const algorithm = fields.oneOf('erasure_alg', ALGORITHMS);
  const dataShards = fields.uint('erasure_data', MAX, 1);
  const parityShards = fields.uint('erasure_parity', MAX);
  const params = readParams(algorithm, dataShards, parityShards, fields);
  try {
    validateCodeParams(params);
  } catch (cause) {
    throw new HoldfastError('Corrupt', 'the manifest names an impossible code', {
      code: 'malformed_manifest',
      cause,
    });
  }
  return params;
}

function readParams(
  algorithm: (typeof ALGORITHMS)[number],
  dataShards: number,
  parityShards: number,
  fields: Fields,
): CodeParams {
  if (algorithm === 'replica') {
    if (dataShards !== 1) throw fields.bad('erasure_data', '1 for replicas');
    return { algorithm, copies: parityShards + 1 };
  }
  if (algorithm !== 'lrc') return { algorithm, dataShards, parityShards };
  const params = {
    algorithm,
    dataShards,
    localParity: fields.uint('erasure_local', MAX),
    globalParity: fields.uint('erasure_global', MAX),
    fountainKind: fields.oneOf<FountainKind>('fountain_kind', FOUNTAINS),
    fountainShards: fields.uint('fountain_shards', MAX),
  };
  if (params.localParity + params.globalParity + params.fountainShards !== parityShards) {
    throw fields.bad('erasure_parity', 'the sum of local, global and overlay shards');
  }
  return params;
}

export function totalShards(code: CodeParams): number {
  switch (code.algorithm) {
    case 'lrc':
      return code.dataShards + code.localParity + code.globalParity + code.fountainShards;
    case 'replica':
      return code.copies;
    default:
      return code.dataShards + code.parityShards;
  }
}
