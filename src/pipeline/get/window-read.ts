import type PQueue from 'p-queue';
import { allOrFirstError, throwIfAborted } from '../../core/abort.ts';
import { asHoldfastError } from '../../core/errors.ts';
import type { OpenRoot } from '../../manifest/root.ts';
import { type DamageLog, problemOf } from '../damage.ts';
import type { SegmentView } from '../object-view.ts';
import type { VaultContext } from '../ports.ts';
import { ChunkFetch } from './chunk-fetch.ts';
import { isLast, type Window } from './window.ts';

/** What one read shares between its windows. */
export interface ReadState {
  readonly context: VaultContext;
  readonly root: OpenRoot;
  readonly damage: DamageLog;
  readonly queue: PQueue;
  readonly signal: AbortSignal;
  /** Providers that did not answer; the rest of the read does without them. */
  readonly avoid: Set<string>;
}

/** One chunk of plaintext, borrowed: valid until released. */
export interface PlainChunk {
  readonly bytes: Uint8Array;
  readonly plainStart: number;
  release(): void;
}

/** Fetches, checks and decodes the chunks of a window. On failure all its memory is given back. */
export async function readWindow(state: ReadState, window: Window): Promise<PlainChunk[]> {
  const { view } = window.segment;
  const fetches: ChunkFetch[] = [];
  try {
    for (const chunk of window.chunks) {
      fetches.push(await ChunkFetch.start(state.context, view, chunk, state.signal));
    }
    await fetchUntilDecodable(state, view, fetches);
    return await allOrFirstError(fetches.map((fetch, i) => decode(state, window, fetch, i)));
  } catch (error) {
    for (const fetch of fetches) fetch.release();
    throw error;
  }
}

/** Every round either completes or rules out at least one shard, so the rounds are bounded. */
async function fetchUntilDecodable(
  state: ReadState,
  view: SegmentView,
  fetches: readonly ChunkFetch[],
): Promise<void> {
  for (;;) {
    throwIfAborted(state.signal, 'get');
    const reads = new PackReads(view);
    for (const fetch of fetches) {
      const wanted = fetch.wanted(state.avoid);
      await fetch.makeRoom(wanted, state.signal);
      for (const shard of wanted) reads.add(fetch, shard);
    }
    if (reads.empty) return;
    await allOrFirstError(
      reads.ranges().map((range) => state.queue.add(() => readRange(state, view, range))),
    );
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
    if (result.bad === undefined) {
      const bytes = result.plain ?? fetch.plainInPlace(secrets.plainLens[chunk]!);
      return { bytes, plainStart: window.plainStarts[i]!, release: () => fetch.release() };
    }
    for (const shard of result.bad) {
      fetch.present.delete(shard);
      exclude(state, view, fetch, shard, 'corrupt');
    }
    await fetchUntilDecodable(state, view, [fetch]);
  }
}

function exclude(
  state: ReadState,
  view: SegmentView,
  fetch: ChunkFetch,
  shard: number,
  problem: 'missing' | 'corrupt' | 'unavailable',
  detail?: string,
): void {
  fetch.excluded.add(shard);
  const pack = view.record.packs[view.record.places[fetch.chunk * view.code.totalShards + shard]!]!;
  state.damage.add({
    provider: pack.provider,
    problem,
    blob: pack.address,
    chunk: view.record.firstChunk + fetch.chunk,
    shard,
    ...(detail === undefined ? {} : { detail }),
  });
}

interface ShardRead {
  readonly fetch: ChunkFetch;
  readonly shard: number;
  readonly offset: number;
}

interface PackRange {
  readonly pack: number;
  readonly shards: ShardRead[];
}

/** Shards to read, gathered into as few ranges as possible. */
class PackReads {
  readonly #view: SegmentView;
  readonly #byPack: Map<number, ShardRead[]> = new Map();

  constructor(view: SegmentView) {
    this.#view = view;
  }

  get empty(): boolean {
    return this.#byPack.size === 0;
  }

  add(fetch: ChunkFetch, shard: number): void {
    const at = fetch.chunk * this.#view.code.totalShards + shard;
    const pack = this.#view.record.places[at]!;
    const read = { fetch, shard, offset: this.#view.layout.offsets[at]! };
    const reads = this.#byPack.get(pack);
    if (reads === undefined) this.#byPack.set(pack, [read]);
    else reads.push(read);
  }

  ranges(): PackRange[] {
    const ranges: PackRange[] = [];
    for (const [pack, reads] of this.#byPack) {
      reads.sort((a, b) => a.offset - b.offset);
      let end = -1;
      for (const read of reads) {
        if (read.offset === end) ranges[ranges.length - 1]!.shards.push(read);
        else ranges.push({ pack, shards: [read] });
        end = read.offset + read.fetch.shardLength;
      }
    }
    return ranges;
  }
}

async function readRange(state: ReadState, view: SegmentView, range: PackRange): Promise<void> {
  const { context, signal } = state;
  const pack = view.record.packs[range.pack]!;
  const bytes = range.shards.reduce((sum, { fetch }) => sum + fetch.shardLength, 0);
  const started = context.clock.monotonic();
  const report = (error?: unknown): void =>
    context.directory.report(pack.provider, {
      operation: 'fetch',
      bytes,
      elapsedMs: context.clock.monotonic() - started,
      ...(error === undefined ? {} : { error }),
    });
  try {
    const provider = context.directory.get(pack.provider);
    if (provider === undefined) throw new Error('the provider is not in the configuration');
    const into = range.shards.map(({ fetch, shard }) => fetch.bytesOf(shard));
    await provider.adapter.fetchRange(pack.address, range.shards[0]!.offset, into, { signal });
    for (const { fetch, shard } of range.shards) fetch.present.add(shard);
    report();
  } catch (thrown) {
    throwIfAborted(signal, 'get');
    const error = asHoldfastError(thrown);
    const problem = problemOf(error);
    if (problem === 'unavailable') state.avoid.add(pack.provider);
    report(error);
    for (const { fetch, shard } of range.shards) exclude(state, view, fetch, shard, problem, error.message);
  }
}
