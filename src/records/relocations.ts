import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import type { Clock } from '../core/clock.ts';
import { isHoldfastError } from '../core/errors.ts';
import { isEmpty } from '../engine/batches.ts';
import type { Engine } from '../engine/engine.ts';
import { decodeRelocation, MAX_RELOCATIONS, type RelocationRecord } from '../manifest/relocation.ts';
import type { Relocations, RelocationsOptions } from '../object/relocations.ts';

/** `<segment>/<moved ms, 14 digits>/<address of the record>` → record. What is here, the vault itself wrote. */
const RELOCATIONS_TABLE = 'relocations';

/** That the table was empty is believed for so long by those to whom a moved shard is only one that is missing. */
const EMPTY_FOR_MS = 1_000;
/** Rows of a segment that are looked at, malformed ones too. */
const MAX_ROWS = 4 * MAX_RELOCATIONS;

/** The relocations that the engine has. */
export function recordedRelocations(engine: Engine, clock: Clock): Relocations {
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

/** Forgets where the shards of segments were moved to, once they are deleted. */
export async function forgetRelocations(
  engine: Engine,
  segments: readonly BlobAddress[],
  options: AbortOptions = {},
): Promise<void> {
  const table = engine.table(RELOCATIONS_TABLE);
  for (const segment of segments) {
    const keys: string[] = [];
    const add = (key: string): void => void keys.push(key);
    const range = { ...options, prefix: `${segment}/`, onDamaged: add };
    for await (const [key] of table.entries(range)) add(key);
    for (const key of keys) await table.delete(key, options);
  }
}
