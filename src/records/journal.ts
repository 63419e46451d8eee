import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { toHex, utf8Encode } from '../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { entryOf } from '../core/maps.ts';
import { isEmpty } from '../engine/batches.ts';
import {
  type BatchOp,
  type Engine,
  MAX_BATCH_ENTRIES,
  type Precondition,
  type Table,
} from '../engine/engine.ts';
import type { RecordsContext } from './context.ts';
import { allHold, engineGenerationOf } from './generation-record.ts';
import { encodeHeader, headerIn, type JournalHeader } from './journal-header.ts';
import { PoisonLog } from './poison.ts';

/**
 * What puts in progress are about to store, written before it is stored. After a crash the blobs of a put that
 * never became visible are found here and deleted.
 */
export const JOURNAL_TABLE = 'journal';
/** Eight bytes in hex. Providers are told nothing else: they would not be understood any more. */
const ID = /^[0-9a-f]{16}$/;
/** What of a put may be taken up again, under the keys of its journal. */
export const RESUME_TABLE = 'resume';

/** What a change depends on, beside what it changes. */
export interface Fence {
  readonly conditions: readonly Precondition[];
  /** @throws HoldfastError `Conflict`, code `put_fenced`, when they hold no longer. */
  assertHeld(): Promise<void>;
}

/** Journals that this process works on, by engine: their owner lives longer than they are worked on. */
const AT_WORK = new WeakMap<Engine, Set<string>>();

/** The journal of one put or removal. Nothing is written before the first intent, the commit or the removal is. */
export class PutJournal implements Fence {
  readonly #engine: Engine;
  readonly #id: string;
  readonly #header: JournalHeader;
  /** What the next record will hold, and when that will have been written. */
  #intents: string[] = [];
  #intended: Promise<void> | undefined;
  /** When the header will have been written: no record is to be there without it. */
  #begun: Promise<unknown> | undefined;
  #records = 0;
  /** The header as this run left it in the engine. */
  #written: Uint8Array | undefined;
  /** … and as it is if what was to be committed last was. */
  #decided: Uint8Array | undefined;

  private constructor(engine: Engine, id: string, header: JournalHeader) {
    this.#engine = engine;
    this.#id = id;
    this.#header = header;
  }

  get id(): string {
    return this.#id;
  }

  static async begin(context: RecordsContext, nameKey: string | undefined): Promise<PutJournal> {
    const owner = await context.owner();
    const recoveries = (await engineGenerationOf(context.engine).read())?.recoveries;
    const id = toHex(context.random(8));
    atWork(context.engine).add(id);
    return new PutJournal(context.engine, id, { state: 'open', owner, recoveries, nameKey });
  }

  /**
   * Takes over an open journal whose owner is gone, in one flushed step with `also`.
   * @returns undefined when it has changed meanwhile: it is somebody else's.
   */
  static async takeOver(
    context: RecordsContext,
    { id, header, stored }: JournalEntry,
    also: readonly BatchOp[],
  ): Promise<PutJournal | undefined> {
    const { engine } = context;
    const owner = await context.owner();
    // Two of one process would write the same header.
    if (atWork(engine).has(id)) return undefined;
    atWork(engine).add(id);
    const journal = new PutJournal(engine, id, { ...header, owner });
    journal.#written = encodeHeader(journal.#header);
    journal.#begun = Promise.resolve();
    const stands = [{ table: JOURNAL_TABLE, key: id, expected: stored }];
    const ops = [entry(id, journal.#written), ...also];
    try {
      if (await engine.batch(ops, stands, { sync: true })) {
        // Only now nobody else writes any.
        journal.#records = await nextRecordOf(engine, id);
        return journal;
      }
    } catch (error) {
      journal.release();
      throw error;
    }
    journal.release();
    return undefined;
  }

  /** This process works on it no longer. */
  release(): void {
    atWork(this.#engine).delete(this.#id);
  }

  /** Must resolve before the blob is sent. Blobs that are intended at the same moment, as copies are, share a record. */
  intend(provider: string, address: BlobAddress): Promise<void> {
    this.#intents.push(`${provider}/${address}`);
    this.#intended ??= Promise.resolve().then(() => this.#writeIntents());
    return this.#intended;
  }

  /**
   * To be written in the step that makes the manifest visible: everything is stored, and `obsolete` is replaced by it.
   */
  committed(manifest: BlobAddress, obsolete: BlobAddress | undefined): BatchOp {
    this.#begun ??= Promise.resolve();
    this.#decided = encodeHeader({ ...this.#header, state: 'committed', manifest, obsolete });
    return entry(this.#id, this.#decided);
  }

  /** To be written in the step that removes the name, or before what it stood for is deleted. */
  removed(obsolete: BlobAddress | undefined): BatchOp {
    this.#begun ??= Promise.resolve();
    this.#decided = encodeHeader({ ...this.#header, state: 'committed', obsolete });
    return entry(this.#id, this.#decided);
  }

  get conditions(): readonly Precondition[] {
    return [this.#stands(this.#written)];
  }

  async assertHeld(): Promise<void> {
    if (!(await allHold(this.#engine, this.conditions))) throw putFenced();
  }

  /**
   * The put is over, visible or undone. What a sweep has condemned is the sweep's to end.
   * @param also entries of other tables that end with it.
   */
  async end(also: readonly BatchOp[] = []): Promise<void> {
    if (this.#begun === undefined) return;
    await this.#begun.catch(() => {});
    const records = [
      ...also,
      ...Array.from({ length: this.#records }, (_, record) => entry(`${this.#id}/${record}`, undefined)),
    ];
    const ours = [this.#decided, this.#written].filter((header) => header !== undefined);
    for (const header of ours) {
      const stands = [this.#stands(header)];
      if (!(await allHold(this.#engine, stands))) continue;
      while (records.length >= MAX_BATCH_ENTRIES - 1) {
        if (!(await this.#engine.batch(records.splice(0, MAX_BATCH_ENTRIES - 1), stands))) return;
      }
      await this.#engine.batch([...records, entry(this.#id, undefined)], stands);
      return;
    }
  }

  async #writeIntents(): Promise<void> {
    const intents = utf8Encode(this.#intents.join('\n'));
    this.#intents = [];
    this.#intended = undefined;
    const record = entry(`${this.#id}/${this.#records++}`, intents);
    if (this.#begun !== undefined) {
      await this.#begun;
      await this.#write([record], this.#written);
    } else {
      const header = encodeHeader(this.#header);
      this.#begun = this.#write([entry(this.#id, header), record], undefined).then(() => {
        this.#written = header;
      });
      await this.#begun;
    }
  }

  /** Nothing may be sent on the word of a journal that a sweep has condemned, or that a power cut would undo. */
  async #write(ops: readonly BatchOp[], header: Uint8Array | undefined): Promise<void> {
    if (!(await this.#engine.batch(ops, [this.#stands(header)], { sync: true }))) throw putFenced();
  }

  #stands(expected: Uint8Array | undefined): Precondition {
    return { table: JOURNAL_TABLE, key: this.#id, expected };
  }
}

const atWork = (engine: Engine): Set<string> => entryOf(AT_WORK, engine, () => new Set());

/** Whether this process works on a journal of its own. */
export const isAtWork = ({ engine }: RecordsContext, id: string): boolean => atWork(engine).has(id);

export const putFenced = (): HoldfastError =>
  new HoldfastError('Conflict', 'another run took this one for dead and undid what it had stored', {
    code: 'put_fenced',
    status: 'temporary',
    hint: 'Nothing became visible; put it again. It happens when a process was held up for very long, or two machines share a home.',
  });

const entry = (key: string, value: Uint8Array | undefined): BatchOp => ({ table: JOURNAL_TABLE, key, value });

/** What one put or removal left in the journal. */
export interface JournalEntry {
  readonly id: string;
  readonly header: JournalHeader;
  /** The header as it is stored. */
  readonly stored: Uint8Array;
  /** Records of intents. */
  readonly records: number;
}

/** What differs for an owner whenever it has written to its journals; a hash of it is what `isOver` is told. */
export function marksOf({ blake3 }: RecordsContext, journals: readonly JournalEntry[]): Map<string, string> {
  const marks = new Map<string, string>();
  for (const { id, header, records } of journals) {
    marks.set(header.owner, `${marks.get(header.owner) ?? ''} ${id}:${records}`);
  }
  return new Map([...marks].map(([owner, mark]) => [owner, toHex(blake3.hash(utf8Encode(mark)))]));
}

/** All journals whose id and header are whole. @param poison of the others: whose they are, or what they are of, nobody can tell. */
export async function readJournals(
  { engine }: RecordsContext,
  options: AbortOptions = {},
  poison: PoisonLog = new PoisonLog(JOURNAL_TABLE),
): Promise<JournalEntry[]> {
  const headers = new Map<string, Pick<JournalEntry, 'header' | 'stored'>>();
  const records = new Map<string, number>();
  const table = engine.table(JOURNAL_TABLE);
  for await (const [key, value] of table.entries({ ...options, onDamaged: poison.add })) {
    const slash = key.indexOf('/');
    const id = slash < 0 ? key : key.slice(0, slash);
    const header = slash < 0 && ID.test(id) ? headerIn(value) : undefined;
    if (slash >= 0) records.set(id, (records.get(id) ?? 0) + 1);
    else if (header === undefined) poison.add(key);
    else headers.set(id, { header, stored: value });
  }
  for (const id of records.keys()) {
    if (!headers.has(id) && (await isHeadless(table, id, options))) poison.add(id);
  }
  return [...headers].map(([id, header]) => ({ id, ...header, records: records.get(id) ?? 0 }));
}

/** Whether a journal has records and no header, which was not just begun or ended. */
async function isHeadless(table: Table, id: string, options: AbortOptions): Promise<boolean> {
  if ((await table.get(id, options).catch(() => 'damaged')) !== undefined) return false;
  const range = { ...options, prefix: `${id}/`, limit: 1, onDamaged: () => {} };
  for await (const _ of table.entries(range)) return true;
  return false;
}

/** Above the numbers of all records of intents. */
async function nextRecordOf(engine: Engine, id: string): Promise<number> {
  let next = 0;
  const pass = (key: string): void => {
    next = Math.max(next, Number(key.slice(id.length + 1)) + 1);
  };
  const range = { prefix: `${id}/`, onDamaged: pass };
  for await (const [key] of engine.table(JOURNAL_TABLE).entries(range)) pass(key);
  return next;
}

/**
 * Keeps a put from becoming visible from now on, so that what it stored may be deleted.
 * @returns false when the journal has changed meanwhile: nothing of it may be touched then.
 */
export async function condemn(
  { engine, owner, random }: RecordsContext,
  { id, header, stored }: JournalEntry,
): Promise<boolean> {
  if (header.state === 'condemned') return true;
  const epoch = `${await owner()}/${toHex(random(8))}`;
  const condemned = encodeHeader({ ...header, state: 'condemned', epoch });
  return engine.table(JOURNAL_TABLE).compareAndSet(id, stored, condemned, { sync: true });
}

/** Whether no put and no removal is under way, or was left half done; nobody knows of what cannot be read. */
export const noJournals = ({ engine }: RecordsContext, options: AbortOptions): Promise<boolean> =>
  isEmpty(engine.table(JOURNAL_TABLE), options);

/** Whether a journal has not been ended yet. */
export async function journalIsOpen({ engine }: RecordsContext, id: string): Promise<boolean> {
  // One whose header is damaged is there, and nobody knows how far it has come.
  const header = await engine
    .table(JOURNAL_TABLE)
    .get(id)
    .catch((error: unknown) => {
      if (isHoldfastError(error, 'Corrupt')) return 'damaged';
      throw error;
    });
  return header !== undefined;
}

/** What is to be written when a journal is finished. */
export async function forgottenJournal(context: RecordsContext, id: string): Promise<BatchOp[]> {
  const ops: BatchOp[] = [];
  for (const table of [RESUME_TABLE, JOURNAL_TABLE]) {
    const forget = (key: string): void => void ops.push({ table, key, value: undefined });
    const range = { prefix: `${id}/`, onDamaged: forget };
    for await (const [key] of context.engine.table(table).entries(range)) forget(key);
    ops.push({ table, key: id, value: undefined });
  }
  return ops;
}
