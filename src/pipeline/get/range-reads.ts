import { type LinkedAbort, linkedAbort } from '../../core/abort.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { entryOf } from '../../core/maps.ts';
import { lateAfterMs, type StragglerPolicy } from '../../core/stragglers.ts';
import type { PackRecord } from '../../manifest/segment.ts';
import { problemOf } from '../../object/damage.ts';
import {
  FEW_READS,
  SHARD_LOSERS,
  SHARD_READS,
  SMALL_READ_BYTES,
  SMALL_READS,
} from '../../object/straggler-policies.ts';
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

const CHECK_MS = 20;

interface RunningRead {
  readonly range: PackRange;
  readonly bytes: number;
  readonly startedMs: number;
  readonly stop: LinkedAbort;
  /** The provider failed before in this read: it is asked only because nothing else decodes. */
  readonly lastResort: boolean;
  slow: boolean;
}

/**
 * Range reads on their way. One that is far behind the others is called slow, so that any other shard that adds rank
 * may be fetched in its stead; whoever is still reading when the chunks are complete is cancelled.
 */
export class RangeReads {
  readonly #state: ReadState;
  readonly #running = new Map<RunningRead, Promise<void>>();
  readonly #missed: { readonly running: RunningRead; readonly error: HoldfastError }[] = [];
  #done = 0;
  #slowestMs = 0;
  #changed = false;
  #wake = (): void => {};
  /** One for many changes: a timer each would cost more than the rest of the waiting. */
  #tick: Promise<void> | undefined;
  readonly #pacing = new AbortController();

  constructor(state: ReadState) {
    this.#state = state;
  }

  launch(range: PackRange): void {
    const { context, queue, signal } = this.#state;
    for (const { fetch, shard } of range.shards) fetch.starts(shard);
    const running: RunningRead = {
      range,
      lastResort: this.#state.avoids(range.pack.provider),
      bytes: range.shards.reduce((sum, { fetch }) => sum + fetch.shardLength, 0),
      startedMs: context.clock.monotonic(),
      stop: linkedAbort(signal, 'get'),
      slow: false,
    };
    const reading = queue.add(() => this.#read(running)).then(() => {});
    this.#running.set(running, reading);
  }

  /** Resolves once a range has ended or was found slow. */
  async change(): Promise<void> {
    while (!this.#changed) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await Promise.race([woken, this.#nextTick()]);
    }
    this.#changed = false;
  }

  #nextTick(): Promise<void> {
    this.#tick ??= this.#state.context.clock.sleep(CHECK_MS, this.#pacing.signal).then(
      () => {
        this.#tick = undefined;
        this.#findSlow();
      },
      () => {},
    );
    return this.#tick;
  }

  /**
   * The chunks are complete: what some providers did not have is their loss. (Before, all of it may have been deleted
   * meanwhile, which is nobody's fault.)
   */
  blameMissing(): void {
    for (const { running, error } of this.#missed.splice(0)) this.#report(running, error);
  }

  /** Cancels what is left and waits until it has let go of the memory. */
  async end(): Promise<void> {
    const lost = new HoldfastError('Aborted', 'other shards were faster', { code: 'lost_race' });
    this.#pacing.abort(lost);
    for (const running of this.#running.keys()) {
      // What was fetched in its stead may have taken as long: then everything is slow, and it is nobody's fault.
      if (running.slow && this.#isLate(running, SHARD_LOSERS)) this.#loses(running);
      running.stop.abort(lost);
    }
    await Promise.allSettled(this.#running.values());
  }

  #findSlow(): void {
    const few = this.#done + this.#running.size <= FEW_READS;
    for (const running of this.#running.keys()) {
      const policy = few && running.bytes <= SMALL_READ_BYTES ? SMALL_READS : SHARD_READS;
      if (running.slow || !this.#isLate(running, policy)) continue;
      running.slow = true;
      this.#changed = true;
      for (const { fetch, shard } of running.range.shards) fetch.fallsBehind(shard);
    }
  }

  #isLate({ range, bytes, startedMs }: RunningRead, policy: StragglerPolicy): boolean {
    const { clock, directory } = this.#state.context;
    const field = { done: this.#done, running: this.#running.size, slowestMs: this.#slowestMs };
    const p95Ms = directory.p95Ms(range.pack.provider, 'fetch', bytes);
    return clock.monotonic() - startedMs >= lateAfterMs(policy, field, p95Ms);
  }

  async #read(running: RunningRead): Promise<void> {
    const { context } = this.#state;
    const { range, stop } = running;
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
      this.#slowestMs = Math.max(this.#slowestMs, context.clock.monotonic() - running.startedMs);
      this.#report(running);
    } catch (thrown) {
      if (!stop.signal.aborted) this.#fails(running, asHoldfastError(thrown));
    } finally {
      for (const { fetch, shard } of range.shards) fetch.ends(shard);
      stop.dispose();
      this.#running.delete(running);
      this.#done++;
      this.#changed = true;
      this.#wake();
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
