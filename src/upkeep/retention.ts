import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { recordedTime } from '../core/clock.ts';
import { type EachOptions, eachAlone } from '../core/pieces.ts';
import { openPointer } from '../manifest/pointer.ts';
import { openRoot } from '../manifest/root.ts';
import { type BlobAt, placeOf } from '../records/claims.ts';
import type { RecordsContext, Retention, Retired, RetiredVersion } from '../records/context.ts';
import { forgetDamage } from '../records/damage.ts';
import { deleteOrQueue, queueDeletes } from '../records/deletes.ts';
import { isNamed } from '../records/forks.ts';
import { generationOf } from '../records/generation.ts';
import { ending, forgetRoot } from '../records/manifests.ts';
import { NAMES_TABLE } from '../records/name-record.ts';
import { type Poison, PoisonLog } from '../records/poison.ts';
import { slotEnds } from '../records/relocation-slots.ts';
import { noRelocation, storedRelocations } from '../records/relocations.ts';
import { mayGo, noLongerRetired, RETIRED_TABLE, retiredVersions, retiring } from '../records/retired.ts';
import { opsInParts } from '../records/shard-index.ts';
import { recountIsDue } from '../records/usage.ts';
import { remainsOf, Unread } from './remains.ts';

/** What could not be deleted is tried again after this, then after twice as long, and so on. */
const RETRY_MS = 60_000;
const MAX_RETRY_MS = 3_600_000;
/**
 * A node is lost when all who have it gave other bytes, and nobody failed to answer, in so many attempts one after the
 * other, of which the first was so long ago.
 */
const LOST_ATTEMPTS = 6;
const LOST_AFTER_MS = 24 * 3_600_000;
/** Versions looked at in one go, and at once. */
const MAX_DUE = 256;
const PARALLEL = 4;

/** Keeps what was replaced for `replacedMs`, and what was removed not at all. */
export const createRetention = (context: RecordsContext, replacedMs: number): Retention => ({
  replacedMs,
  async retire(version, options = {}) {
    try {
      return await retireNow(context, version, options);
    } catch (thrown) {
      throwIfAborted(options.signal, 'retire');
      if (!(thrown instanceof Unread)) throw thrown;
      await postpone(context, { ...version, lost: lostSince(context, version, thrown) });
      return { deleted: 0, queued: 0, postponed: thrown.message };
    }
  },
});

/** What became of the versions that were due. */
export interface RetiredDue {
  readonly retired: number;
  /** Versions whose blobs could not be deleted yet, and why. */
  readonly postponed: readonly { readonly manifest: BlobAddress; readonly why: string }[];
  /** Of those retired, versions of which nodes were damaged wherever they were. What these led to is left to `gc`. */
  readonly lost: readonly { readonly manifest: BlobAddress; readonly nodes: number }[];
  /** Nothing is done about them. */
  readonly poison: Poison;
}

/**
 * Deletes the versions that are due. One that fails or takes too long keeps none of the others from it.
 * @throws HoldfastError what the engine throws when the records cannot be read; `Aborted` while they are.
 */
export async function retireDue(
  context: RecordsContext & { readonly retention: Retention },
  options: EachOptions = {},
): Promise<RetiredDue> {
  const now = recordedTime(context.clock);
  const poison = new PoisonLog(RETIRED_TABLE);
  await correctTimes(context, now, options);
  const due = await dueVersions(context, now, poison, options);
  const postponed: { manifest: BlobAddress; why: string }[] = [];
  const lost: { manifest: BlobAddress; nodes: number }[] = [];
  let retired = 0;
  const retire = async (version: RetiredVersion, signal: AbortSignal): Promise<void> => {
    const { manifest } = version;
    const { postponed: why, lost: nodes = 0 } = await context.retention.retire(version, { signal });
    if (why === undefined) retired++;
    else postponed.push({ manifest, why });
    if (nodes > 0) lost.push({ manifest, nodes });
  };
  const each = { ...options, parallel: PARALLEL };
  const failures = await eachAlone(context.clock, due, ({ manifest }) => manifest, each, retire);
  for (const { piece, error } of failures) {
    postponed.push({ manifest: piece as BlobAddress, why: error.message });
    // What takes too long is not to stand in the way of what is due later.
    const version = due.find(({ manifest }) => manifest === piece);
    const late = error.kind === 'Timeout' && options.signal?.aborted !== true;
    if (late && version !== undefined) await postpone(context, { ...version, begun: true });
  }
  return { retired, postponed, lost, poison };
}

/** As many as are looked at in one go. Those that must wait for their journal stand in nobody's way. */
async function dueVersions(
  context: RecordsContext,
  now: number,
  poison: PoisonLog,
  options: AbortOptions,
): Promise<RetiredVersion[]> {
  const due: RetiredVersion[] = [];
  for await (const { key, version } of retiredVersions(context, { ...options, onDamaged: poison.add })) {
    if (version === undefined) poison.add(key);
    else if (version.dueMs > now) break;
    else if (await mayGo(context, version)) due.push(version);
    if (due.length === MAX_DUE) break;
  }
  return due;
}

/** Times further away than any that are written: the clock was wrong then. They count from now. */
async function correctTimes(
  context: RecordsContext & { readonly retention: Retention },
  now: number,
  options: AbortOptions,
): Promise<void> {
  const { replacedMs } = context.retention;
  let left = MAX_DUE;
  const range = { ...options, reverse: true, onDamaged: () => {} };
  for await (const { version } of retiredVersions(context, range)) {
    if (version === undefined) continue;
    if (left-- === 0 || version.dueMs <= now + Math.max(replacedMs, MAX_RETRY_MS)) return;
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

/** An answer that was not definite says nothing, and the count begins anew. */
function lostSince(
  { clock }: RecordsContext,
  { lost }: RetiredVersion,
  { isLost }: Unread,
): RetiredVersion['lost'] {
  if (!isLost) return undefined;
  const nowMs = recordedTime(clock);
  return { attempts: (lost?.attempts ?? 0) + 1, sinceMs: Math.min(lost?.sinceMs ?? nowMs, nowMs) };
}

/** This attempt is one of them. */
function isLostForGood({ clock }: RecordsContext, { lost }: RetiredVersion): boolean {
  if (lost === undefined || lost.attempts < LOST_ATTEMPTS - 1) return false;
  return recordedTime(clock) - lost.sinceMs >= LOST_AFTER_MS;
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
  const withoutLost = isLostForGood(context, version);
  const remains = await remainsOf(context, manifest, { ...options, withoutLost });
  const { block, packs, nodes, segments, unindexed, lost } = remains;
  if (await isReferredTo(context, version, block, options)) {
    await context.engine.batch([noLongerRetired(version), ending(manifest, false)]);
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
  // Cut off from here on, nobody can tell what was counted as deleted already. Nobody stores more of it either.
  await context.engine.batch([retiring({ ...version, begun: true }), ending(manifest, true)]);
  const known = new Set<string>(packs.map(placeOf));
  let all = 0;
  let queued = 0;
  for (const blobs of stages) {
    if (!(await mayGoOn(context, options))) {
      await postpone(context, { ...version, begun: true });
      return { deleted: all - queued, queued, postponed: NOT_THE_LATEST };
    }
    all += blobs.length;
    queued += await deleteOrQueue(context, blobs, options);
    // What leads to where the shards were moved to goes after them, and before what leads to it.
    if (blobs === packs) await dropMoved(context, { manifest, segments }, known);
    if (blobs === packs) await forgetDamage(context, [manifest, ...nodes.flat()]);
  }
  // Whatever was cut off is queued, so it is done, also when the signal has fired.
  const [first = [], ...rest] = opsInParts(unindexed);
  await forgetRoot(context, manifest, {}, [noLongerRetired(version), ...first]);
  for (const rows of rest) await context.engine.batch(rows);
  if (version.begun || lost.length > 0) await recountIsDue(context);
  const done = { deleted: all - queued, queued };
  return lost.length > 0 ? { ...done, lost: lost.length } : done;
}

/** Forgets where shards were moved to. Packs that somebody moved some to just before it began are queued first. */
async function dropMoved(
  context: RecordsContext,
  { manifest, segments }: { readonly manifest: BlobAddress; readonly segments: readonly BlobAddress[] },
  known: ReadonlySet<string>,
): Promise<void> {
  if ((await context.relocations.open({ fresh: true })) === undefined) return;
  for (const segment of segments) {
    const { keys, records } = await storedRelocations(context.engine, segment);
    const moved = records.flatMap(({ packs }) => packs.filter((pack) => !known.has(placeOf(pack))));
    // What they take up is known to the rows of their moves.
    await queueDeletes(
      context,
      moved.map((pack) => ({ ...pack, bytes: 0 })),
    );
    if (keys.length === 0) continue;
    await context.engine.batch([...keys.map(noRelocation), slotEnds(context, segment, manifest)]);
  }
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

/** Reading and deleting takes a while. Once it is cut off nothing is sent any more, only queued. */
async function mayGoOn(context: RecordsContext, { signal }: AbortOptions): Promise<boolean> {
  if (signal?.aborted) return true;
  try {
    return (await generationOf(context).standing({ signal })).state === 'confirmed';
  } catch (error) {
    if (signal?.aborted) return true;
    throw error;
  }
}

const NOT_THE_LATEST = 'this state is not known to be the latest';
