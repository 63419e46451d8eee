import type { AbortOptions } from '../core/abort.ts';
import { addressOf, type BlobAddress, isBlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import type { Clock } from '../core/clock.ts';
import { isHoldfastError } from '../core/errors.ts';
import { isEmpty } from '../engine/batches.ts';
import type { BatchOp, Engine } from '../engine/engine.ts';
import {
  decodeRelocation,
  encodeRelocation,
  MAX_RELOCATIONS,
  type RelocationRecord,
} from '../manifest/relocation.ts';
import type { Relocations, RelocationsOptions } from '../object/relocations.ts';

/** `<segment>/<moved ms, 14 digits>/<address of the record>` → record. What is here, the vault itself wrote. */
const RELOCATIONS_TABLE = 'relocations';

/** That the table was empty is believed for so long by those to whom a moved shard is only one that is missing. */
const EMPTY_FOR_MS = 1_000;
/** Rows of a segment that whoever changes them looks at: more than were ever written. */
const MAX_STORED = 1024;
/** Rows of a segment that are looked at, malformed ones too. */
const MAX_ROWS = 4 * MAX_RELOCATIONS;

/** The relocations that the engine has. */
export function recordedRelocations(engine: Engine, clock: Clock): Pick<Relocations, 'open'> {
  let emptyUntil = Number.NEGATIVE_INFINITY;
  return {
    async open({ fresh = false, whole = false, signal } = {}) {
      if (!fresh && clock.monotonic() < emptyUntil) return undefined;
      const asked = clock.monotonic();
      const empty = await isEmpty(engine.table(RELOCATIONS_TABLE), { signal });
      emptyUntil = empty ? asked + EMPTY_FOR_MS : Number.NEGATIVE_INFINITY;
      if (empty) return undefined;
      return async (segment) => {
        const known = await rowsOf(engine, segment, { whole, signal });
        return known.map((record) => ({ ...record, recorded: true }));
      };
    },
  };
}

/** What stands of a segment, and under which keys; those that are malformed or damaged are not among the records. */
export async function storedRelocations(
  engine: Engine,
  segment: BlobAddress,
  options: AbortOptions = {},
): Promise<{ readonly keys: readonly string[]; readonly records: readonly RelocationRecord[] }> {
  const keys: string[] = [];
  const onDamaged = (key: string): void => void keys.push(key);
  const range = { ...options, prefix: `${segment}/`, limit: MAX_STORED, reverse: true, onDamaged };
  const records: RelocationRecord[] = [];
  for await (const [key, bytes] of engine.table(RELOCATIONS_TABLE).entries(range)) {
    const record = readable(bytes);
    keys.push(key);
    if (record?.segment === segment) records.push(record);
  }
  return { keys, records };
}

/** Segments of which shards were moved; some of them more than once. */
export async function* relocatedSegments(engine: Engine, options: AbortOptions): AsyncGenerator<BlobAddress> {
  const range = { ...options, onDamaged: () => {} };
  for await (const [key] of engine.table(RELOCATIONS_TABLE).entries(range)) {
    const segment = key.slice(0, key.indexOf('/'));
    if (isBlobAddress(segment)) yield segment;
  }
}

/** To be written with what makes it true. */
export function relocationOp(blake3: Blake3, record: RelocationRecord): BatchOp {
  const value = encodeRelocation(record);
  const ms = String(record.movedMs).padStart(14, '0');
  return {
    table: RELOCATIONS_TABLE,
    key: `${record.segment}/${ms}/${addressOf(blake3.hash(value))}`,
    value,
  };
}

export const noRelocation = (key: string): BatchOp => ({ table: RELOCATIONS_TABLE, key, value: undefined });

async function rowsOf(
  engine: Engine,
  segment: BlobAddress,
  { whole, signal }: Pick<RelocationsOptions, 'whole' | 'signal'>,
): Promise<RelocationRecord[]> {
  const onDamaged = whole ? undefined : () => {};
  const range = { signal, prefix: `${segment}/`, limit: MAX_ROWS, reverse: true, onDamaged };
  const records: RelocationRecord[] = [];
  for await (const [, bytes] of engine.table(RELOCATIONS_TABLE).entries(range)) {
    const record = whole ? decodeRelocation(bytes) : readable(bytes);
    if (record?.segment === segment) records.push(record);
    if (records.length === MAX_RELOCATIONS) break;
  }
  return records;
}

function readable(bytes: Uint8Array): RelocationRecord | undefined {
  try {
    return decodeRelocation(bytes);
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return undefined;
    throw error;
  }
}
