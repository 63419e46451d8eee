import PQueue from 'p-queue';
import type { BlobAddress } from '../../core/address.ts';
import { entryOf } from '../../core/maps.ts';
import type { PackRecord } from '../../manifest/segment.ts';
import type { DamageLog } from '../../object/damage.ts';
import { type OpenedManifest, type ReadableSegment, withToldPlaces } from '../../object/readable-segments.ts';
import type { TransferContext } from '../context.ts';

/** What reading shards shares between its windows, and what it has learned on the way. */
export class ReadState {
  readonly context: TransferContext;
  readonly damage: DamageLog;
  readonly signal: AbortSignal;
  /** Range reads, all providers together. */
  readonly queue: PQueue;
  /** Whether what is read was removed by now: then nobody is to be blamed for what he has not. */
  readonly wasRemoved: () => Promise<boolean>;
  readonly #avoided: Set<string> = new Set();
  readonly #doubted: Set<PackRecord> = new Set();
  #spares = 0;

  constructor(
    context: TransferContext,
    damage: DamageLog,
    signal: AbortSignal,
    wasRemoved: () => Promise<boolean> = async () => false,
  ) {
    this.wasRemoved = wasRemoved;
    this.context = context;
    this.damage = damage;
    this.signal = signal;
    this.queue = new PQueue({ concurrency: context.policy.maxInflight });
  }

  /** A provider did not answer, or was far behind: the rest of the read does without it. */
  avoid(provider: string): void {
    this.#avoided.add(provider);
  }

  avoids(provider: string): boolean {
    return this.#avoided.has(provider);
  }

  /** A pack was not there, or held other bytes, and its shards may be elsewhere too: there they are looked for first. */
  doubt(pack: PackRecord): void {
    this.#doubted.add(pack);
  }

  doubts(pack: PackRecord): boolean {
    return this.#doubted.has(pack);
  }

  /** Shards beside data that a chunk is given room for from the start: as many as earlier ones came to need. */
  get spares(): number {
    return this.#spares;
  }

  needsSpares(count: number): void {
    this.#spares = Math.max(this.#spares, count);
  }
}

/** The same of an object's plaintext. */
export class ObjectReadState extends ReadState {
  readonly opened: OpenedManifest;
  /** Segments that were looked for in the slots, each once. */
  readonly #told = new Map<BlobAddress, Promise<ReadableSegment | undefined>>();

  constructor(context: TransferContext, opened: OpenedManifest, damage: DamageLog, signal: AbortSignal) {
    super(context, damage, signal);
    this.opened = opened;
  }

  /** Where a segment's shards are by what the providers say too, once too few were found of it. */
  toldOf({ segment }: ReadableSegment): Promise<ReadableSegment | undefined> | undefined {
    return this.#told.get(segment);
  }

  /** @returns undefined where the providers say nothing new. @throws HoldfastError `Aborted`. */
  askFor(readable: ReadableSegment): Promise<ReadableSegment | undefined> {
    return entryOf(this.#told, readable.segment, () => withToldPlaces(this.context, readable, this.signal));
  }
}
