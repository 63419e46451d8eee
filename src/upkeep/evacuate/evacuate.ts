import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { asHoldfastError, type HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { decodeRoot, type RootRecord } from '../../manifest/root.ts';
import { DamageLog } from '../../object/damage.ts';
import { loadRoot, manifestStands, manifestsFrom } from '../../records/manifests.ts';
import { type NamePlaces, namesUnknown } from '../../records/name-places.ts';
import { type IndexedSegment, placementClasses, segmentsIn } from '../../records/shard-index.ts';
import type { MovingContext } from '../context.ts';
import { atOnce, Room, segmentsAtOnce } from '../repair/at-once.ts';
import { namesDue, repairName } from '../repair/names.ts';
import { repairNodes } from '../repair/nodes.ts';
import type { RepairPace } from '../repair/pace.ts';
import { evacuateSegment } from './evacuate-segment.ts';
import type { Leaving } from './new-places.ts';
import { type MoveTools, tellMove } from './told.ts';

export interface EvacuationTools extends MoveTools {
  readonly pace: RepairPace;
  /** Chunks that are worked on at once. */
  readonly maxConcurrent: number;
  readonly graceMs: number;
}

export interface EvacuationRun extends Leaving, AbortOptions {
  /** Providers that are gone for good. */
  readonly gone: ReadonlySet<string>;
  /** Told whenever a segment or an object is done. */
  readonly onProgress?: ((sum: EvacuationProgress) => void) | undefined;
}

export interface EvacuationProgress {
  /** Segments of which nothing is left at the provider. */
  readonly segments: number;
  /** Shards that were moved, and those of them that could not be read and were rebuilt. */
  readonly shards: number;
  readonly rebuilt: number;
  readonly bytesRead: number;
  /** Of shards and of manifest nodes. */
  readonly bytesWritten: number;
  /** Copies of manifest nodes that were written to others, and of names. */
  readonly nodeCopies: number;
  readonly nameCopies: number;
}

/** What is still at the provider, and why. */
export interface LeftThere {
  /** Segments with shards there, and the bytes of their packs there. */
  readonly segments: number;
  readonly bytes: number;
  /** Objects that have manifest nodes with too few copies elsewhere. */
  readonly objects: number;
  /** Names with too few copies elsewhere, or of which nobody has noted yet where their copies are. */
  readonly names: number;
  /** Segments that would survive fewer losses if they were moved. */
  readonly refused: number;
  /** In plain words, and of how many segments and objects; the commonest first. */
  readonly why: readonly { readonly message: string; readonly count: number }[];
  /** Providers that may give no more today. */
  readonly capped: readonly string[];
}

export interface EvacuationRunResult extends EvacuationProgress {
  readonly left: LeftThere;
}

/** What is put beside it is met in another pass; each moves something, or is the last. */
const MAX_PASSES = 16;
/** Passes that moved nothing of what was only late or busy. */
const MAX_IN_VAIN = 3;
/** With so many refusals for a provider's cap, one after another, the rest has to wait too. */
const MAX_CAPPED = 64;
/** Objects and segments that are remembered as done, or as not to be done now. */
const MAX_SEEN = 1_000_000;
const MAX_REASONS = 32;
/** Names that are copied at once. */
const NAMES_AT_ONCE = 8;
/** Whether a provider answers is asked again after so long. */
const ANSWER_MS = 30_000;

/**
 * Brings to others what a provider holds: the nodes of each object first, then its shards. It goes by the index of shards, so
 * that one that was cut off goes on where it was when it is run again. What fails keeps nothing else from being moved.
 * @throws HoldfastError what the engine throws; `Aborted`.
 */
export async function evacuateProvider(
  context: MovingContext,
  tools: EvacuationTools,
  options: EvacuationRun,
): Promise<EvacuationRunResult> {
  const run = new Evacuation(context, tools, options);
  for (let pass = 0; pass < MAX_PASSES && (await run.shards()); pass++);
  await run.nodes();
  await run.names();
  return { ...run.progress, left: await run.left() };
}

/** Segments with shards at a provider, as the index has them. */
async function* segmentsAt(
  context: MovingContext,
  provider: string,
  options: AbortOptions,
): AsyncGenerator<IndexedSegment> {
  const classes: string[] = [];
  for await (const { id, maps } of placementClasses(context, options)) {
    if (maps.some((map) => map.includes(provider))) classes.push(id);
  }
  for (const id of classes) yield* segmentsIn(context, id, options);
}

export const bytesAt = ({ packs }: IndexedSegment, id: string): number =>
  packs.reduce((sum, { provider, length }) => sum + (provider === id ? length : 0), 0);

class Evacuation {
  readonly #context: MovingContext;
  readonly #tools: EvacuationTools;
  readonly #options: EvacuationRun;
  readonly #sum = {
    segments: 0,
    shards: 0,
    rebuilt: 0,
    bytesRead: 0,
    bytesWritten: 0,
    nodeCopies: 0,
    nameCopies: 0,
  };
  /** Segments that are not tried again now, and why. */
  readonly #failed = new Map<BlobAddress, string>();
  readonly #refused = new Set<BlobAddress>();
  /** Those of them that another was moving, or that went to a provider that was late: the next pass may do better. */
  readonly #busy = new Set<BlobAddress>();
  /** Objects whose nodes have been looked at; of the second kind some are in too few places. */
  readonly #withNodes = new Map<BlobAddress, Promise<void>>();
  readonly #short = new Map<BlobAddress, string>();
  readonly #capped = new Set<string>();
  #shortNames = 0;
  #cappedInTurn = 0;
  #inVain = 0;
  /** For the chunks that are worked on at once. */
  readonly #room: Room;
  #answer: { readonly atMs: number; readonly is: Promise<boolean> } | undefined;

  constructor(context: MovingContext, tools: EvacuationTools, options: EvacuationRun) {
    this.#context = context;
    this.#tools = tools;
    this.#options = options;
    this.#room = new Room(tools.maxConcurrent);
  }

  get progress(): EvacuationProgress {
    return { ...this.#sum };
  }

  /** One pass. @returns whether another may find something. */
  async shards(): Promise<boolean> {
    const { signal, from } = this.#options;
    const before = this.#sum.shards;
    const segments = segmentsAtOnce(this.#tools.maxConcurrent);
    const due = this.#due(segmentsAt(this.#context, from, { signal }));
    await atOnce(due, { ...segments, signal }, (one) => this.#segment(one));
    const mayDo = this.#sum.shards > before || (this.#busy.size > 0 && this.#inVain++ < MAX_IN_VAIN);
    return mayDo && !this.#isHeldUp;
  }

  /** Of those objects too that have no shards there. */
  async nodes(): Promise<void> {
    const { signal } = this.#options;
    const room = { capacity: this.#tools.maxConcurrent, weight: () => 1 };
    const all = manifestsFrom(this.#context, '', { signal });
    await atOnce(all, { ...room, signal }, (manifest) => this.#nodesOf(manifest));
  }

  /** Copies enough of each name are made elsewhere; what is at the provider is deleted by who has the key. */
  async names(): Promise<void> {
    const { gone, from, signal, onProgress } = this.#options;
    const without = new Set([...gone, from]);
    const leaving = gone.has(from) ? undefined : from;
    const task = { without, leaving, pace: this.#tools.pace, signal };
    const work = async ({ nameKey }: NamePlaces): Promise<void> => {
      const { copies, isShort } = await repairName(this.#context, nameKey, task);
      this.#sum.nameCopies += copies;
      if (isShort) this.#shortNames++;
      onProgress?.(this.progress);
    };
    const due = namesDue(this.#context, without, { signal });
    await atOnce(due, { capacity: NAMES_AT_ONCE, weight: () => 1, signal }, work);
  }

  async left(): Promise<LeftThere> {
    const { signal, from } = this.#options;
    const counts = new Map<string, number>();
    const count = (message: string): void => {
      if (counts.has(message) || counts.size < MAX_REASONS)
        counts.set(message, (counts.get(message) ?? 0) + 1);
    };
    let [segments, bytes, refused] = [0, 0, 0];
    for await (const one of segmentsAt(this.#context, from, { signal })) {
      segments++;
      bytes += bytesAt(one, from);
      if (this.#refused.has(one.segment)) refused++;
      count(this.#failed.get(one.segment) ?? NOT_TRIED);
    }
    for (const message of this.#short.values()) count(message);
    const unknown = await namesUnknown(this.#context, { signal });
    for (const [names, message] of [
      [this.#shortNames, SHORT_NAMES],
      [unknown, UNKNOWN_NAMES],
    ] as const) {
      if (names > 0) counts.set(message, names);
    }
    const why = [...counts].map(([message, its]) => ({ message, count: its }));
    return {
      ...{ segments, bytes, refused, objects: this.#short.size, names: this.#shortNames + unknown },
      why: why.sort((a, b) => b.count - a.count),
      capped: [...this.#capped].sort(),
    };
  }

  get #isHeldUp(): boolean {
    return this.#cappedInTurn >= MAX_CAPPED;
  }

  async *#due(all: AsyncIterable<IndexedSegment>): AsyncGenerator<IndexedSegment> {
    for await (const one of all) {
      if (this.#isHeldUp) return;
      if (!this.#failed.has(one.segment) || this.#busy.delete(one.segment)) yield one;
    }
  }

  async #segment({ segment, manifest }: IndexedSegment): Promise<void> {
    const { signal, onProgress } = this.#options;
    try {
      if (!(await manifestStands(this.#context.engine, manifest)).isThere) return;
      // Before its shards: an object that has none there is not met again by the index.
      await this.#nodesOf(manifest);
      const record = decodeRoot(await loadRoot(this.#context, manifest, new DamageLog(), { signal }));
      await this.#shardsOf({ manifest, record }, segment);
    } catch (thrown) {
      throwIfAborted(signal, 'evacuation');
      const error = asHoldfastError(thrown);
      this.#note(error);
      await this.#tell({ manifest, segment, bytes: 0, error });
      if (!isHoldfastError(error, 'NotFound')) this.#leave(segment, error);
    }
    onProgress?.(this.progress);
  }

  async #shardsOf(
    object: { readonly manifest: BlobAddress; readonly record: RootRecord },
    segment: BlobAddress,
  ): Promise<void> {
    const { from, to, minTolerates, gone, signal } = this.#options;
    const { pace, graceMs } = this.#tools;
    const isAnswering = !gone.has(from) && (await this.#isAnswering());
    const task = { object, segment, gone, isAnswering, pace, room: this.#room, graceMs };
    const done = await evacuateSegment(this.#context, { ...task, from, to, minTolerates }, { signal });
    this.#sum.shards += done.shards;
    this.#sum.rebuilt += done.rebuilt;
    this.#sum.bytesRead += done.bytesRead;
    this.#sum.bytesWritten += done.bytesWritten;
    if (done.left?.code !== 'egress_cap') this.#cappedInTurn = 0;
    if (done.left === undefined) this.#sum.segments++;
    else {
      if (done.left.code === 'egress_cap') this.#note(done.left);
      this.#leave(segment, done.left);
    }
    if (done.shards > 0 || done.left !== undefined)
      await this.#tell({ manifest: object.manifest, segment, bytes: done.bytesWritten, error: done.left });
  }

  #nodesOf(manifest: BlobAddress): Promise<void> {
    const known = this.#withNodes.get(manifest);
    if (known !== undefined) return known;
    const looking = this.#lookAtNodes(manifest);
    if (this.#withNodes.size < MAX_SEEN) this.#withNodes.set(manifest, looking);
    return looking;
  }

  async #lookAtNodes(manifest: BlobAddress): Promise<void> {
    const { gone, from, signal, onProgress } = this.#options;
    try {
      if (!(await manifestStands(this.#context.engine, manifest)).isThere) return;
      const root = await loadRoot(this.#context, manifest, new DamageLog(), { signal });
      const object = { manifest, record: decodeRoot(root) };
      const lost = new Set([...gone, from]);
      const request = { object, root, lost, rotten: new Set<string>(), pace: this.#tools.pace, signal };
      const { copies, bytes, short } = await repairNodes(this.#context, request);
      this.#sum.nodeCopies += copies;
      this.#sum.bytesWritten += bytes;
      if (copies > 0) await this.#tell({ manifest, bytes });
      if (short.length > 0) this.#leaveNodes(manifest, 'manifest nodes have too few copies elsewhere');
    } catch (thrown) {
      throwIfAborted(signal, 'evacuation');
      const error = asHoldfastError(thrown);
      this.#note(error);
      const { isThere } = await manifestStands(this.#context.engine, manifest);
      if (isThere) this.#leaveNodes(manifest, error.message);
    }
    onProgress?.(this.progress);
  }

  #tell(outcome: Omit<Parameters<typeof tellMove>[1], 'kind'>): Promise<void> {
    const kind = this.#options.to === undefined ? 'evacuate' : 'replace';
    return tellMove(this.#tools, { kind, ...outcome });
  }

  /** @throws what nothing else would get past. */
  #note(error: HoldfastError): void {
    if (error.kind === 'Unexpected' || error.code.startsWith('engine_')) throw error;
    if (error.code !== 'egress_cap') return;
    this.#cappedInTurn++;
    if (error.provider !== undefined) this.#capped.add(error.provider);
  }

  #leave(segment: BlobAddress, error: HoldfastError): void {
    if (this.#failed.size >= MAX_SEEN) return;
    this.#failed.set(segment, error.message);
    if (['segment_leased', 'lost_race'].includes(error.code)) this.#busy.add(segment);
    if (error.code === 'certificate_shortfall') this.#refused.add(segment);
  }

  #leaveNodes(manifest: BlobAddress, why: string): void {
    if (this.#short.size < MAX_SEEN) this.#short.set(manifest, why);
  }

  #isAnswering(): Promise<boolean> {
    const now = this.#context.clock.monotonic();
    if (this.#answer === undefined || now - this.#answer.atMs > ANSWER_MS) {
      const { from, signal } = this.#options;
      this.#answer = { atMs: now, is: this.#context.directory.respondsToProbe(from, { signal }) };
    }
    return this.#answer.is;
  }
}

const SHORT_NAMES = 'a name has too few copies elsewhere';
const UNKNOWN_NAMES = 'it is not noted where the copies of a name are: `holdfast gc` finds out';
const NOT_TRIED = 'it was not come to, or came meanwhile';
