import type PQueue from 'p-queue';
import { allOrFirstError, throwIfAborted } from '../../core/abort.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { MAX_PACKS } from '../../manifest/limits.ts';
import type { PackRecord } from '../../manifest/segment.ts';
import { NOT_PLACED } from '../../placement/domains.ts';
import { reassign } from '../../placement/reassign.ts';
import type { Provider } from '../../providers/provider.ts';
import { timed } from '../accounting.ts';
import type { ShardMap } from '../ports.ts';
import { type AddressedPack, addressDraft, type Draft, draftPacks } from './pack-draft.ts';
import { PackRace } from './pack-race.ts';
import type { BuiltChunk } from './segment-builder.ts';
import type { PutSession } from './session.ts';

export interface StoredPacks {
  readonly packs: readonly PackRecord[];
  /** Pack index by (chunk, shard). */
  readonly places: Uint8Array;
}

/**
 * Stores a segment's shards, one pack a provider. What a failing or hopelessly slow provider would have held is dealt
 * out over the others at once; the maps it ends with go to the certificate. When this settles, nobody reads the
 * segment's memory any more.
 * @throws HoldfastError `Unavailable`, code `not_enough_providers`, when none is left to take a shard.
 */
export async function storePacks(
  session: PutSession,
  chunks: readonly BuiltChunk[],
  queue: PQueue,
): Promise<StoredPacks> {
  const { totalShards } = session.code;
  const maps = chunks.map((chunk) => session.mapOf(chunk.index));
  const packs: PackRecord[] = [];
  const places = new Uint8Array(totalShards * chunks.length);
  const race = new PackRace(session);
  const plainShare = plainShareOf(session, chunks);
  let drafts = draftPacks(maps, [...places.keys()], totalShards);
  try {
    // Each round either ends or takes one more provider out of use.
    for (let round = 0; drafts.length > 0 && round <= session.placed.length; round++) {
      race.begin(drafts.length);
      const outcomes = await allOrFirstError(
        drafts.map((draft) => queue.add(() => storeDraft(session, chunks, draft, race, plainShare))),
      );
      throwIfAborted(session.signal, 'put');
      const homeless: number[] = [];
      outcomes.forEach((pack, i) => {
        const { shards } = drafts[i]!;
        if (pack === undefined) homeless.push(...shards);
        else {
          if (packs.length === MAX_PACKS) throw tooManyPacks();
          const index = packs.push(pack) - 1;
          for (const at of shards) places[at] = index;
        }
      });
      rehouse(session, maps, homeless);
      drafts = draftPacks(maps, homeless, totalShards);
    }
  } finally {
    await race.end();
  }
  for (const map of maps) session.recordMap(map);
  return { packs, places };
}

/** Plaintext that a byte of the segment's packs stands for: it is acknowledged by and by, as they are. */
function plainShareOf({ code }: PutSession, chunks: readonly BuiltChunk[]): number {
  let plain = 0;
  let packed = 0;
  for (const { plainLength, encoded } of chunks) {
    plain += plainLength;
    packed += code.totalShards * encoded.shardLength;
  }
  return packed === 0 ? 0 : plain / packed;
}

/** Finds shards without a home another one, where their chunk then survives most. */
function rehouse(session: PutSession, maps: ShardMap[], homeless: readonly number[]): void {
  const { code, candidates: providers } = session;
  const { failureDomain } = session.context.policy;
  const byChunk = new Map<number, number[]>();
  for (const at of homeless) {
    const chunk = Math.floor(at / code.totalShards);
    byChunk.set(chunk, [...(byChunk.get(chunk) ?? []), at % code.totalShards]);
  }
  // Chunks repeat each other's maps as the rotation comes round.
  const solved = new Map<string, ShardMap>();
  for (const [chunk, move] of byChunk) {
    const places = maps[chunk]!;
    const key = `${places.join()}|${move.join()}`;
    const moved = solved.get(key) ?? reassign({ code, providers, failureDomain, places, move });
    if (moved.includes(NOT_PLACED)) throw nobodyLeft(session);
    solved.set(key, moved);
    maps[chunk] = moved;
  }
}

/** @returns undefined when the provider did not take it, or not in time. */
async function storeDraft(
  session: PutSession,
  chunks: readonly BuiltChunk[],
  draft: Draft,
  race: PackRace,
  plainShare: number,
): Promise<PackRecord | undefined> {
  const { context } = session;
  const provider = session.placed[draft.provider]!;
  const { address, parts, length } = await addressDraft(session, chunks, draft);
  const sending = session.sending.get(provider.id) ?? 0;
  const noRoom = context.directory.noRoom(provider.id, sending + length);
  if (noRoom !== undefined) {
    session.providerFailed(provider, new HoldfastError('QuotaExceeded', noRoom), length);
    return undefined;
  }
  session.sending.set(provider.id, sending + length);
  try {
    const held = new Set(draft.shards.map((at) => Math.floor(at / session.code.totalShards)));
    const pack = { address, parts, length, chunks: held.size };
    const stored = await sendDraft(session, provider, pack, race);
    if (stored !== undefined) session.plainAcknowledged(length * plainShare);
    return stored;
  } finally {
    session.sending.set(provider.id, session.sending.get(provider.id)! - length);
  }
}

async function sendDraft(
  session: PutSession,
  provider: Provider,
  { address, parts, length, chunks }: AddressedPack & { readonly chunks: number },
  race: PackRace,
): Promise<PackRecord | undefined> {
  const { context, signal } = session;
  await session.intend(provider.id, address);
  const started = context.clock.monotonic();
  const report = (error?: unknown): void => {
    const elapsedMs = context.clock.monotonic() - started;
    context.directory.report(provider.id, {
      operation: 'store',
      bytes: length,
      elapsedMs,
      chunks,
      ...(error === undefined ? {} : { error }),
    });
  };
  try {
    const store = (stop: AbortSignal): Promise<unknown> =>
      provider.adapter.store(address, parts, { signal: stop });
    await timed(context, 'store', () => race.run(provider, length, store));
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const error = asHoldfastError(thrown, { provider: provider.id, operation: 'store' });
    if (isHoldfastError(error, 'Unexpected')) throw error;
    session.providerFailed(provider, error, length);
    report(error);
    return undefined;
  }
  session.acknowledged(provider.id, address, length);
  report();
  return { provider: provider.id, address, length };
}

function tooManyPacks(): HoldfastError {
  return new HoldfastError('Unavailable', `a segment would need more than ${MAX_PACKS} packs`, {
    code: 'not_enough_providers',
    hint: 'Too many providers failed at once; nothing was stored. See `holdfast providers`.',
  });
}

function nobodyLeft(session: PutSession): HoldfastError {
  const failures = session.failedAttempts.map(({ provider, error }) => `${provider}: ${error}`);
  return new HoldfastError('Unavailable', 'no provider is left to take the shards', {
    code: 'not_enough_providers',
    hint: 'See `holdfast providers` for the state of each; free space or bring providers back, then try again.',
    context: { failures },
  });
}
