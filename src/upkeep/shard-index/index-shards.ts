import { throwIfAborted } from '../../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../../core/address.ts';
import { toHex, utf8Decode, utf8Encode } from '../../core/bytes.ts';
import { recordedTime } from '../../core/clock.ts';
import { asHoldfastError } from '../../core/errors.ts';
import type { EachOptions, PieceFailure } from '../../core/pieces.ts';
import { entriesFrom } from '../../engine/batches.ts';
import type { RecordsContext } from '../../records/context.ts';
import { UNINDEXED_TABLE } from '../../records/shard-index.ts';
import { IndexRun } from './index-run.ts';
import { ObjectRows } from './object-rows.ts';
import { goThrough, lookAtSome } from './pass.ts';

/** Segments after which is noted how far an object has come. */
const NOTED_EVERY = 256;
/** An object of which a part cannot be read is looked at again after this. */
const RETRY_MS = 3_600_000;
/** What one run takes at most, where nothing else is said. */
const RUN_MS = 15_000;

interface IndexOptions extends EachOptions {
  /** What a little of the index is compared with, once it is whole: what is at hand, or a node from the providers too. */
  readonly compare: 'nothing' | 'records' | 'nodes';
}

/** What a run came to. */
interface Indexed {
  /** Objects of which a part cannot be read now. */
  readonly failures: readonly PieceFailure[];
  /** Everything was gone through, and nothing is known to lack. */
  readonly whole: boolean;
}

/**
 * Sees to the index of shards: writes what lacks, drops what is stale, and compares a little of the rest. Its work is
 * bounded; the next run goes on where it ended. Needs no key.
 * @throws HoldfastError `Aborted`; what the engine throws.
 */
export async function indexShards(context: RecordsContext, options: IndexOptions): Promise<Indexed> {
  const { signal, eachMs = RUN_MS, compare } = options;
  const run = new IndexRun(context, eachMs, { signal });
  const due = new DueObjects(run);
  await due.index();
  const passed = await goThrough(run);
  if (passed === 'now') await due.index();
  else if (passed === 'before' && compare !== 'nothing') await lookAtSome(run, compare);
  return { failures: due.failures, whole: passed !== 'not yet' && !due.isAnyLeft };
}

/** How far an object has come. */
interface Progress {
  /** Segments that are done, from the first on. */
  readonly segments: number;
  /** Not before this. */
  readonly fromMs: number;
}

class DueObjects {
  readonly #run: IndexRun;
  readonly failures: PieceFailure[] = [];
  isAnyLeft = false;

  constructor(run: IndexRun) {
    this.#run = run;
  }

  /** One that fails keeps none of the others from it: they begin at another each time. */
  async index(): Promise<void> {
    const { context, options } = this.#run;
    const table = context.engine.table(UNINDEXED_TABLE);
    const damaged: string[] = [];
    const from = `b3:${toHex(context.random(1))}`;
    this.isAnyLeft = false;
    for await (const [key, row] of entriesFrom(table, '', from, (key) => void damaged.push(key), options)) {
      if (this.#run.isOver) {
        this.isAnyLeft = true;
        break;
      }
      if (!isBlobAddress(key)) damaged.push(key);
      else await this.#object(key, row);
    }
    for (const key of damaged) {
      if (isBlobAddress(key)) await table.put(key, new Uint8Array(0), options);
      else await table.delete(key, options);
    }
    this.isAnyLeft ||= damaged.length > 0;
  }

  async #object(manifest: BlobAddress, row: Uint8Array): Promise<void> {
    const { clock } = this.#run.context;
    const progress = progressIn(row);
    const waitMs = progress.fromMs - recordedTime(clock);
    if (waitMs > 0 && waitMs <= RETRY_MS) {
      this.isAnyLeft = true;
      return;
    }
    const noted = { row };
    try {
      const outcome = await this.#segments(manifest, progress, noted);
      if (outcome === 'done') await this.#note(manifest, noted, undefined);
      else this.isAnyLeft = true;
    } catch (error) {
      throwIfAborted(this.#run.options.signal, 'indexing shards');
      this.isAnyLeft = true;
      this.failures.push({ piece: manifest, error: asHoldfastError(error) });
      await this.#note(manifest, noted, { segments: 0, fromMs: recordedTime(clock) + RETRY_MS });
    }
  }

  /** @throws the first error, once all others were tried. */
  async #segments(
    manifest: BlobAddress,
    { segments }: Progress,
    noted: { row: Uint8Array },
  ): Promise<'done' | 'over'> {
    const run = this.#run;
    const stands = await run.standing(manifest);
    if (stands === undefined) return 'done';
    const object = await ObjectRows.open(run.context, manifest, run.options);
    const errors: unknown[] = [];
    let at = 0;
    for await (const segment of object.segments()) {
      if (at++ < segments) continue;
      if (run.isOver || at % NOTED_EVERY === 0) {
        if (errors.length === 0) await this.#note(manifest, noted, { segments: at - 1, fromMs: 0 });
        if (run.isOver) return 'over';
      }
      try {
        if (!segment.isInRoot && (await run.isIndexed(segment, 'likely'))) continue;
        if ((await run.mend(object, segment, stands)) === undefined) return 'done';
      } catch (error) {
        throwIfAborted(run.options.signal, 'indexing shards');
        if (errors.length === 0) errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
    return 'done';
  }

  /** Whoever found meanwhile that the object is due anew has written another row. */
  async #note(
    manifest: BlobAddress,
    noted: { row: Uint8Array },
    progress: Progress | undefined,
  ): Promise<void> {
    const { context, options } = this.#run;
    const row =
      progress && utf8Encode(JSON.stringify({ v: 1, segments: progress.segments, from_ms: progress.fromMs }));
    const done = await context.engine.table(UNINDEXED_TABLE).compareAndSet(manifest, noted.row, row, options);
    if (done && row !== undefined) noted.row = row;
  }
}

/** What cannot be read counts as none. */
function progressIn(row: Uint8Array): Progress {
  try {
    const { v, segments, from_ms: fromMs } = JSON.parse(utf8Decode(row)) as Record<string, unknown>;
    const right = v === 1 && [segments, fromMs].every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
    if (right) return { segments: segments as number, fromMs: fromMs as number };
  } catch {
    // As it was first noted.
  }
  return { segments: 0, fromMs: 0 };
}
