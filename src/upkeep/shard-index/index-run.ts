import type { AbortOptions } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { isHoldfastError } from '../../core/errors.ts';
import type { Precondition } from '../../engine/engine.ts';
import type { RecordsContext } from '../../records/context.ts';
import { storedAs } from '../../records/manifests.ts';
import { CLASSES_TABLE, classAmong, toBeIndexed, UNINDEXED_TABLE } from '../../records/shard-index.ts';
import { mendRows, type ObjectRows, type SegmentOf } from './object-rows.ts';

/** Classes in which a segment is looked for first: those of one object are few. */
const MAX_RECENT = 8;

/** What the parts of one run over the index of shards share. */
export class IndexRun {
  readonly context: RecordsContext;
  readonly options: AbortOptions;
  readonly #endsMs: number;
  #recent: readonly string[] = [];
  #all: readonly string[] | undefined;

  /** @param forMs what the run may take; what is left then is for the next one. */
  constructor(context: RecordsContext, forMs: number, options: AbortOptions) {
    this.context = context;
    this.options = options;
    this.#endsMs = context.clock.monotonic() + forMs;
  }

  get isOver(): boolean {
    return this.options.signal?.aborted === true || this.context.clock.monotonic() > this.#endsMs;
  }

  /** Whether a segment has a row, under whatever class. */
  async isIndexed({ address }: SegmentOf, where: 'likely' | 'anywhere'): Promise<boolean> {
    const found = await classAmong(this.context, address, this.#recent, this.options);
    const classId =
      found ??
      (where === 'likely'
        ? undefined
        : await classAmong(this.context, address, await this.#classes(), this.options));
    if (classId !== undefined) this.#use(classId);
    return classId !== undefined;
  }

  /**
   * Puts right what the index has of a segment.
   * @param stands what holds while its object is remembered.
   * @returns the class it stands under, and whether that had to be written; undefined when the object was forgotten.
   */
  async mend(
    object: ObjectRows,
    segment: SegmentOf,
    stands: readonly Precondition[],
  ): ReturnType<typeof mendRows> {
    const mended = await mendRows(this.context, object, segment, stands, this.options);
    if (mended !== undefined) this.#use(mended.classId);
    return mended;
  }

  /** What holds while an object is remembered; undefined when it is not. */
  async standing(manifest: BlobAddress): Promise<readonly Precondition[] | undefined> {
    const stored = await storedAs(this.context, manifest, this.options);
    return stored === 'damaged' ? [] : stored && [stored];
  }

  /** Notes that rows of an object lack, unless that is known. */
  async needs(manifest: BlobAddress): Promise<void> {
    const { value } = toBeIndexed(manifest);
    const table = this.context.engine.table(UNINDEXED_TABLE);
    await table.compareAndSet(manifest, undefined, value, this.options).catch((error: unknown) => {
      // One that is damaged is noted already.
      if (!isHoldfastError(error, 'Corrupt')) throw error;
    });
  }

  #use(id: string): void {
    if (this.#recent[0] === id) return;
    this.#recent = [id, ...this.#recent.filter((known) => known !== id)].slice(0, MAX_RECENT);
  }

  async #classes(): Promise<readonly string[]> {
    if (this.#all !== undefined) return this.#all;
    const ids: string[] = [];
    const range = { ...this.options, onDamaged: (id: string) => void ids.push(id) };
    for await (const [id] of this.context.engine.table(CLASSES_TABLE).entries(range)) ids.push(id);
    this.#all = ids;
    return ids;
  }
}
