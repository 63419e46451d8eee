import type { AbortOptions } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { utf8Decode, utf8Encode } from '../core/bytes.ts';
import { isCount } from '../core/counts.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { RecordsContext } from './context.ts';
import { engineGenerationOf } from './generation-record.ts';

/** `<provider>/<address>` → what is to be deleted there, and how far that is. */
export const TRASH_TABLE = 'trash';

/**
 * A request that was given up has taken effect by then, or never will. A server may begin with it only after everything
 * that waited there before it: some of the longest times that a call is given.
 */
export const SETTLE_MS: number = 5 * 60_000;

/** A place at a provider. */
export type Place = `${string}/${string}`;

export const placeOf = ({ provider, address }: Pick<BlobAt, 'provider' | 'address'>): Place =>
  `${provider}/${address}`;

export interface BlobAt {
  readonly provider: string;
  readonly address: BlobAddress;
  /** Bytes of shards in it, for the quota; 0 for nodes, which are not counted. */
  readonly bytes: number;
}

/** The state that decided that a blob goes. */
export interface Decided {
  readonly counter: number;
  /** What a state decided before it was recovered may be wrong now. */
  readonly recoveries: number;
}

/** That a blob is to be deleted. While it stands, nobody else may store at its place. */
export interface Claim extends Decided {
  /**
   * `queued`: no DELETE is on its way. `deleting`: its owner sends one, or has. `unsettled`: one was sent, and nothing said
   * whether it was done; it may still be.
   */
  readonly state: 'queued' | 'deleting' | 'unsettled';
  readonly bytes: number;
  /** Who is deleting. */
  readonly owner?: string | undefined;
  /** Since when it has been in this state; of what is unsettled, when the DELETE was given up. */
  readonly sinceMs: number;
  /** While another DELETE is on its way: when the one before it was given up. */
  readonly doubtMs?: number | undefined;
  /** A DELETE that was sent too soon to settle it was answered: the blob is gone, as long as nobody stores it. */
  readonly answered?: boolean | undefined;
  /** It is needed after all: nothing more is sent, and the claim ends once it is settled. */
  readonly stays?: boolean | undefined;
}

/** A claim as it stands in the table. */
export interface StoredClaim {
  readonly key: Place;
  readonly provider: string;
  readonly address: BlobAddress;
  readonly stored: Uint8Array;
  readonly claim: Claim;
}

export function encodeClaim(claim: Claim): Uint8Array {
  const { state, bytes, counter, recoveries, owner, sinceMs: since, doubtMs: doubt } = claim;
  const { answered, stays } = claim;
  const record = { v: 2, state, bytes, counter, recoveries, owner, since, doubt, answered, stays };
  return utf8Encode(JSON.stringify(record));
}

const STATES: readonly unknown[] = ['queued', 'deleting', 'unsettled'];

/** Undefined for what is damaged, or of a later version. */
function claimIn(stored: Uint8Array): Claim | undefined {
  if (stored.length === 8) {
    const bytes = Number(new DataView(stored.buffer, stored.byteOffset).getBigUint64(0, true));
    return { state: 'queued', bytes, counter: 0, recoveries: 0, sinceMs: 0 };
  }
  try {
    const record = JSON.parse(utf8Decode(stored)) as Record<string, unknown>;
    const { v, state, bytes, counter, recoveries, owner, since, doubt, answered, stays } = record;
    const whole =
      v === 2 &&
      STATES.includes(state) &&
      [bytes, counter, recoveries, since].every(isCount) &&
      (doubt === undefined || isCount(doubt)) &&
      (state === 'deleting' ? typeof owner === 'string' : owner === undefined) &&
      [answered, stays].every((flag) => flag === undefined || flag === true);
    if (!whole) return undefined;
    const flags = { answered, stays };
    return { state, bytes, counter, recoveries, owner, sinceMs: since, doubtMs: doubt, ...flags } as Claim;
  } catch {
    return undefined;
  }
}

/** What stands at a place. `claim` is undefined where nothing does, and where that cannot be read. */
export async function readClaim(
  { engine }: Pick<RecordsContext, 'engine'>,
  { provider, address }: Pick<BlobAt, 'provider' | 'address'>,
): Promise<{
  readonly isFree: boolean;
  readonly stored?: Uint8Array | undefined;
  readonly claim?: Claim | undefined;
}> {
  try {
    const stored = await engine.table(TRASH_TABLE).get(placeOf({ provider, address }));
    return { isFree: stored === undefined, stored, claim: stored && claimIn(stored) };
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return { isFree: false };
    throw error;
  }
}

interface ClaimsOptions extends AbortOptions {
  readonly prefix?: string;
  readonly gte?: string;
  readonly lt?: string;
  readonly limit?: number;
  /** Called for what cannot be read. */
  readonly onUnreadable?: ((key: string) => void) | undefined;
}

/** Claims in the order of their keys, without those that cannot be read. */
export async function* claims(
  { engine }: Pick<RecordsContext, 'engine'>,
  { onUnreadable = () => {}, ...options }: ClaimsOptions = {},
): AsyncGenerator<StoredClaim> {
  const entries = engine.table(TRASH_TABLE).entries({ ...options, onDamaged: onUnreadable });
  for await (const [key, stored] of entries) {
    const slash = key.lastIndexOf('/');
    const [provider, address] = [key.slice(0, slash), key.slice(slash + 1)];
    const claim = claimIn(stored);
    if (claim === undefined || !isBlobAddress(address)) onUnreadable(key);
    else yield { key: key as Place, provider, address, stored, claim };
  }
}

/** Where the state stands now, for what it decides. */
export async function decidedNow({ engine }: Pick<RecordsContext, 'engine'>): Promise<Decided> {
  const { counter = 0, recoveries = 0 } = (await engineGenerationOf(engine).read()) ?? {};
  return { counter, recoveries };
}

/** Whether this state is going to delete a blob at some provider. What it decided before a recovery does not count. */
export async function isTrashed(context: RecordsContext, address: BlobAddress): Promise<boolean> {
  const { recoveries } = await decidedNow(context);
  for (const { id: provider } of context.directory.all()) {
    const { claim } = await readClaim(context, { provider, address });
    if (claim?.recoveries === recoveries) return true;
  }
  return false;
}

/** Of these places those for which a claim stands, or may. */
export async function claimedAmong(
  { engine }: RecordsContext,
  places: Iterable<string>,
  options: AbortOptions,
): Promise<string[]> {
  const table = engine.table(TRASH_TABLE);
  const claimed: string[] = [];
  for (const place of places) {
    const stands = await table.get(place, options).catch((error: unknown) => {
      if (isHoldfastError(error, 'Corrupt')) return true;
      throw error;
    });
    if (stands !== undefined) claimed.push(place);
  }
  return claimed;
}

/** Bytes of shards that are still there, waiting to be deleted. */
export async function* claimedBytes(
  context: RecordsContext,
  options: AbortOptions,
): AsyncGenerator<{ readonly provider: string; readonly bytes: number }> {
  for await (const { provider, claim } of claims(context, options)) yield { provider, bytes: claim.bytes };
}

/** Whether a DELETE that failed so was not done, and will not be: it did not leave, or was refused. */
export const wasRefused = (error: unknown): boolean =>
  isHoldfastError(error, 'RateLimited') ||
  isHoldfastError(error, 'PermissionDenied') ||
  (isHoldfastError(error) && error.code === 'circuit_open');
