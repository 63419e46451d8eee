import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { asHoldfastError, type HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { decodeRoot, type RootRecord } from '../../manifest/root.ts';
import { DamageLog } from '../../object/damage.ts';
import { forgetNotes, isNodeNote } from '../../records/damage.ts';
import { knowsManifest, loadRoot, manifestStands } from '../../records/manifests.ts';
import { backoffOf, repairedOps } from '../../records/repair-backoff.ts';
import type { RepairMetrics } from '../../telemetry/index.ts';
import type { MovingContext } from '../context.ts';
import { atOnce, Room, segmentsAtOnce } from './at-once.ts';
import { type DueSegment, dueSegments } from './due.ts';
import { improveSegment } from './improve-segment.ts';
import { namesDue, repairName } from './names.ts';
import { repairNodes } from './nodes.ts';
import { tellOutcome } from './outcomes.ts';
import type { RepairPace } from './pace.ts';
import type { RepairLog, RepairStatus } from './repair-log.ts';
import { repairSegment, type SegmentRepaired } from './repair-segment.ts';
import { shortSegments } from './short.ts';

export interface RepairTools {
  readonly pace: RepairPace;
  readonly log: RepairLog;
  readonly metrics: Pick<RepairMetrics, 'attempt' | 'failure' | 'bytes' | 'backlog'>;
  /** Chunks that are worked on at once. */
  readonly maxConcurrent: number;
  readonly graceMs: number;
  /** Segments that wait: kept by who runs again and again, so that none is read anew meanwhile. */
  readonly later?: Later | undefined;
}

/** Until when a segment, or the copies of a name, wait, by the monotonic clock, and how many shards the segment lacks. */
export type Later = Map<string, { readonly untilMs: number; readonly shards: number }>;

export interface RepairRunOptions extends AbortOptions {
  /** Providers that are gone for good. */
  readonly lost: ReadonlySet<string>;
  /** How often a provider may be lost, compared with others: what hangs on those that may go soon comes before its like. */
  readonly rateOf?: ((provider: string) => number) | undefined;
  /** Begins with no segment after this, by the monotonic clock. Default: it goes on to the end. */
  readonly untilMs?: number | undefined;
  /** Told whenever a segment is done. */
  readonly onProgress?: ((sum: RepairRunResult) => void) | undefined;
}

export interface RepairRunResult {
  /** Objects of which something was repaired, or was tried to be. */
  readonly manifests: number;
  /** Bytes of shards and nodes that were written in place of what was lost. */
  readonly bytesRestored: number;
  readonly bytesRead: number;
  /** How it ended, by chunk. `skipped`: it waits after a failure, or for a provider's cap. */
  readonly chunks: Readonly<Record<RepairStatus, number>>;
  /** Copies of manifest nodes that were written. */
  readonly nodeCopies: number;
  /** Copies of names that were written, and names that have too few still. */
  readonly nameCopies: number;
  readonly namesShort: number;
  /** Providers that may give no more today. */
  readonly capped: readonly string[];
}

/** Segments whose repair another does at the moment, or whose object was removed: nothing is wrong. */
export const isNobodysFault = (error: HoldfastError): boolean =>
  error.code === 'segment_leased' || isHoldfastError(error, 'NotFound');
/** With so many providers' caps in the way one after another the rest has to wait too. */
const MAX_CAPPED = 64;
/** Segments that are remembered as waiting; the others are looked at each time. */
const MAX_LATER = 100_000;
/** Names that are copied at once. */
const NAMES_AT_ONCE = 8;
/** A name that has too few copies is looked at again after so long. */
const SHORT_AGAIN_MS = 60_000;
/** Segments that are remembered as looked at, so that none is twice. */
const MAX_SEEN = 1_000_000;

/**
 * Repairs all that is due, once: the most urgent first, a bounded number of chunks at once, within the pace. One that fails
 * waits, longer each time, and keeps none of the others from being repaired.
 * @throws HoldfastError what the engine throws; `Aborted`.
 */
export async function repairDue(
  context: MovingContext,
  tools: RepairTools,
  options: RepairRunOptions,
): Promise<RepairRunResult> {
  const run = new RepairRun(context, tools, options);
  const due = run.left(allDue(context, options));
  const segments = segmentsAtOnce(tools.maxConcurrent);
  try {
    // Names are few bytes and many waits: they hold up no shards, and no shards them.
    const both = await Promise.allSettled([
      atOnce(due, { ...segments, signal: options.signal }, (one) => run.repair(one)),
      run.names(),
    ]);
    for (const one of both) if (one.status === 'rejected') throw one.reason;
  } finally {
    if (!options.signal?.aborted) tools.metrics.backlog(run.backlog);
  }
  return run.result;
}

/** What could only be in better places comes last. */
async function* allDue(context: MovingContext, options: RepairRunOptions): AsyncGenerator<DueSegment> {
  yield* dueSegments(context, options.lost, options);
  yield* shortSegments(context, options.lost, options);
}

class RepairRun {
  readonly #context: MovingContext;
  readonly #tools: RepairTools;
  readonly #options: RepairRunOptions;
  readonly #seen = new Set<BlobAddress>();
  readonly #manifests = new Set<BlobAddress>();
  /** Objects whose nodes were looked at. */
  readonly #withNodes = new Set<BlobAddress>();
  readonly #chunks = { success: 0, failure: 0, skipped: 0, fatal: 0 };
  readonly #capped = new Set<string>();
  #cappedInTurn = 0;
  /** For the chunks that are worked on at once. */
  readonly #room: Room;
  /** Shards that are lacking still. */
  #backlog = 0;
  readonly #sum = { bytesRestored: 0, bytesRead: 0, nodeCopies: 0, nameCopies: 0, namesShort: 0 };

  constructor(context: MovingContext, tools: RepairTools, options: RepairRunOptions) {
    this.#context = context;
    this.#tools = tools;
    this.#options = options;
    this.#room = new Room(tools.maxConcurrent);
  }

  get result(): RepairRunResult {
    return {
      manifests: this.#manifests.size,
      ...this.#sum,
      chunks: { ...this.#chunks },
      capped: [...this.#capped].sort(),
    };
  }

  get backlog(): number {
    return this.#backlog;
  }

  /** @throws what the engine throws; `Aborted`. */
  async names(): Promise<void> {
    const { lost, untilMs = Number.POSITIVE_INFINITY, signal } = this.#options;
    const { pace, later } = this.#tools;
    const { clock } = this.#context;
    const task = { without: lost, pace, signal };
    const repair = async (nameKey: string): Promise<void> => {
      const { copies, bytes, isShort } = await repairName(this.#context, nameKey, task);
      this.#sum.nameCopies += copies;
      this.#tools.metrics.bytes(bytes);
      if (!isShort) return;
      this.#sum.namesShort++;
      if (later !== undefined && later.size < MAX_LATER)
        later.set(nameKey, { untilMs: clock.monotonic() + SHORT_AGAIN_MS, shards: 0 });
    };
    const left = async function* (this: RepairRun): AsyncGenerator<string> {
      for await (const { nameKey } of namesDue(this.#context, lost, { signal })) {
        if (clock.monotonic() > untilMs) return;
        if (this.#waits(nameKey)) this.#sum.namesShort++;
        else yield nameKey;
      }
    };
    await atOnce(left.call(this), { capacity: NAMES_AT_ONCE, weight: () => 1, signal }, repair);
  }

  /** Those that are to be looked at now. */
  async *left(due: AsyncIterable<DueSegment>): AsyncGenerator<DueSegment> {
    const { untilMs = Number.POSITIVE_INFINITY } = this.#options;
    for await (const one of due) {
      if (this.#cappedInTurn >= MAX_CAPPED || this.#context.clock.monotonic() > untilMs) return;
      if (!this.#knows(one)) yield one;
    }
  }

  #knows({ segment, isSegment }: DueSegment): boolean {
    if (!isSegment) return false;
    if (this.#seen.has(segment) || this.#waits(segment)) return true;
    if (this.#seen.size < MAX_SEEN) this.#seen.add(segment);
    return false;
  }

  #waits(what: string): boolean {
    const { later } = this.#tools;
    const waiting = later?.get(what);
    if (waiting === undefined) return false;
    if (waiting.untilMs > this.#context.clock.monotonic()) {
      this.#backlog += waiting.shards;
      return true;
    }
    later?.delete(what);
    return false;
  }

  /** @throws what the engine throws. */
  async repair(due: DueSegment): Promise<void> {
    const { signal, onProgress } = this.#options;
    const { manifest } = due;
    try {
      if (!(await manifestStands(this.#context.engine, manifest)).isThere) return await this.#forget(due);
      const root = await loadRoot(this.#context, manifest, new DamageLog(), { signal });
      const record = decodeRoot(root);
      if (due.isSegment) await this.#shards(due, record);
      await this.#nodes(due, record, root);
    } catch (thrown) {
      throwIfAborted(signal, 'repair');
      await this.#failed(due, asHoldfastError(thrown));
    }
    onProgress?.(this.result);
  }

  /** What was found of an object while it was being removed. */
  async #forget({ manifest, notes }: DueSegment): Promise<void> {
    if (notes.length === 0 || (await knowsManifest(this.#context, manifest))) return;
    await forgetNotes(this.#context, notes);
  }

  async #shards({ manifest, segment, isShort }: DueSegment, record: RootRecord): Promise<void> {
    const { pace, graceMs } = this.#tools;
    const { lost, signal } = this.#options;
    const waits = async (chunk: number): Promise<boolean> =>
      (await backoffOf(this.#context, manifest, chunk, { signal })) !== undefined;
    const task = { object: { manifest, record }, segment, lost, waits, pace, room: this.#room, graceMs };
    const work = isShort === true ? improveSegment : repairSegment;
    const done = await work(this.#context, task, { signal });
    const nextMs = await this.#tell(manifest, record, done);
    const capped = done.chunks.flatMap(({ error }) => (error?.code === 'egress_cap' ? error : []));
    for (const error of capped) this.#noteCapped(error);
    this.#cappedInTurn = capped.length > 0 ? this.#cappedInTurn + 1 : 0;
    const { later } = this.#tools;
    if (nextMs === undefined || later === undefined || later.size >= MAX_LATER) return;
    const { clock } = this.#context;
    const untilMs = clock.monotonic() + Math.max(0, nextMs - clock.now());
    const left = done.chunks.filter(({ status }) => status !== 'success');
    later.set(segment, { untilMs, shards: left.reduce((sum, { missing }) => sum + missing, 0) });
  }

  /** @returns when the first of what is left is tried again, if that is known of all. */
  async #tell(manifest: BlobAddress, record: RootRecord, done: SegmentRepaired): Promise<number | undefined> {
    if (done.chunks.length > 0) this.#manifests.add(manifest);
    this.#sum.bytesRead += done.bytesRead;
    const mended: number[] = [];
    let firstMs = Number.POSITIVE_INFINITY;
    for (const outcome of done.chunks) {
      const { chunk, status, bytes, missing } = outcome;
      if (status !== 'success') this.#backlog += missing;
      this.#chunks[status]++;
      if (status === 'success') mended.push(chunk);
      this.#sum.bytesRestored += bytes;
      const { nextMs } = await tellOutcome(this.#context, this.#tools, { manifest, record }, outcome);
      firstMs = Math.min(firstMs, nextMs ?? Number.POSITIVE_INFINITY);
    }
    if (mended.length > 0) await this.#context.engine.batch(repairedOps(manifest, mended));
    return Number.isFinite(firstMs) ? firstMs : undefined;
  }

  /** Once for an object, since what was lost with a provider, or is rotten, may be its nodes too. */
  async #nodes({ manifest, notes }: DueSegment, record: RootRecord, root: Uint8Array): Promise<void> {
    const nodeNotes = notes.filter(isNodeNote);
    if (this.#withNodes.has(manifest) && nodeNotes.length === 0) return;
    if (this.#withNodes.size < MAX_SEEN) this.#withNodes.add(manifest);
    const { lost, signal } = this.#options;
    const rotten = new Set(nodeNotes.map(({ provider, pack }) => `${provider}/${pack}`));
    const object = { manifest, record };
    const request = { object, root, lost, rotten, pace: this.#tools.pace, signal };
    const { copies, bytes, short } = await repairNodes(this.#context, request);
    this.#sum.nodeCopies += copies;
    this.#sum.bytesRestored += bytes;
    this.#tools.metrics.bytes(bytes);
    await forgetNotes(
      this.#context,
      nodeNotes.filter(({ pack }) => !short.includes(pack)),
    );
    if (copies > 0 || short.length > 0) this.#manifests.add(manifest);
    if (copies === 0 && short.length === 0) return;
    const error = short.length === 0 ? undefined : `${short.length} nodes of it have too few copies`;
    const status = error === undefined ? 'success' : 'failure';
    await this.#tools.log.append({ manifest, chunk: undefined, status, bytes, error, nextMs: undefined });
  }

  #noteCapped({ provider }: HoldfastError): void {
    if (provider !== undefined) this.#capped.add(provider);
  }

  async #failed({ manifest }: DueSegment, error: HoldfastError): Promise<void> {
    if (isNobodysFault(error)) return;
    if (error.kind === 'Unexpected' || error.code.startsWith('engine_')) throw error;
    const isCapped = error.code === 'egress_cap';
    const status = isCapped ? 'skipped' : 'failure';
    if (isCapped) {
      this.#cappedInTurn++;
      this.#noteCapped(error);
    }
    this.#chunks[status]++;
    this.#manifests.add(manifest);
    this.#tools.metrics.attempt(status);
    const until = error.context?.untilMs;
    const nextMs = typeof until === 'number' ? until : undefined;
    await this.#tools.log.append({
      manifest,
      chunk: undefined,
      status,
      bytes: 0,
      error: error.message,
      nextMs,
    });
  }
}
