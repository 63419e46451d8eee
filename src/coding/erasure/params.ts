import { HoldfastError } from '../../core/errors.ts';

/** Local groups, global parities and an overlay of plain XORs: the default code. */
export interface LrcParams {
  readonly algorithm: 'lrc';
  readonly dataShards: number;
  /** One per group of data shards, groups as even as can be, the larger ones first. */
  readonly localParity: number;
  readonly globalParity: number;
  readonly fountainKind: FountainKind;
  readonly fountainShards: number;
}

/** Any `dataShards` of the shards decode. */
export interface ReedSolomonParams {
  readonly algorithm: 'reed-solomon';
  readonly dataShards: number;
  readonly parityShards: number;
}

/** One parity, the XOR of all data, repeated. */
export interface XorParams {
  readonly algorithm: 'xor';
  readonly dataShards: number;
  readonly parityShards: number;
}

export interface ReplicaParams {
  readonly algorithm: 'replica';
  readonly copies: number;
}

export type FountainKind = 'pair' | 'wide' | 'none';

/** What a manifest records of its code; with it any object ever written stays readable. */
export type CodeParams = LrcParams | ReedSolomonParams | XorParams | ReplicaParams;

/** Over GF(2^8), less the one row of the Cauchy matrix that is never used. */
export const MAX_SHARDS = 255;

export const DEFAULT_LRC: LrcParams = Object.freeze({
  algorithm: 'lrc',
  dataShards: 16,
  localParity: 5,
  globalParity: 3,
  fountainKind: 'wide',
  fountainShards: 3,
});

/** @throws HoldfastError `ConfigInvalid` whose message names the field and the reason. */
export function validateCodeParams(params: CodeParams): void {
  switch (params.algorithm) {
    case 'lrc':
      validateLrc(params);
      return;
    case 'reed-solomon':
    case 'xor':
      count('data_shards', params.dataShards, 1);
      count('parity_shards', params.parityShards, 1);
      total(params.dataShards + params.parityShards);
      return;
    case 'replica':
      count('copies', params.copies, 1);
      return;
    default:
      throw refused(`unknown algorithm ${JSON.stringify((params as { algorithm?: unknown }).algorithm)}`);
  }
}

function validateLrc(params: LrcParams): void {
  const { dataShards, localParity, globalParity, fountainKind, fountainShards } = params;
  count('data_shards', dataShards, 1);
  count('local_parity', localParity, 1);
  count('global_parity', globalParity, 0);
  count('fountain.shards', fountainShards, 0);
  if (localParity > dataShards) {
    throw refused(`local_parity ${localParity} exceeds data_shards ${dataShards}: a group would be empty`);
  }
  if (!['pair', 'wide', 'none'].includes(fountainKind)) {
    throw refused(`fountain.kind ${JSON.stringify(fountainKind)} is not "pair", "wide" or "none"`);
  }
  if ((fountainKind === 'none') !== (fountainShards === 0)) {
    throw refused(`fountain.kind "${fountainKind}" does not go with fountain.shards ${fountainShards}`);
  }
  if (fountainKind !== 'none' && dataShards < 2) {
    throw refused('an overlay needs at least 2 data_shards');
  }
  total(dataShards + localParity + globalParity + fountainShards);
}

function count(field: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least || value > MAX_SHARDS) {
    throw refused(`${field} must be a whole number from ${least} to ${MAX_SHARDS}, not ${String(value)}`);
  }
}

function total(shards: number): void {
  if (shards > MAX_SHARDS) throw refused(`${shards} shards in all exceed the limit of ${MAX_SHARDS}`);
}

function refused(reason: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', `erasure: ${reason}`, { code: 'erasure_params' });
}
