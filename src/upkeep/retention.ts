import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { recordedTime } from '../core/clock.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../core/errors.ts';
import { openPointer } from '../manifest/pointer.ts';
import { decodeRoot, openRoot } from '../manifest/root.ts';
import { DamageLog } from '../object/damage.ts';
import { fetchNode } from '../object/fetch-node.ts';
import { publicTree, walkManifest } from '../object/manifest-tree.ts';
import { allPacks, keptPacks } from '../object/relocations.ts';
import type { BlobAt } from '../records/claims.ts';
import type { RecordsContext, Retention, Retired, RetiredVersion } from '../records/context.ts';
import { deleteOrQueue } from '../records/deletes.ts';
import { isNamed } from '../records/forks.ts';
import { generationOf } from '../records/generation.ts';
import { forgetRoot, localRoot } from '../records/manifests.ts';
import { NAMES_TABLE } from '../records/name-record.ts';
import { forgetRelocations } from '../records/relocations.ts';
import { mayGo, noLongerRetired, retiredVersions, retiring } from '../records/retired.ts';

/** Nodes that all others lack are waited for so long at those that do not answer. */
const GIVE_UP_MS = 2_000;
/** What could not be deleted is tried again after this, then after twice as long, and so on. */
const RETRY_MS = 60_000;
const MAX_RETRY_MS = 3_600_000;
/** Versions looked at in one go. */
const MAX_DUE = 256;

/** Keeps what was replaced for `replacedMs`, and what was removed not at all. */
export const createRetention = (context: RecordsContext, replacedMs: number): Retention => ({
  replacedMs,
  async retire(version, options = {}) {
    try {
      return await retireNow(context, version, options);
    } catch (thrown) {
      throwIfAborted(options.signal, 'retire');
      if (!isHoldfastError(thrown) || thrown.code !== UNREADABLE) throw thrown;
      await postpone(context, version);
      return { deleted: 0, queued: 0, postponed: thrown.message };
    }
  },
});

/** What became of the versions that were due. */
export interface RetiredDue {
  readonly retired: number;
  /** Versions whose blobs could not be deleted yet, and why. */
  readonly postponed: readonly { readonly manifest: BlobAddress; readonly why: string }[];
  /** Records that cannot be read; nothing is done about them. */
  readonly poison: number;
}

/**
 * Deletes the versions that are due. One that fails keeps none of the others from it.
 * @throws HoldfastError `Aborted`; what the engine throws when the records cannot be read.
 */
export async function retireDue(
  context: RecordsContext & { readonly retention: Retention },
  options: AbortOptions = {},
): Promise<RetiredDue> {
  const now = recordedTime(context.clock);
  await correctTimes(context, now, options);
  const postponed: { manifest: BlobAddress; why: string }[] = [];
  let [retired, poison] = [0, 0];
  for await (const { key, version } of retiredVersions(context, { ...options, limit: MAX_DUE })) {
    if (version === undefined) poison++;
    if (Number(key.slice(0, 14)) > now) break;
    if (version === undefined) continue;
    try {
      if (!(await mayGo(context, version))) continue;
      const { postponed: why } = await context.retention.retire(version, options);
      if (why === undefined) retired++;
      else postponed.push({ manifest: version.manifest, why });
    } catch (thrown) {
      throwIfAborted(options.signal, 'retire');
      postponed.push({ manifest: version.manifest, why: asHoldfastError(thrown).message });
    }
  }
  return { retired, postponed, poison };
}

/** Times further away than any that are written: the clock was wrong then. They count from now. */
async function correctTimes(
  context: RecordsContext & { readonly retention: Retention },
  now: number,
  options: AbortOptions,
): Promise<void> {
  const { replacedMs } = context.retention;
  const last = retiredVersions(context, { ...options, limit: MAX_DUE, reverse: true });
  for await (const { version } of last) {
    if (version === undefined) continue;
    if (version.dueMs <= now + Math.max(replacedMs, MAX_RETRY_MS)) return;
    const corrected = { ...version, sinceMs: now, dueMs: now + replacedMs };
    await context.engine.batch([noLongerRetired(version), retiring(corrected)]);
  }
}

async function postpone(context: RecordsContext, version: RetiredVersion): Promise<void> {
  const waitMs = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** Math.min(version.attempts, 10));
  const dueMs = recordedTime(context.clock) + waitMs;
  const later = { ...version, dueMs, attempts: version.attempts + 1 };
  const gone = later.dueMs === version.dueMs ? [] : [noLongerRetired(version)];
  await context.engine.batch([...gone, retiring(later)], [], { sync: true });
}

/**
 * Deletes the blobs of a version, and forgets it. From below: while a blob is there, so is what leads to it, and a call
 * that was cut off can be made again. What a name stands for stays; so does all of it if part of it cannot be read.
 */
async function retireNow(
  context: RecordsContext,
  version: RetiredVersion,
  options: AbortOptions,
): Promise<Retired> {
  const { manifest } = version;
  const { state } = await generationOf(context).standing(options);
  if (state !== 'confirmed') {
    await postpone(context, version);
    return { deleted: 0, queued: 0, postponed: NOT_THE_LATEST };
  }
  const { block, packs, nodes, relocated } = await remainsOf(context, manifest, options);
  if (await isReferredTo(context, version, block, options)) {
    await context.engine.batch([noLongerRetired(version)]);
    return { deleted: 0, queued: 0 };
  }
  /** A node may have a copy at every provider. */
  const everywhere = (addresses: readonly BlobAddress[]): BlobAt[] =>
    addresses.flatMap((address) =>
      context.directory.all().map(({ id }) => ({ provider: id, address, bytes: 0 })),
    );
  const stages = [packs, ...nodes.map(everywhere)];
  // The root is kept here until the end, so its copies may go with what it leads to.
  stages.at(-1)!.push(...everywhere([manifest]));
  let all = 0;
  let queued = 0;
  for (const blobs of stages) {
    all += blobs.length;
    queued += await deleteOrQueue(context, blobs, options);
    // What leads to where the shards were moved to goes after them, and before what leads to it.
    if (blobs === packs) await forgetRelocations(context.engine, relocated, options);
  }
  await forgetRoot(context, manifest, options, [noLongerRetired(version)]);
  return { deleted: all - queued, queued };
}

/** Whether a name stands for it now: the one it had, the one in its root, or one that a fork made of those. */
async function isReferredTo(
  context: RecordsContext,
  { manifest, nameKey }: RetiredVersion,
  block: Uint8Array | undefined,
  options: AbortOptions,
): Promise<boolean> {
  const names = new Set<string>();
  const sealed = nameKey && (await context.engine.table(NAMES_TABLE).get(nameKey, options));
  if (nameKey && sealed) names.add(openPointer(sealed, nameKey, context.keys.pointer).name);
  const inRoot = block && openRoot(block, context.keys.wrap).secrets.name;
  if (inRoot !== undefined) names.add(inRoot);
  for (const name of names) if (await isNamed(context, name, manifest)) return true;
  return false;
}

const NOT_THE_LATEST = 'this state is not known to be the latest';

interface Remains {
  /** The root; undefined: nobody has it any more. */
  readonly block: Uint8Array | undefined;
  readonly packs: BlobAt[];
  /** By depth: segments, then what leads to them. */
  readonly nodes: readonly (readonly BlobAddress[])[];
  /** Segments, by node or root, of which shards were moved. */
  readonly relocated: readonly BlobAddress[];
}

/**
 * Everything below a manifest. A node that all providers say they do not have was deleted before, and what is below it
 * before that.
 * @throws HoldfastError `Unavailable`, code `node_unavailable`, when one may be there and cannot be read.
 */
async function remainsOf(
  context: RecordsContext,
  manifest: BlobAddress,
  options: AbortOptions,
): Promise<Remains> {
  const damage = new DamageLog();
  const fetch = (address: BlobAddress): Promise<Uint8Array | undefined> =>
    unlessAbsent(context, fetchNode(context, address, damage, options.signal, GIVE_UP_MS), options);
  const block = (await localRoot(context, manifest, options)) ?? (await fetch(manifest));
  if (block === undefined) return { block, packs: [], nodes: [], relocated: [] };
  const root = decodeRoot(block);
  const tree = publicTree(root, fetch);
  const relocationsOf = await context.relocations.open({ ...options, fresh: true });
  const packs: BlobAt[] = [];
  const nodes: BlobAddress[][] = Array.from({ length: root.body.depth }, () => []);
  const relocated: BlobAddress[] = [];
  for await (const { address, depth, segment } of walkManifest(tree)) {
    if (segment === undefined) {
      nodes[depth]!.push(address!);
      continue;
    }
    const key = address ?? manifest;
    const relocations = (await relocationsOf?.(key)) ?? [];
    // What moved away is perhaps still there, but does not count any more.
    const counted = new Set(keptPacks(segment, relocations));
    for (const pack of allPacks(segment, relocations)) {
      const { provider, address, length } = pack;
      packs.push({ provider, address, bytes: counted.has(pack) ? length : 0 });
    }
    if (relocations.length > 0) relocated.push(key);
  }
  return { block, packs, nodes, relocated };
}

const UNREADABLE = 'node_unavailable';

async function unlessAbsent(
  { directory }: RecordsContext,
  node: Promise<Uint8Array>,
  { signal }: AbortOptions,
): Promise<Uint8Array | undefined> {
  try {
    return await node;
  } catch (cause) {
    throwIfAborted(signal, 'retire');
    if (isHoldfastError(cause, 'NotFound') && directory.all().length > 0) return undefined;
    const message = `what leads to its blobs cannot be read: ${asHoldfastError(cause).message}`;
    throw new HoldfastError('Unavailable', message, { code: UNREADABLE, status: 'temporary', cause });
  }
}
