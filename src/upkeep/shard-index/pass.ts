import { throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { toHex, utf8Decode, utf8Encode } from '../../core/bytes.ts';
import { isHoldfastError } from '../../core/errors.ts';
import { entriesFrom } from '../../engine/batches.ts';
import { noJournals } from '../../records/journal.ts';
import { isRemembered, manifestsFrom, storedManifests } from '../../records/manifests.ts';
import {
  CLASSES_TABLE,
  dropDamaged,
  type IndexedSegment,
  indexedIn,
  PASS,
  SHARDS_TABLE,
} from '../../records/shard-index.ts';
import { UPKEEP_TABLE } from '../../records/usage.ts';
import type { IndexRun } from './index-run.ts';
import { ObjectRows } from './object-rows.ts';

/** Records looked at before it is noted how far the pass has come. */
const SLICE = 256;
/** Objects, and rows, that are looked at once all is gone through. */
const SOME = 16;

/** How far all records were gone through: first the objects, for rows that lack, then the rows, for what is stale. */
interface Pass {
  readonly at: 'objects' | 'rows' | 'end';
  /** Key of the last one that was looked at; at the end when that was reached, in milliseconds. */
  readonly after: string;
}

/** All is gone through anew: a program that knows nothing of the index may have put objects. */
const EVERY_MS = 7 * 24 * 3_600_000;

const BEGIN: Pass = { at: 'objects', after: '' };

/** @returns whether the pass has come to its end, and when. */
export async function goThrough(run: IndexRun): Promise<'before' | 'now' | 'not yet'> {
  let [pass, row] = await passOf(run);
  if (pass.at === 'end') return 'before';
  while (pass.at !== 'end') {
    if (run.isOver) return 'not yet';
    const next: Pass = pass.at === 'objects' ? await objects(run, pass) : await rows(run, pass);
    const noted = utf8Encode(JSON.stringify({ v: 1, at: next.at, after: next.after }));
    const { context, options } = run;
    // Where it begins anew meanwhile, the next run does.
    if (!(await context.engine.table(UPKEEP_TABLE).compareAndSet(PASS, row, noted, options)))
      return 'not yet';
    [pass, row] = [next, noted];
  }
  return 'now';
}

async function passOf({ context, options }: IndexRun): Promise<[Pass, Uint8Array | undefined]> {
  const table = context.engine.table(UPKEEP_TABLE);
  try {
    const row = await table.get(PASS, options);
    const pass = (row && passIn(row)) ?? BEGIN;
    const isOld = pass.at === 'end' && !(Math.abs(context.clock.now() - Number(pass.after)) < EVERY_MS);
    return [isOld ? BEGIN : pass, row];
  } catch (error) {
    if (!isHoldfastError(error, 'Corrupt')) throw error;
    await table.delete(PASS, options);
    return [BEGIN, undefined];
  }
}

function passIn(row: Uint8Array): Pass | undefined {
  try {
    const { v, at, after } = JSON.parse(utf8Decode(row)) as Record<string, unknown>;
    const right = v === 1 && ['objects', 'rows', 'end'].includes(at as string) && typeof after === 'string';
    return right ? { at: at as Pass['at'], after: after as string } : undefined;
  } catch {
    return undefined;
  }
}

/** The first key behind one. */
const behind = (key: string): { readonly gte?: string } => (key === '' ? {} : { gte: `${key}0` });

async function objects(run: IndexRun, { after }: Pass): Promise<Pass> {
  let [last, looked] = [after, 0];
  const range = { ...run.options, ...behind(after), onDamaged: () => {} };
  for await (const { manifest, key } of storedManifests(run.context, range)) {
    if (looked++ === SLICE || run.isOver) return { at: 'objects', after: last };
    await object(run, manifest);
    last = key;
  }
  return { at: 'rows', after: '' };
}

/**
 * Looks at one object without reading its segments from the providers: where that must be, it is noted.
 * @returns whether the index is right, as far as that can be told.
 */
async function object(run: IndexRun, manifest: BlobAddress): Promise<boolean> {
  const stands = await run.standing(manifest);
  if (stands === undefined) return true;
  try {
    const opened = await ObjectRows.open(run.context, manifest, run.options);
    let isRight = true;
    for await (const segment of opened.segments()) {
      if (segment.isInRoot) isRight = (await run.mend(opened, segment, stands))?.wasWrong !== true;
      else if (!(await run.isIndexed(segment, 'anywhere'))) {
        await run.needs(manifest);
        return false;
      }
    }
    return isRight;
  } catch {
    throwIfAborted(run.options.signal, 'indexing shards');
    await run.needs(manifest);
    return true;
  }
}

async function rows(run: IndexRun, { after }: Pass): Promise<Pass> {
  const check = new RowCheck(run);
  let [last, looked] = [after, 0];
  let next: Pass = { at: 'end', after: String(Math.floor(run.context.clock.now())) };
  const range = { ...run.options, ...behind(after), onDamaged: (key: string) => check.damaged(key) };
  for await (const [key, row] of run.context.engine.table(SHARDS_TABLE).entries(range)) {
    if (looked++ === SLICE || run.isOver) {
      next = { at: 'rows', after: last };
      break;
    }
    await check.row(key, row);
    last = key;
  }
  await check.drop();
  return next;
}

/** Compares a few objects with the index, and a few rows with the objects. Where one is wrong, others may be. */
export async function lookAtSome(run: IndexRun, compare: 'records' | 'nodes'): Promise<void> {
  const { context, options } = run;
  const from = `b3:${toHex(context.random(2))}`;
  let isRight = true;
  let left = SOME;
  for await (const manifest of manifestsFrom(context, from, options)) {
    if (run.isOver || left-- === 0) break;
    isRight = (await object(run, manifest)) && isRight;
  }
  const check = new RowCheck(run);
  const prefix = `${await someClass(run)}/`;
  const table = context.engine.table(SHARDS_TABLE);
  left = SOME;
  for await (const [key, row] of entriesFrom(table, prefix, from, (key) => check.damaged(key), options)) {
    if (run.isOver || left-- === 0) break;
    await check.row(key, row, compare);
  }
  await check.drop();
  if (isRight && check.isRight) return;
  await context.engine.table(UPKEEP_TABLE).delete(PASS, options);
}

async function someClass({ context, options }: IndexRun): Promise<string | undefined> {
  const table = context.engine.table(CLASSES_TABLE);
  const from = toHex(context.random(2));
  for await (const [id] of entriesFrom(table, '', from, () => {}, options)) return id;
  return undefined;
}

/** Looks at rows of the index, and drops those that should not be there. */
class RowCheck {
  readonly #run: IndexRun;
  readonly #damaged: string[] = [];
  readonly #stale: { readonly key: string; readonly row: Uint8Array }[] = [];
  readonly #classes = new Set<string>();
  #nodes = 1;
  /** False: something was found that is not only stale. */
  isRight = true;

  constructor(run: IndexRun) {
    this.#run = run;
  }

  damaged(key: string): void {
    this.#damaged.push(key);
    this.isRight = false;
  }

  /** @param compare with what the object says: where that takes reading a node, of one row only. */
  async row(key: string, row: Uint8Array, compare?: 'records' | 'nodes'): Promise<void> {
    const { context, options } = this.#run;
    const one = indexedIn(key, row);
    if (one === undefined) return this.damaged(key);
    if (!(await isRemembered(context, one.manifest, options))) {
      this.#stale.push({ key, row });
      return;
    }
    const isInRoot = one.segment === one.manifest;
    const hasClass = await this.#hasClass(key.slice(0, key.indexOf('/')));
    const isCompared = compare !== undefined && (isInRoot || (compare === 'nodes' && this.#nodes-- > 0));
    if (!hasClass || isCompared) await this.#compare(key, row, one, isInRoot);
  }

  async #compare(
    key: string,
    row: Uint8Array,
    { segment, manifest }: IndexedSegment,
    isInRoot: boolean,
  ): Promise<void> {
    const run = this.#run;
    const stands = await run.standing(manifest);
    if (stands === undefined) return;
    try {
      const object = await ObjectRows.open(run.context, manifest, run.options);
      const mended = await run.mend(object, { address: segment, isInRoot }, stands);
      if (mended === undefined) return;
      if (mended.wasWrong) this.isRight = false;
      if (key.startsWith(`${mended.classId}/`)) return;
    } catch {
      throwIfAborted(run.options.signal, 'indexing shards');
      await run.needs(manifest);
      return;
    }
    // It is another's: the segment stands elsewhere.
    this.isRight = false;
    await run.context.engine.table(SHARDS_TABLE).compareAndSet(key, row, undefined, run.options);
  }

  async #hasClass(id: string): Promise<boolean> {
    if (this.#classes.has(id)) return true;
    const { context, options } = this.#run;
    const row = await context.engine
      .table(CLASSES_TABLE)
      .get(id, options)
      .catch((error: unknown) => {
        if (isHoldfastError(error, 'Corrupt')) return undefined;
        throw error;
      });
    if (row !== undefined) this.#classes.add(id);
    return row !== undefined;
  }

  /** A put that is under way writes rows of an object that is not there yet. */
  async drop(): Promise<void> {
    const { context, options } = this.#run;
    await dropDamaged(context, SHARDS_TABLE, this.#damaged.splice(0));
    if (this.#stale.length === 0 || !(await noJournals(context, options))) return;
    const table = context.engine.table(SHARDS_TABLE);
    for (const { key, row } of this.#stale.splice(0)) {
      const { manifest } = indexedIn(key, row)!;
      if (await isRemembered(context, manifest, options)) continue;
      await table.compareAndSet(key, row, undefined, options);
    }
  }
}
