import { type LinkedAbort, linkedAbort } from '../../core/abort.ts';
import { deferred } from '../../core/deferred.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { entryOf } from '../../core/maps.ts';
import {
  FEW_READS,
  hedgedAfter,
  SHARD_LOSERS,
  SHARD_READS,
  SMALL_READ_BYTES,
  SMALL_READS,
} from '../../core/straggler-policies.ts';
import { Stragglers, type WatchedPart } from '../../core/stragglers.ts';
import type { PackRecord } from '../../manifest/segment.ts';
import { problemOf } from '../../object/damage.ts';
import { timed } from '../../telemetry/metrics.ts';
import type { ChunkFetch } from './chunk-fetch.ts';
import type { ReadState } from './read-state.ts';

/** Shards that stand back to back in a pack. */
interface PackRange {
  readonly pack: PackRecord;
  readonly offset: number;
  readonly shards: ShardRead[];
}

interface ShardRead {
  readonly fetch: ChunkFetch;
  readonly shard: number;
  readonly offset: number;
}

/** Gathers shards to read into as few ranges as possible. */
export class RangePlan {
  readonly #byPack: Map<PackRecord, ShardRead[]> = new Map();

  add(fetch: ChunkFetch, shard: number): void {
    const { pack, offset } = fetch.placeOf(shard);
    entryOf(this.#byPack, pack, () => []).push({ fetch, shard, offset });
  }

  ranges(): PackRange[] {
    const ranges: PackRange[] = [];
    for (const [pack, reads] of this.#byPack) {
      reads.sort((a, b) => a.offset - b.offset);
      let end = -1;
      for (const read of reads) {
        if (read.offset === end) ranges[ranges.length - 1]!.shards.push(read);
        else ranges.push({ pack, offset: read.offset, shards: [read] });
        end = read.offset + read.fetch.shardLength;
      }
    }
    return ranges;
  }
}

interface RunningRead {
  readonly range: PackRange;
  readonly bytes: number;
  readonly startedMs: number;
  readonly stop: LinkedAbort;
  /** The provider failed before in this read: it is asked only because nothing else decodes. */
  readonly lastResort: boolean;
  readonly part: WatchedPart;
}

/**
 * Range reads on their way. One that is far behind the others is called slow, so that any other shard that adds rank
 * may be fetched in its stead; whoever is still reading when the chunks are complete is cancelled.
 */
export class RangeReads {
  readonly #state: ReadState;
  readonly #running = new Map<RunningRead, Promise<void>>();
  readonly #stragglers: Stragglers;
  readonly #missed: { readonly running: RunningRead; readonly error: HoldfastError }[] = [];
  #started = 0;
  #change = deferred();

  constructor(state: ReadState) {
    this.#state = state;
    this.#stragglers = new Stragglers(state.context.clock, SHARD_READS);
  }

  launch(range: PackRange): void {
    const { context, queue, signal } = this.#state;
    for (const { fetch, shard } of range.shards) fetch.starts(shard);
    this.#started++;
    const bytes = range.shards.reduce((sum, { fetch }) => sum + fetch.shardLength, 0);
    const running: RunningRead = {
      range,
      lastResort: this.#state.avoids(range.pack.provider),
      bytes,
      startedMs: context.clock.monotonic(),
      stop: linkedAbort(signal, 'get'),
      part: this.#watch(range, bytes),
    };
    const reading = queue.add(() => this.#read(running)).then(() => {});
    this.#running.set(running, reading);
  }

  /** Resolves once a range has ended or was found slow. */
  async change(): Promise<void> {
    await this.#change.promise;
    this.#change = deferred();
  }

  #watch(range: PackRange, bytes: number): WatchedPart {
    const { directory, policy } = this.#state.context;
    const small = hedgedAfter(SMALL_READS, policy.hedgeAfterMs);
    const isSmall = (): boolean => bytes <= SMALL_READ_BYTES && this.#started <= FEW_READS;
    return this.#stragglers.watch({
      policy: () => (isSmall() ? small : SHARD_READS),
      p95Ms: () => directory.p95Ms(range.pack.provider, 'fetch', bytes),
      onLate: () => {
        for (const { fetch, shard } of range.shards) fetch.fallsBehind(shard);
        this.#change.resolve();
        return undefined;
      },
    });
  }

  /**
   * The chunks are complete: what some providers did not have is their loss. (Before, all of it may have been deleted
   * meanwhile, which is nobody's fault.)
   */
  async blameMissing(): Promise<void> {
    const missed = this.#missed.splice(0);
    if (missed.length === 0 || (await this.#state.wasRemoved())) return;
    for (const { running, error } of missed) this.#report(running, error);
  }

  /**
   * Cancels what is left and waits until it has let go of the memory.
   * @param complete the chunks are: only then anybody has lost who is still reading.
   */
  async end(complete: boolean): Promise<void> {
    const lost = new HoldfastError('Aborted', 'other shards were faster', { code: 'lost_race' });
    this.#stragglers.close();
    for (const running of this.#running.keys()) {
      if (complete && this.#hasLost(running)) this.#loses(running);
      running.stop.abort(lost);
    }
    await Promise.allSettled(this.#running.values());
  }

  /** Whether what was fetched in its stead was quicker. If it took as long, everything is slow, and nobody is at fault. */
  #hasLost({ range, bytes, part }: RunningRead): boolean {
    const p95Ms = this.#state.context.directory.p95Ms(range.pack.provider, 'fetch', bytes);
    return part.late && part.elapsedMs() >= this.#stragglers.lateAfterMs(SHARD_LOSERS, p95Ms);
  }

  async #read(running: RunningRead): Promise<void> {
    const { context } = this.#state;
    const { range, stop, part } = running;
    const { pack } = range;
    try {
      const target = context.directory.get(pack.provider);
      if (target === undefined) throw notConfigured(pack.provider);
      const into = range.shards.map(({ fetch, shard }) => fetch.bytesOf(shard));
      const options = { signal: stop.signal, lastResort: running.lastResort };
      await timed(context, 'fetch', () =>
        target.adapter.fetchRange(pack.address, range.offset, into, options),
      );
      for (const { fetch, shard } of range.shards) fetch.lands(shard, pack);
      part.progressed(context.clock.monotonic() - running.startedMs);
      this.#report(running);
    } catch (thrown) {
      if (!stop.signal.aborted) this.#fails(running, asHoldfastError(thrown));
    } finally {
      for (const { fetch, shard } of range.shards) fetch.ends(shard);
      stop.dispose();
      part.end(true);
      this.#running.delete(running);
      this.#change.resolve();
    }
  }

  #fails(running: RunningRead, error: HoldfastError): void {
    const problem = problemOf(error);
    const { pack, shards } = running.range;
    if (problem === 'unavailable') this.#state.avoid(pack.provider);
    // Not asked at all: if nothing else decodes, it may be tried again as the last resort.
    if (error.code === 'circuit_open' && !running.lastResort) return;
    const expected = shards.some(({ fetch, shard }) => fetch.expects(shard, pack));
    if (isHoldfastError(error, 'NotFound') && expected) this.#missed.push({ running, error });
    else if (problem === 'unavailable' || expected) this.#report(running, error);
    for (const { fetch, shard } of shards) fetch.misses(shard, pack, problem, error.message);
  }

  /** The chunks were complete without it: the rest of the read does without the provider too. */
  #loses(running: RunningRead): void {
    const ms = this.#state.context.clock.monotonic() - running.startedMs;
    const why = `still not done after ${(ms / 1000).toFixed(1)} s, far behind the others`;
    const { pack, shards } = running.range;
    this.#state.avoid(pack.provider);
    this.#report(running, new HoldfastError('Timeout', why, { code: 'lost_race' }));
    for (const { fetch, shard } of shards) fetch.misses(shard, pack, 'unavailable', why);
  }

  #report({ range, bytes, startedMs }: RunningRead, error?: HoldfastError): void {
    const { context } = this.#state;
    context.directory.report(range.pack.provider, {
      operation: 'fetch',
      bytes,
      elapsedMs: context.clock.monotonic() - startedMs,
      ...(error === undefined ? {} : { error }),
    });
  }
}

function notConfigured(provider: string): HoldfastError {
  return new HoldfastError('Unavailable', `the provider ${provider} is not in the configuration`);
}
