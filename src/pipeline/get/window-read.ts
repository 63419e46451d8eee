import { allOrFirstError, throwIfAborted } from '../../core/abort.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { SegmentView } from '../../object/segment-view.ts';
import { accountFor } from '../accounting.ts';
import { ChunkFetch, NoRoom } from './chunk-fetch.ts';
import { PackReads } from './pack-reads.ts';
import { exclude, RangeReads } from './range-reads.ts';
import type { ReadState } from './read-state.ts';
import { isLast, type Window } from './window.ts';

/** One chunk of plaintext, borrowed: valid until released. */
export interface PlainChunk {
  readonly bytes: Uint8Array;
  readonly plainStart: number;
  release(): void;
}

/** Fetches, checks and decodes the chunks of a window. On failure all its memory is given back. */
export async function readWindow(state: ReadState, window: Window): Promise<PlainChunk[]> {
  const { context, signal } = state;
  const excluded = window.chunks.map(() => new Set<number>());
  // Started again only with more spares than before, of which there are no more than shards.
  for (;;) {
    const fetches = await ChunkFetch.startAll(context, window, state.spares, excluded, signal);
    try {
      await fetchUntilDecodable(state, window.segment.view, fetches);
      return await allOrFirstError(fetches.map((fetch, i) => decode(state, window, fetch, i)));
    } catch (error) {
      for (const fetch of fetches) fetch.release();
      if (!(error instanceof NoRoom)) throw error;
      state.spares = Math.max(state.spares, error.spares);
    }
  }
}

/**
 * Every turn either completes, rules out a shard, finds a range too slow or a provider given a rest, each of which can
 * happen to a shard once: so the turns are bounded.
 */
async function fetchUntilDecodable(
  state: ReadState,
  view: SegmentView,
  fetches: readonly ChunkFetch[],
): Promise<void> {
  const flight = new RangeReads(state, view);
  try {
    for (;;) {
      throwIfAborted(state.signal, 'get');
      const reads = new PackReads(view);
      for (const fetch of fetches) {
        const wanted = fetch.wanted(state.avoid);
        fetch.makeRoom(wanted);
        for (const shard of wanted) reads.add(fetch, shard);
      }
      for (const range of reads.ranges()) flight.launch(range);
      if (fetches.every((fetch) => fetch.complete)) {
        flight.blameMissing();
        return;
      }
      await flight.change();
    }
  } finally {
    await flight.end();
  }
}

async function decode(state: ReadState, window: Window, fetch: ChunkFetch, i: number): Promise<PlainChunk> {
  const { view, secrets } = window.segment;
  const { record, code } = view;
  const { chunk } = fetch;
  const index = record.firstChunk + chunk;
  const digests = record.shards.subarray(32 * chunk * code.totalShards, 32 * (chunk + 1) * code.totalShards);
  const salt = secrets.salts.subarray(16 * chunk, 16 * chunk + 16);
  for (;;) {
    const started = state.context.clock.monotonic();
    const result = await state.context.cpu.decode({
      code: code.params,
      key: state.root.keys.chunkKey(secrets.leads[chunk]!, salt, index),
      objectId: state.root.record.objectId,
      index,
      last: isLast(state.root, window.segment, chunk),
      plainLength: secrets.plainLens[chunk]!,
      offsets: fetch.offsets,
      shardLength: fetch.shardLength,
      present: [...fetch.present],
      digests,
      tag: record.tags.subarray(16 * chunk, 16 * chunk + 16),
      codec: secrets.codecs[chunk]!,
      storedLength: secrets.storedLens[chunk]!,
    });
    accountFor(state.context, started, result.spent);
    if (result.bad.length === 0) {
      const bytes = fetch.plainInPlace(secrets.plainLens[chunk]!);
      return { bytes, plainStart: window.plainStarts[i]!, release: () => fetch.release() };
    }
    for (const shard of result.bad) {
      fetch.present.delete(shard);
      exclude(state, view, fetch, shard, 'corrupt');
    }
    for (const provider of new Set(result.bad.map((shard) => fetch.providerOf(shard)))) {
      const error = new HoldfastError('Corrupt', 'it sent other bytes than were stored', { provider });
      const bytes = fetch.shardLength;
      state.context.directory.report(provider, { operation: 'fetch', bytes, elapsedMs: 0, error });
    }
    await fetchUntilDecodable(state, view, [fetch]);
  }
}
