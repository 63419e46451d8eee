import type { AbortOptions } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { utf8Decode, utf8Encode } from '../core/bytes.ts';
import { isCount } from '../core/counts.ts';
import type { BatchOp, EntriesOptions } from '../engine/engine.ts';
import type { RecordsContext, RetiredVersion } from './context.ts';
import { journalIsOpen } from './journal.ts';
import { isNameKey } from './slots.ts';

/** `<due ms, 14 digits>/<manifest>` → JSON: versions that no name stands for, and when their blobs go. */
export const RETIRED_TABLE = 'retired';

const keyOf = ({ dueMs, manifest }: Pick<RetiredVersion, 'dueMs' | 'manifest'>): string =>
  `${String(Math.floor(dueMs)).padStart(14, '0')}/${manifest}`;

/** To be written in the step that makes the version one that no name stands for. */
export function retiring(version: RetiredVersion): BatchOp {
  const { why, nameKey, sinceMs, attempts, journal, begun } = version;
  const lost = version.lost && { attempts: version.lost.attempts, since: version.lost.sinceMs };
  const record = { v: 1, why, name: nameKey, since: sinceMs, attempts, journal, lost, begun };
  return { table: RETIRED_TABLE, key: keyOf(version), value: utf8Encode(JSON.stringify(record)) };
}

/** To be written once nothing is left of it, or a name stands for it again. */
export const noLongerRetired = (version: Pick<RetiredVersion, 'dueMs' | 'manifest'>): BatchOp => ({
  table: RETIRED_TABLE,
  key: keyOf(version),
  value: undefined,
});

/** In the order in which they are due; undefined for a record that cannot be read. */
export async function* retiredVersions(
  { engine }: RecordsContext,
  options: Pick<EntriesOptions, 'signal' | 'limit' | 'reverse' | 'onDamaged'> = {},
): AsyncGenerator<{ readonly key: string; readonly version: RetiredVersion | undefined }> {
  for await (const [key, value] of engine.table(RETIRED_TABLE).entries(options)) {
    yield { key, version: versionIn(key, value) };
  }
}

function versionIn(key: string, value: Uint8Array): RetiredVersion | undefined {
  try {
    const [, due, manifest] = /^(\d{14})\/(.*)$/.exec(key) ?? [];
    const record = JSON.parse(utf8Decode(value)) as Record<string, unknown>;
    const { v, why, name, since, attempts, journal, lost, begun } = record;
    const whole =
      v === 1 &&
      manifest !== undefined &&
      isBlobAddress(manifest) &&
      (why === 'replaced' || why === 'removed') &&
      (name === undefined || (typeof name === 'string' && isNameKey(name))) &&
      [since, attempts].every(isCount) &&
      (journal === undefined || typeof journal === 'string');
    if (!whole) return undefined;
    return {
      manifest,
      why,
      nameKey: name as string | undefined,
      sinceMs: since as number,
      dueMs: Number(due),
      attempts: attempts as number,
      journal: journal as string | undefined,
      lost: lostIn(lost),
      begun: begun === true ? true : undefined,
    };
  } catch {
    return undefined;
  }
}

/** What cannot be read is counted from the beginning. */
function lostIn(value: unknown): RetiredVersion['lost'] {
  const { attempts, since } = (value ?? {}) as { attempts?: unknown; since?: unknown };
  return isCount(attempts) && isCount(since) ? { attempts, sinceMs: since } : undefined;
}

/** Whether a version's blobs are to go, now or later. */
export async function isRetired(
  context: RecordsContext,
  manifest: BlobAddress,
  options: AbortOptions,
): Promise<boolean> {
  let found = false;
  const look = (key: string): void => {
    found ||= key.endsWith(manifest);
  };
  // Of one that is damaged the key still says of what it is.
  for await (const { key } of retiredVersions(context, { ...options, onDamaged: look })) {
    look(key);
    if (found) return true;
  }
  return found;
}

/** What a journal's change retired. */
export async function retiredBy(
  context: RecordsContext,
  journal: string,
  options: AbortOptions,
): Promise<readonly RetiredVersion[]> {
  const found: RetiredVersion[] = [];
  const range = { ...options, onDamaged: () => {} };
  for await (const { version } of retiredVersions(context, range)) {
    if (version?.journal === journal) found.push(version);
  }
  return found;
}

/** Whether the change that retired it has been told to the providers, or never will be by its owner. */
export async function mayGo(context: RecordsContext, { journal }: RetiredVersion): Promise<boolean> {
  return journal === undefined || !(await journalIsOpen(context, journal));
}
