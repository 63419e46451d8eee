import type PQueue from 'p-queue';
import { shardStride } from '../../coding/erasure/shape.ts';
import { allOrFirstError, throwIfAborted } from '../../core/abort.ts';
import { addressOf } from '../../core/address.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { PackRecord } from '../../manifest/segment.ts';
import { NOT_PLACED } from '../../placement/domains.ts';
import { reassign } from '../../placement/reassign.ts';
import type { ShardMap } from '../ports.ts';
import type { BuiltChunk } from './segment-builder.ts';
import type { PutSession } from './session.ts';

export interface StoredPacks {
  readonly packs: readonly PackRecord[];
  /** Pack index by (chunk, shard). */
  readonly places: Uint8Array;
}

/** A pack on its way: which shards, as `chunk × totalShards + shard`, at which provider. */
interface Draft {
  readonly provider: number;
  readonly shards: readonly number[];
}

/**
 * Stores a segment's shards, one pack a provider. What a failing provider would have held is dealt out over the
 * others at once; the maps it ends with go to the certificate.
 * @throws HoldfastError `Unavailable`, code `not_enough_providers`, when none is left to take a shard.
 */
export async function storePacks(
  session: PutSession,
  chunks: readonly BuiltChunk[],
  queue: PQueue,
): Promise<StoredPacks> {
  const shards = chunks[0]!.encoded.digests.length / 32;
  const maps = chunks.map((chunk) => session.mapOf(chunk.index));
  const packs: PackRecord[] = [];
  const places = new Uint8Array(shards * chunks.length);
  let drafts = draftPacks(maps, allShards(chunks.length, shards), shards);
  // Each round either ends or takes one more provider out of use.
  for (let round = 0; drafts.length > 0 && round <= session.placed.length; round++) {
    const outcomes = await allOrFirstError(
      drafts.map((draft) => queue.add(() => storeDraft(session, chunks, draft, shards))),
    );
    throwIfAborted(session.signal, 'put');
    const homeless: number[] = [];
    outcomes.forEach((pack, i) => {
      const { shards: held } = drafts[i]!;
      if (pack === undefined) homeless.push(...held);
      else {
        const index = packs.push(pack) - 1;
        for (const at of held) places[at] = index;
      }
    });
    rehouse(session, maps, homeless, shards);
    drafts = draftPacks(maps, homeless, shards);
  }
  for (const map of maps) session.recordMap(map);
  return { packs, places };
}

const allShards = (chunks: number, shards: number): number[] =>
  Array.from({ length: chunks * shards }, (_, at) => at);

function draftPacks(maps: readonly ShardMap[], shardList: readonly number[], shards: number): Draft[] {
  const byProvider = new Map<number, number[]>();
  for (const at of shardList) {
    const provider = maps[Math.floor(at / shards)]![at % shards]!;
    const held = byProvider.get(provider);
    if (held === undefined) byProvider.set(provider, [at]);
    else held.push(at);
  }
  return [...byProvider].map(([provider, held]) => ({ provider, shards: held }));
}

/** Finds shards without a home another one, where their chunk then survives most. */
function rehouse(session: PutSession, maps: ShardMap[], homeless: readonly number[], shards: number): void {
  const byChunk = new Map<number, number[]>();
  for (const at of homeless) {
    const chunk = Math.floor(at / shards);
    byChunk.set(chunk, [...(byChunk.get(chunk) ?? []), at % shards]);
  }
  // Chunks repeat each other's maps as the rotation comes round.
  const solved = new Map<string, ShardMap>();
  const { code, candidates: providers } = session;
  const { failureDomain } = session.context.policy;
  for (const [chunk, move] of byChunk) {
    const places = maps[chunk]!;
    const key = `${places.join()}|${move.join()}`;
    const moved = solved.get(key) ?? reassign({ code, providers, failureDomain, places, move });
    if (moved.includes(NOT_PLACED)) throw nobodyLeft(session);
    solved.set(key, moved);
    maps[chunk] = moved;
  }
}

/** @returns undefined when the provider did not take it. */
async function storeDraft(
  session: PutSession,
  chunks: readonly BuiltChunk[],
  draft: Draft,
  shards: number,
): Promise<PackRecord | undefined> {
  const { context, signal } = session;
  const provider = session.placed[draft.provider]!;
  const { ranges, parts, length } = gather(chunks, draft, shards, session);
  const [digest] = await context.cpu.hash({ ranges: [ranges] });
  const address = addressOf(digest!);
  const started = context.clock.monotonic();
  const outcome = { operation: 'store', bytes: length } as const;
  const elapsed = (): number => context.clock.monotonic() - started;
  await session.journal.intend(provider.id, address);
  try {
    await provider.adapter.store(address, parts, { signal });
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const error = asHoldfastError(thrown, { provider: provider.id, operation: 'store' });
    if (isHoldfastError(error, 'Unexpected')) throw error;
    session.providerFailed(provider, error, length);
    context.directory.report(provider.id, { ...outcome, elapsedMs: elapsed(), error });
    return undefined;
  }
  session.acknowledged(provider.id, address, length);
  context.directory.report(provider.id, { ...outcome, elapsedMs: elapsed() });
  return { provider: provider.id, address, length };
}

/** The draft's shards in pack order, as ranges of the arena and as views. */
function gather(
  chunks: readonly BuiltChunk[],
  draft: Draft,
  shards: number,
  session: PutSession,
): { ranges: number[]; parts: Uint8Array[]; length: number } {
  const isData = (at: number): boolean => at % shards < session.code.dataShards;
  const order = [...draft.shards.filter(isData), ...draft.shards.filter((at) => !isData(at))];
  const ranges: number[] = [];
  const parts: Uint8Array[] = [];
  let length = 0;
  for (const at of order) {
    const { slab, encoded } = chunks[Math.floor(at / shards)]!;
    const offset = (at % shards) * shardStride(encoded.shardLength);
    ranges.push(slab.offset + offset, encoded.shardLength);
    parts.push(slab.bytes.subarray(offset, offset + encoded.shardLength));
    length += encoded.shardLength;
  }
  return { ranges, parts, length };
}

function nobodyLeft(session: PutSession): HoldfastError {
  const failures = session.failedAttempts.map(({ provider, error }) => `${provider}: ${error}`);
  return new HoldfastError('Unavailable', 'no provider is left to take the shards', {
    code: 'not_enough_providers',
    hint: 'See `holdfast providers` for the state of each; free space or bring providers back, then try again.',
    context: { failures },
  });
}
