import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { decodeRoot, fallbacksIn, type OpenRoot, openRoot, type RootRecord } from '../manifest/root.ts';
import type { RecordsContext } from '../records/context.ts';
import { localRoot, storedManifests, storedTime } from '../records/manifests.ts';
import { listNames } from '../records/name-listing.ts';
import { readName } from '../records/names.ts';
import { retiredVersions } from '../records/retired.ts';
import type {
  ManifestSummary,
  ObjectDetail,
  ObjectRow,
  ObjectsPage,
  ObjectsQuery,
  VersionRow,
} from './source.ts';
import type { Survey } from './survey.ts';

export interface ObjectsContext {
  readonly records: RecordsContext;
  /** Without a key nothing can be opened. */
  readonly sealed: boolean;
}

/** Keys that a page looks at for those that it is asked for. The next page goes on behind them. */
const MAX_LOOKED_AT = 50_000;
/** Versions that no name stands for, among which those of one name are looked for; and as many are told. */
const MAX_RETIRED = 20_000;
const MAX_VERSIONS = 100;

export async function objectsPage(
  { records, sealed }: ObjectsContext,
  { limit, before, most }: ObjectsQuery,
  survey: Survey | undefined,
  options: AbortOptions,
): Promise<ObjectsPage> {
  const rows: ObjectRow[] = [];
  let looked = 0;
  let last: string | undefined;
  const range = { ...options, reverse: true, lt: before, onDamaged: () => {} };
  for await (const { manifest, storedMs, key } of storedManifests(records, range)) {
    const tolerates = survey?.tolerates.get(manifest);
    const isWanted = most === undefined || (tolerates !== undefined && tolerates <= most);
    if ((isWanted && rows.length === limit) || looked === MAX_LOOKED_AT) return { objects: rows, next: last };
    looked++;
    last = key;
    if (isWanted) rows.push(await rowOf({ records, sealed }, { manifest, storedMs }, tolerates, options));
  }
  return { objects: rows, next: undefined };
}

export async function namedPage(
  context: ObjectsContext,
  prefix: string,
  limit: number,
  survey: Survey | undefined,
  options: AbortOptions,
): Promise<ObjectsPage> {
  if (context.sealed) {
    throw new HoldfastError('PermissionDenied', 'there are no names without a key', { code: 'sealed' });
  }
  const rows: ObjectRow[] = [];
  for await (const found of listNames(context.records, { ...options, prefix, limit })) {
    if (!('manifest' in found)) continue;
    const { manifest, createdMs } = found;
    const at = { manifest, storedMs: createdMs };
    rows.push(await rowOf(context, at, survey?.tolerates.get(manifest), options));
  }
  return { objects: rows, next: undefined };
}

export async function objectDetail(
  context: ObjectsContext,
  manifest: BlobAddress,
  survey: Survey | undefined,
  options: AbortOptions,
): Promise<ObjectDetail> {
  const { records } = context;
  const storedMs = await storedTime(records, manifest, options);
  if (storedMs === undefined) throw notFound(manifest);
  const at = { manifest, storedMs };
  const row = await rowOf(context, at, survey?.tolerates.get(manifest), options);
  return { ...row, versions: await versionsOf(records, row, options) };
}

const notFound = (manifest: BlobAddress): HoldfastError =>
  new HoldfastError('NotFound', `this vault has no object ${manifest}`, {
    code: 'manifest_not_found',
    hint: 'It may have been deleted; see `holdfast manifests`.',
  });

interface StoredAt {
  readonly manifest: BlobAddress;
  readonly storedMs: number;
}

async function rowOf(
  { records, sealed }: ObjectsContext,
  { manifest, storedMs }: StoredAt,
  tolerates: number | undefined,
  options: AbortOptions,
): Promise<ObjectRow> {
  const block = await localRoot(records, manifest, options);
  const record = block && readable(() => decodeRoot(block));
  const opened =
    sealed || block === undefined ? undefined : readable(() => openRoot(block, records.keys.wrap));
  const named = opened && (await standingOf(records, manifest, opened, options));
  return {
    manifest,
    storedMs,
    summary: record && summaryOf(record),
    tolerates,
    state: named?.state ?? 'unknown',
    name: opened?.secrets.name,
    version: named?.version,
    size: opened?.secrets.size,
    contentType: opened?.secrets.contentType,
  };
}

/** Whether its name stands for it still. */
async function standingOf(
  records: RecordsContext,
  manifest: BlobAddress,
  { secrets: { name } }: OpenRoot,
  options: AbortOptions,
): Promise<{ readonly state: ObjectRow['state']; readonly version?: number }> {
  if (name === undefined) return { state: 'unnamed' };
  const pointer = await readName(records, name, options).catch((error: unknown) => {
    if (isHoldfastError(error, 'Corrupt')) return undefined;
    throw error;
  });
  if (pointer === undefined) return { state: 'unknown' };
  if (pointer.manifest === manifest) return { state: 'current', version: pointer.version };
  return { state: pointer.manifest === undefined ? 'removed' : 'replaced' };
}

/** What is kept under the object's name, the one that it stands for first, then those that go last. */
async function versionsOf(
  records: RecordsContext,
  { manifest, name, state }: ObjectRow,
  options: AbortOptions,
): Promise<readonly VersionRow[]> {
  if (name === undefined) return [];
  const pointer = state === 'unknown' ? undefined : await readName(records, name, options);
  const versions: VersionRow[] = [];
  const nameKey = records.keys.nameKey(name);
  const range = { ...options, reverse: true, limit: MAX_RETIRED, onDamaged: () => {} };
  for await (const { version } of retiredVersions(records, range)) {
    if (version?.nameKey !== nameKey && version?.manifest !== manifest) continue;
    const { why, sinceMs, dueMs } = version;
    versions.push({ manifest: version.manifest, state: why, sinceMs, dueMs });
    if (versions.length === MAX_VERSIONS) break;
  }
  if (pointer?.manifest === undefined) return versions;
  const now = { manifest: pointer.manifest, state: 'current', sinceMs: undefined, dueMs: undefined } as const;
  return [now, ...versions];
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof HoldfastError) return undefined;
    throw error;
  }
}

export function summaryOf(root: RootRecord): Omit<ManifestSummary, 'manifest' | 'storedMs'> {
  const { chunks, compression, certificate, providers } = root;
  return {
    chunks,
    code: certificate.code,
    compression,
    fallback: fallbacksIn(root),
    providers,
    certificate,
  };
}
