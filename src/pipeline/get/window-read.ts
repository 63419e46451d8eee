import { shardStride } from '../../coding/erasure/shape.ts';
import { allOrFirstError, throwIfAborted } from '../../core/abort.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { chunkDigests } from '../../object/places.ts';
import type { ReadableSegment } from '../../object/readable-segments.ts';
import { timed } from '../../telemetry/metrics.ts';
import { accountFor } from '../cpu/jobs.ts';
import { ChunkFetch, NoRoom } from './chunk-fetch.ts';
import { RangePlan, RangeReads } from './range-reads.ts';
import type { ObjectReadState, ReadState } from './read-state.ts';

/** Consecutive chunks of one segment that are fetched together, a range per pack. */
export interface ReadWindow {
  readonly segment: ReadableSegment;
  /** Indices within the segment. */
  readonly chunks: readonly number[];
  /** Offset of each chunk's plaintext in the object. */
  readonly plainStarts: readonly number[];
}

/** One chunk of plaintext, borrowed: valid until released. */
export interface PlainChunk {
  readonly bytes: Uint8Array;
  readonly plainStart: number;
  release(): void;
}

/**
 * Fetches, checks and decodes the chunks of a window. Where too little is found of it, the providers are asked once for each segment
 * where else its shards may be. On failure all its memory is given back.
 */
export async function readWindow(state: ObjectReadState, window: ReadWindow): Promise<PlainChunk[]> {
  const { segment } = window;
  const known = await state.toldOf(segment);
  if (known !== undefined) return readFrom(state, { ...window, segment: known });
  try {
    return await readFrom(state, window);
  } catch (error) {
    if (!isHoldfastError(error) || error.code !== 'undecodable') throw error;
    const told = await state.askFor(segment);
    if (told === undefined) throw error;
    return readFrom(state, { ...window, segment: told });
  }
}

async function readFrom(state: ObjectReadState, window: ReadWindow): Promise<PlainChunk[]> {
  const excluded = window.chunks.map(() => new Set<number>());
  // Started again only with more spares than before, of which there are no more than shards.
  for (;;) {
    const fetches = await startFetches(state, window, excluded);
    try {
      await fetchShards(state, fetches);
      return await allOrFirstError(fetches.map((fetch, i) => decode(state, window, fetch, i)));
    } catch (error) {
      for (const fetch of fetches) fetch.release();
      if (!(error instanceof NoRoom)) throw error;
      state.needsSpares(error.spares);
    }
  }
}

/**
 * All chunks of a window, their memory granted in one piece.
 * @param excluded by chunk, shards known to be no good; added to.
 */
async function startFetches(
  state: ReadState,
  { segment: { view, secrets }, chunks }: ReadWindow,
  excluded: readonly Set<number>[],
): Promise<ChunkFetch[]> {
  const { context, spares, signal } = state;
  const lengths = chunks.map((chunk) => {
    const stride = shardStride(view.shardLengths[chunk]!);
    return spares * stride + Math.max(view.code.dataShards * stride, secrets.plainLens[chunk]!);
  });
  const slabs = await timed(context, 'memory', () => context.arena.allocateEach(lengths, signal));
  return chunks.map((chunk, i) => new ChunkFetch(state, view, chunk, slabs[i]!, spares, excluded[i]!));
}

/**
 * Fetches until every chunk has what is wanted of it. Every turn either completes, rules out a place of a shard, finds a range too slow or a provider given a rest, each of
 * which can happen to a place once: so the turns are bounded.
 */
export async function fetchShards(state: ReadState, fetches: readonly ChunkFetch[]): Promise<void> {
  const reads = new RangeReads(state);
  let complete = false;
  try {
    for (;;) {
      throwIfAborted(state.signal, 'get');
      const plan = new RangePlan();
      for (const fetch of fetches) {
        const wanted = fetch.wanted();
        fetch.makeRoom(wanted);
        for (const shard of wanted) plan.add(fetch, shard);
      }
      for (const range of plan.ranges()) reads.launch(range);
      complete = fetches.every((fetch) => fetch.complete);
      if (complete) {
        await reads.blameMissing();
        return;
      }
      await reads.change();
    }
  } finally {
    await reads.end(complete);
  }
}

async function decode(
  state: ObjectReadState,
  window: ReadWindow,
  fetch: ChunkFetch,
  i: number,
): Promise<PlainChunk> {
  const { context, opened } = state;
  const { view, secrets } = window.segment;
  const { record, code } = view;
  const { chunk } = fetch;
  const { keys, record: root } = opened.root;
  const index = record.firstChunk + chunk;
  const salt = secrets.salts.subarray(16 * chunk, 16 * chunk + 16);
  for (;;) {
    const started = context.clock.monotonic();
    const result = await context.cpu.decode({
      code: code.params,
      key: keys.chunkKey(secrets.leads[chunk]!, salt, index),
      objectId: root.objectId,
      index,
      last: index === root.chunks - 1,
      plainLength: secrets.plainLens[chunk]!,
      offsets: fetch.offsets,
      shardLength: fetch.shardLength,
      present: fetch.present,
      digests: chunkDigests(view, chunk),
      tag: record.tags.subarray(16 * chunk, 16 * chunk + 16),
      codec: secrets.codecs[chunk]!,
      storedLength: secrets.storedLens[chunk]!,
    });
    accountFor(context, started, result.spent);
    if (result.bad.length === 0) {
      const bytes = fetch.plainInPlace(secrets.plainLens[chunk]!);
      return { bytes, plainStart: window.plainStarts[i]!, release: () => fetch.release() };
    }
    blameForWrong(state, fetch, result.bad);
    await fetchShards(state, [fetch]);
  }
}

/** Shards that came are not what the manifest says: they are looked for elsewhere. */
export function blameForWrong(
  { context }: Pick<ReadState, 'context'>,
  fetch: ChunkFetch,
  bad: readonly number[],
): void {
  for (const provider of fetch.foundWrong(bad)) {
    const error = new HoldfastError('Corrupt', 'it sent other bytes than were stored', { provider });
    const bytes = fetch.shardLength;
    context.directory.report(provider, { operation: 'fetch', bytes, elapsedMs: 0, error });
  }
}
