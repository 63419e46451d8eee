import type PQueue from 'p-queue';
import { allOrFirstError, throwIfAborted } from '../../core/abort.ts';
import { asHoldfastError, HoldfastError } from '../../core/errors.ts';
import { MAX_PACKS } from '../../manifest/limits.ts';
import type { PackRecord } from '../../manifest/segment.ts';
import type { Provider } from '../../providers/provider.ts';
import { timed } from '../../telemetry/metrics.ts';
import {
  type AddressedPack,
  addressDraft,
  type Draft,
  draftPacks,
  fitDraft,
  takesAtMost,
} from './pack-draft.ts';
import { PackUploads } from './pack-uploads.ts';
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
  const { placements } = session;
  if (placements.usable.length === 0) nobodyLeft(session);
  let maps = chunks.map((chunk) => placements.mapOf(chunk.index));
  const packs: PackRecord[] = [];
  const places = new Uint8Array(totalShards * chunks.length);
  const race = new PackUploads(session);
  const plainShare = plainShareOf(session, chunks);
  let drafts = draftPacks(maps, [...places.keys()], totalShards);
  try {
    // Each round either ends or takes one more provider out of use.
    for (let round = 0; drafts.length > 0 && round <= placements.placed.length; round++) {
      const fitting = drafts.flatMap((draft) => fitted(session, chunks, draft));
      race.begin(fitting.length);
      const outcomes = await allOrFirstError(
        fitting.map((draft) => queue.add(() => storeDraft(session, chunks, draft, race, plainShare))),
      );
      throwIfAborted(session.signal, 'put');
      const unplaced: number[] = [];
      for (const { stored, left } of outcomes) {
        unplaced.push(...left);
        for (const { pack, shards } of stored) {
          if (packs.length === MAX_PACKS) throw tooManyPacks();
          const index = packs.push(pack) - 1;
          for (const at of shards) places[at] = index;
        }
      }
      maps = placements.reassigned(maps, unplaced) ?? nobodyLeft(session);
      drafts = draftPacks(maps, unplaced, totalShards);
    }
  } finally {
    await race.end();
  }
  for (const map of maps) placements.record(map);
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

/** What came of a draft: in more packs than one where the provider turned out to take less at once. */
interface Outcome {
  readonly stored: readonly { readonly pack: PackRecord; readonly shards: readonly number[] }[];
  /** Shards that the provider did not take, or not in time. */
  readonly left: readonly number[];
}

/** Halves of a limit that a server does not tell are soon tried out. */
const MAX_FITTINGS = 24;

function fitted(session: PutSession, chunks: readonly BuiltChunk[], draft: Draft): Draft[] {
  const { totalShards } = session.code;
  const lengthOf = (at: number): number => chunks[Math.floor(at / totalShards)]!.encoded.shardLength;
  return fitDraft(draft, lengthOf, takesAtMost(session.placements.placed[draft.provider]!));
}

async function storeDraft(
  session: PutSession,
  chunks: readonly BuiltChunk[],
  draft: Draft,
  race: PackUploads,
  plainShare: number,
): Promise<Outcome> {
  const stored: Outcome['stored'][number][] = [];
  let waiting: Draft[] = [draft];
  for (let fittings = 0; waiting.length > 0; ) {
    const [next, ...rest] = waiting;
    const sent = await storeFitting(session, chunks, next!, race, fittings < MAX_FITTINGS);
    if (sent === 'too long') {
      fittings++;
      waiting = waiting.flatMap((each) => fitted(session, chunks, each));
    } else if (sent === undefined) {
      return { stored, left: waiting.flatMap(({ shards }) => shards) };
    } else {
      session.outbox.plainAcknowledged(sent.length * plainShare);
      stored.push({ pack: sent, shards: next!.shards });
      waiting = rest;
    }
  }
  return { stored, left: [] };
}

/** @returns undefined when the provider did not take it; `too long` when it takes it in shorter pieces. */
async function storeFitting(
  session: PutSession,
  chunks: readonly BuiltChunk[],
  draft: Draft,
  race: PackUploads,
  mayFit: boolean,
): Promise<PackRecord | 'too long' | undefined> {
  const { context, code, outbox } = session;
  const provider = session.placements.placed[draft.provider]!;
  const addressed = await addressDraft(context, code, chunks, draft);
  const { length } = addressed;
  const noRoom = context.directory.noRoom(provider.id, outbox.sendingTo(provider.id) + length);
  if (noRoom !== undefined) {
    session.providerFailed(provider, new HoldfastError('QuotaExceeded', noRoom), length);
    return undefined;
  }
  const canFit = (): boolean => mayFit && draft.shards.length > 1 && takesAtMost(provider) < length;
  const held = new Set(draft.shards.map((at) => Math.floor(at / code.totalShards)));
  const pack = { ...addressed, chunks: held.size };
  return outbox.whileSending(provider.id, length, () => sendDraft(session, provider, pack, race, canFit));
}

async function sendDraft(
  session: PutSession,
  provider: Provider,
  { address, parts, length, chunks }: AddressedPack & { readonly chunks: number },
  race: PackUploads,
  canFit: () => boolean,
): Promise<PackRecord | 'too long' | undefined> {
  const { context, signal, outbox } = session;
  await outbox.intend(provider.id, address);
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
    if (error.kind === 'Unexpected') throw error;
    if (error.code === 'blob_too_large') {
      // Its limit is now known, and it is no failure of the provider's.
      outbox.refused(provider.id, address);
      if (canFit()) return 'too long';
      session.providerFailed(provider, error, length);
      return undefined;
    }
    session.providerFailed(provider, error, length);
    report(error);
    return undefined;
  }
  outbox.acknowledged(provider.id, address, length, 'shards');
  report();
  return { provider: provider.id, address, length };
}

function tooManyPacks(): HoldfastError {
  return new HoldfastError('Unavailable', `a segment would need more than ${MAX_PACKS} packs`, {
    code: 'not_enough_providers',
    hint: 'Too many providers failed at once; nothing was stored. See `holdfast providers`.',
  });
}

function nobodyLeft({ failures }: PutSession): never {
  throw new HoldfastError('Unavailable', 'no provider is left to take the shards', {
    code: 'not_enough_providers',
    hint: failures.has('blob_too_large') ? TOO_LARGE_HINT : FAILED_HINT,
    context: { failures: failures.lines },
  });
}

const FAILED_HINT =
  'See `holdfast providers` for the state of each; free space or bring providers back, then try again.';
const TOO_LARGE_HINT =
  'Servers refused the length of single shards: raise their limits for a request, or lower chunks.ladder.';
