import { type LinkedAbort, linkedAbort } from '../../core/abort.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { lateAfterMs, type StragglerPolicy } from '../../core/stragglers.ts';
import { type DamageProblem, problemOf } from '../../object/damage.ts';
import type { SegmentView } from '../../object/segment-view.ts';
import {
  FEW_READS,
  SHARD_LOSERS,
  SHARD_READS,
  SMALL_READ_BYTES,
  SMALL_READS,
} from '../../object/straggler-policies.ts';
import { timed } from '../../telemetry/metrics.ts';
import type { ChunkFetch } from './chunk-fetch.ts';
import type { PackRange } from './pack-reads.ts';
import type { ReadState } from './read-state.ts';

const CHECK_MS = 20;

interface Running {
  readonly range: PackRange;
  readonly provider: string;
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
  readonly #view: SegmentView;
  readonly #running = new Map<Running, Promise<void>>();
  readonly #missed: { readonly running: Running; readonly error: HoldfastError }[] = [];
  #done = 0;
  #slowestMs = 0;
  #changed = false;
  #wake = (): void => {};
  /** One for many changes: a timer each would cost more than the rest of the waiting. */
  #tick: Promise<void> | undefined;
  readonly #pacing = new AbortController();

  constructor(state: ReadState, view: SegmentView) {
    this.#state = state;
    this.#view = view;
  }

  launch(range: PackRange): void {
    const { context, queue, signal } = this.#state;
    for (const { fetch, shard } of range.shards) fetch.pending.set(shard, 'fresh');
    const { provider } = this.#view.record.packs[range.pack]!;
    const running: Running = {
      range,
      provider,
      lastResort: this.#state.avoid.has(provider),
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
      for (const { fetch, shard } of running.range.shards) fetch.pending.set(shard, 'slow');
    }
  }

  #isLate({ provider, bytes, startedMs }: Running, policy: StragglerPolicy): boolean {
    const { clock, directory } = this.#state.context;
    const field = { done: this.#done, running: this.#running.size, slowestMs: this.#slowestMs };
    const p95Ms = directory.p95Ms(provider, 'fetch', bytes);
    return clock.monotonic() - startedMs >= lateAfterMs(policy, field, p95Ms);
  }

  async #read(running: Running): Promise<void> {
    const { context } = this.#state;
    const { range, provider, stop } = running;
    try {
      const pack = this.#view.record.packs[range.pack]!;
      const target = context.directory.get(provider);
      if (target === undefined) throw notConfigured(provider);
      const into = range.shards.map(({ fetch, shard }) => fetch.bytesOf(shard));
      const options = { signal: stop.signal, lastResort: running.lastResort };
      await timed(context, 'fetch', () =>
        target.adapter.fetchRange(pack.address, range.shards[0]!.offset, into, options),
      );
      for (const { fetch, shard } of range.shards) fetch.present.add(shard);
      this.#slowestMs = Math.max(this.#slowestMs, context.clock.monotonic() - running.startedMs);
      this.#report(running);
    } catch (thrown) {
      if (!stop.signal.aborted) this.#fails(running, asHoldfastError(thrown));
    } finally {
      for (const { fetch, shard } of range.shards) fetch.pending.delete(shard);
      stop.dispose();
      this.#running.delete(running);
      this.#done++;
      this.#changed = true;
      this.#wake();
    }
  }

  #fails(running: Running, error: HoldfastError): void {
    const problem = problemOf(error);
    if (problem === 'unavailable') this.#state.avoid.add(running.provider);
    // Not asked at all: if nothing else decodes, it may be tried again as the last resort.
    if (error.code === 'circuit_open' && !running.lastResort) return;
    if (isHoldfastError(error, 'NotFound')) this.#missed.push({ running, error });
    else this.#report(running, error);
    for (const { fetch, shard } of running.range.shards) {
      exclude(this.#state, this.#view, fetch, shard, problem, error.message);
    }
  }

  /** The chunks were complete without it: the rest of the read does without the provider too. */
  #loses(running: Running): void {
    const ms = this.#state.context.clock.monotonic() - running.startedMs;
    const why = `still not done after ${(ms / 1000).toFixed(1)} s, far behind the others`;
    this.#state.avoid.add(running.provider);
    this.#report(running, new HoldfastError('Timeout', why, { code: 'lost_race' }));
    for (const { fetch, shard } of running.range.shards) {
      exclude(this.#state, this.#view, fetch, shard, 'unavailable', why);
    }
  }

  #report({ provider, bytes, startedMs }: Running, error?: HoldfastError): void {
    const { context } = this.#state;
    context.directory.report(provider, {
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

/** A shard that will not be had from where it was put. */
export function exclude(
  state: ReadState,
  view: SegmentView,
  fetch: ChunkFetch,
  shard: number,
  problem: DamageProblem,
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
