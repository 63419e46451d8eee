import type { AbortOptions } from '../core/abort.ts';
import { equalBytes, toHex, utf8Encode } from '../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { entryOf } from '../core/maps.ts';
import { writeInBatches } from '../engine/batches.ts';
import type { BatchOp, Engine, Precondition, Table } from '../engine/engine.ts';
import { KeyedMutex } from '../engine/keyed-mutex.ts';
import type { VaultKeys } from '../keys/derivation.ts';
import type { RecordsContext } from './context.ts';
import { allHold, engineGenerationOf } from './generation-record.ts';
import { openPage, type Page, sealPage } from './name-page.ts';
import { type NameWrite, WriteQueue } from './name-queue.ts';
import { type DamagedName, NAMES_TABLE } from './name-record.ts';
import { EMPTY_TREE, leafAt, ROOT_PAGE, TreeChange } from './name-tree.ts';

/**
 * Ordered index of names, derived from the names themselves: `generation` → the generation in use; `built` → up to
 * which name key it is complete, or `all`; `<generation>/<page>` → a sealed page; `<generation>/damaged/<name key>` →
 * nothing, for a name that could not be read when it was made. It is changed in the same step as a
 * name; what is wrong with it costs only that it is made anew.
 */
const INDEX_TABLE = 'name_index';
/** A generation, or how far it is complete. */
const TEXT = /^[ -~]*$/;
const GENERATION = 'generation';
const BUILT = 'built';
const DAMAGED = 'damaged';
/** After this, every name is in the index. */
export const ALL_BUILT = 'all';

/** Another process may change the same pages so often in between. */
const MAX_ROUNDS = 32;
/** Decodings of pages that are kept, of about ten kilobytes each. */
const MAX_CACHED = 256;
const MAX_TIDIED = 512;

type Decoded = { readonly sealed: Uint8Array; readonly page: Page };

const indexes = new WeakMap<Engine, WeakMap<VaultKeys, NameIndex>>();

/** The one index of an engine, as this process sees it with these keys. */
export function nameIndexOf(context: RecordsContext): NameIndex {
  const { engine, keys } = context;
  const byKeys = entryOf(indexes, engine, () => new WeakMap());
  return entryOf(byKeys, keys, () => new NameIndex(context));
}

export class NameIndex {
  readonly #context: Pick<RecordsContext, 'engine' | 'keys' | 'random'>;
  readonly #turns = new KeyedMutex();
  /** By place; the oldest first. */
  readonly #decoded = new Map<string, Decoded>();
  /** As far as known; may be out of date, which a precondition tells. */
  #generation: Uint8Array | undefined;
  readonly #queue: WriteQueue = new WriteQueue((changes) => this.write(changes));

  constructor(context: Pick<RecordsContext, 'engine' | 'keys' | 'random'>) {
    this.#context = context;
  }

  get #table(): Table {
    return this.#context.engine.table(INDEX_TABLE);
  }

  /** One change, as {@link WriteQueue.add} says. @throws HoldfastError as {@link write}. */
  writeOne(change: NameWrite, options?: AbortOptions): Promise<boolean> {
    return this.#queue.add(change, options);
  }

  /**
   * Writes changes of different names and of the index in one step, flushed.
   * @returns of each whether the engine held what was expected; the others are not written.
   * @throws HoldfastError `Conflict`, code `name_contended`; what the engine throws.
   */
  write(changes: readonly NameWrite[], also: readonly BatchOp[] = []): Promise<boolean[]> {
    return this.#turns.run(INDEX_TABLE, async () => {
      let pending = [...changes];
      for (let round = 0; pending.length > 0; round++) {
        if (round === MAX_ROUNDS) throw contended();
        if (await this.#writeOnce(pending, also, round > 0)) break;
        pending = await this.#thatStillHold(pending);
      }
      return changes.map((change) => pending.includes(change));
    });
  }

  async #writeOnce(changes: readonly NameWrite[], also: readonly BatchOp[], anew: boolean): Promise<boolean> {
    if (anew) this.#forget();
    const { engine, random } = this.#context;
    const raised = await engineGenerationOf(engine).raised(random);
    const names = [...changes.flatMap(conditionsOf), ...raised.preconditions];
    const ops = [...changes.flatMap((change) => change.ops), ...also, raised.op];
    try {
      const index = await this.#indexed(changes, anew);
      const done = await engine.batch([...ops, ...index.ops], [...names, ...index.preconditions], {
        sync: true,
      });
      if (done) index.done();
      return done;
    } catch (error) {
      if (!isHoldfastError(error, 'Corrupt')) throw error;
      // If it is the index that is damaged, this works; if it is a name, it fails in the same way.
      const done = await engine.batch([...ops, ...DROPPED], names, { sync: true });
      if (done) this.#forget();
      return done;
    }
  }

  async #thatStillHold(changes: readonly NameWrite[]): Promise<NameWrite[]> {
    const { engine } = this.#context;
    const holds = await Promise.all(changes.map((change) => allHold(engine, conditionsOf(change))));
    return changes.filter((_, i) => holds[i]);
  }

  /** What the changes mean for the index. */
  async #indexed(changes: readonly NameWrite[], anew: boolean): Promise<IndexChange> {
    this.#generation ??= await this.#table.get(GENERATION);
    const generation = this.#generation;
    if (generation !== undefined) return this.#inPages(textIn(generation), changes, anew);
    if (await this.#hasNames())
      return { ops: [], preconditions: [is(GENERATION, undefined)], done: () => {} };
    return this.#begun(ALL_BUILT, changes);
  }

  async #inPages(generation: string, changes: readonly NameWrite[], anew: boolean): Promise<IndexChange> {
    const before = new Map<string, Decoded>();
    const load = async (id: string): Promise<Page | undefined> => {
      const place = `${generation}/${id}`;
      const found = this.#decoded.get(place) ?? (await this.#read(place));
      if (found !== undefined) before.set(id, found);
      return found?.page;
    };
    const tree = await this.#changed(load, changes);
    const unchanged = is(GENERATION, utf8Encode(generation));
    if (tree !== undefined) return this.#sealed(generation, tree, before, [], [unchanged]);
    // What was remembered may be out of date; what was read just now is damaged.
    if (anew) return { ops: DROPPED, preconditions: [unchanged], done: () => this.#forget() };
    this.#forget();
    return this.#indexed(changes, true);
  }

  /** A first generation, complete up to a name key. */
  async #begun(built: string, changes: readonly NameWrite[]): Promise<IndexChange> {
    const generation = toHex(this.#context.random(8));
    const tree = (await this.#changed(async (id) => (id === ROOT_PAGE ? EMPTY_TREE : undefined), changes))!;
    if (!tree.changed.has(ROOT_PAGE)) tree.changed.set(ROOT_PAGE, EMPTY_TREE);
    const begin = [entry(GENERATION, utf8Encode(generation)), entry(BUILT, utf8Encode(built))];
    return this.#sealed(generation, tree, new Map(), begin, [is(GENERATION, undefined)]);
  }

  async #changed(
    load: (id: string) => Promise<Page | undefined>,
    changes: readonly NameWrite[],
  ): Promise<TreeChange | undefined> {
    const tree = new TreeChange(load, this.#context.random);
    for (const { name, listed } of changes) if (!(await tree.set(name, listed))) return undefined;
    return tree;
  }

  #sealed(
    generation: string,
    { changed, relied }: TreeChange,
    before: ReadonlyMap<string, Decoded>,
    also: readonly BatchOp[],
    conditions: readonly Precondition[],
  ): IndexChange {
    const { keys, random } = this.#context;
    const ops = [...also];
    const preconditions = [...conditions];
    const decoded = new Map<string, Decoded | undefined>();
    for (const id of relied) {
      const was = before.get(id);
      if (was !== undefined && !changed.has(id)) preconditions.push(is(`${generation}/${id}`, was.sealed));
    }
    for (const [id, page] of changed) {
      const place = `${generation}/${id}`;
      const was = before.get(id);
      if (was !== undefined) preconditions.push(is(place, was.sealed));
      else if (page === undefined) continue;
      const sealed = page && sealPage(keys.nameIndex, place, page, random);
      ops.push(entry(place, sealed));
      decoded.set(place, page && sealed && { sealed, page });
    }
    const done = (): void => {
      this.#generation = utf8Encode(generation);
      for (const [place, one] of decoded) this.#remember(place, one);
    };
    return { ops, preconditions, done };
  }

  async #read(place: string, options: AbortOptions = {}): Promise<Decoded | undefined> {
    const sealed = await this.#table.get(place, options);
    if (sealed === undefined) return undefined;
    const known = this.#decoded.get(place);
    if (known !== undefined && equalBytes(known.sealed, sealed)) return known;
    const found = { sealed, page: openPage(this.#context.keys.nameIndex, place, sealed) };
    this.#remember(place, found);
    return found;
  }

  #remember(place: string, decoded: Decoded | undefined): void {
    this.#decoded.delete(place);
    if (decoded === undefined) return;
    this.#decoded.set(place, decoded);
    if (this.#decoded.size > MAX_CACHED) this.#decoded.delete(this.#decoded.keys().next().value!);
  }

  #forget(): void {
    this.#decoded.clear();
    this.#generation = undefined;
  }

  async #hasNames(): Promise<boolean> {
    for await (const _ of this.#context.engine.table(NAMES_TABLE).entries({ limit: 1 })) return true;
    return false;
  }

  /**
   * The generation in use, and up to which name key it is complete; undefined where there is none. One of which that is
   * damaged is given up.
   */
  async state(options: AbortOptions = {}): Promise<IndexState | undefined> {
    try {
      const generation = await this.#table.get(GENERATION, options);
      const built = generation && (await this.#table.get(BUILT, options));
      return built && { generation: textIn(generation), built: textIn(built) };
    } catch (error) {
      if (!isHoldfastError(error, 'Corrupt')) throw error;
      this.#forget();
      await this.#context.engine.batch(DROPPED, [], options);
      return undefined;
    }
  }

  /** Begins a generation that holds nothing yet, if there is none. */
  begin(): Promise<void> {
    return this.#turns.run(INDEX_TABLE, async () => {
      const { ops, preconditions } = await this.#begun('', []);
      await this.#context.engine.batch(ops, preconditions);
    });
  }

  /** Notes how far a generation is complete. @returns false when it is not what it was. */
  advance({ generation, built }: IndexState, to: string): Promise<boolean> {
    const before = [is(GENERATION, utf8Encode(generation)), is(BUILT, utf8Encode(built))];
    return this.#context.engine.batch([entry(BUILT, utf8Encode(to))], before);
  }

  /** Remembers names that are in no page, for they could not be read. */
  async noteDamaged({ generation }: IndexState, names: readonly DamagedName[]): Promise<void> {
    const nothing = new Uint8Array(0);
    const ops = names.map(({ nameKey }) => entry(`${generation}/${DAMAGED}/${nameKey}`, nothing));
    await writeInBatches(this.#context.engine, ops);
  }

  /** Names that were not in any page when it was made. */
  async *damaged({ generation }: IndexState, options: AbortOptions): AsyncGenerator<DamagedName> {
    const prefix = `${generation}/${DAMAGED}/`;
    for await (const [key] of this.#table.entries({ ...options, prefix })) {
      yield { nameKey: key.slice(prefix.length) };
    }
  }

  /** Deletes pages of earlier generations. */
  async tidy({ generation }: IndexState, options: AbortOptions): Promise<void> {
    const current = [is(GENERATION, utf8Encode(generation))];
    let old: BatchOp[] = [];
    const add = (key: string): void => {
      if (key.includes('/') && !key.startsWith(`${generation}/`)) old.push(entry(key, undefined));
    };
    for await (const [key] of this.#table.entries({ ...options, onDamaged: add })) {
      add(key);
      if (old.length < MAX_TIDIED) continue;
      if (!(await this.#context.engine.batch(old, current))) return;
      old = [];
    }
    await this.#context.engine.batch(old, current);
  }

  /** Gives up a generation in which something is damaged. */
  async drop({ generation }: IndexState): Promise<void> {
    this.#forget();
    await this.#context.engine.batch(DROPPED, [is(GENERATION, utf8Encode(generation))]);
  }

  /**
   * The page of names that covers a text.
   * @param above pages above the names that this listing has seen; is added to.
   * @returns undefined when the pages do not fit together. @throws HoldfastError `Corrupt`.
   */
  async leafAt(
    { generation }: IndexState,
    text: string,
    above: Map<string, Page>,
    options: AbortOptions,
  ): Promise<Page | undefined> {
    const load = async (id: string): Promise<Page | undefined> => {
      const page = above.get(id) ?? (await this.#read(`${generation}/${id}`, options))?.page;
      if (page !== undefined && page.level > 0) above.set(id, page);
      return page;
    };
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const leaf = await leafAt(text, load);
      if (leaf !== undefined) return leaf;
      above.clear();
    }
    return undefined;
  }
}

const conditionsOf = ({ nameKey, expected, conditions = [] }: NameWrite): Precondition[] =>
  expected === 'any' ? [...conditions] : [{ table: NAMES_TABLE, key: nameKey, expected }, ...conditions];

export interface IndexState {
  readonly generation: string;
  readonly built: string;
}

interface IndexChange {
  readonly ops: readonly BatchOp[];
  readonly preconditions: readonly Precondition[];
  /** For when it was written. */
  done(): void;
}

/** @throws HoldfastError `Corrupt`. */
function textIn(stored: Uint8Array): string {
  const text = Buffer.from(stored).toString('latin1');
  if (TEXT.test(text)) return text;
  throw new HoldfastError('Corrupt', 'the index of names is damaged', { code: 'engine_corrupt' });
}

const entry = (key: string, value: Uint8Array | undefined): BatchOp => ({ table: INDEX_TABLE, key, value });
const is = (key: string, expected: Uint8Array | undefined): Precondition => ({
  table: INDEX_TABLE,
  key,
  expected,
});
/** The pages go when it is made anew. */
const DROPPED: readonly BatchOp[] = [entry(GENERATION, undefined), entry(BUILT, undefined)];

const contended = (): HoldfastError =>
  new HoldfastError('Conflict', 'too many writers of names at once', {
    code: 'name_contended',
    status: 'temporary',
    hint: 'Nothing was changed; try again.',
  });
