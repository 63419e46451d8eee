import type { AbortOptions } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { toHex, utf8Decode, utf8Encode } from '../core/bytes.ts';
import { writeInBatches } from '../engine/batches.ts';
import type { BatchOp, Engine } from '../engine/engine.ts';
import type { RecordsContext } from './context.ts';
import type { BlobAt } from './trash.ts';

/**
 * What puts in progress are about to store, written before it is stored. After a crash the blobs of a put that
 * never became visible are found here and deleted.
 */
const JOURNAL_TABLE = 'journal';

export interface JournalHeader {
  /** Who runs the put; another takes over once this one is proven to be gone. */
  readonly owner: string;
  readonly nameKey?: string | undefined;
  /** Set once everything is stored, when the name is pointed; by earlier versions just before. */
  readonly manifest?: BlobAddress | undefined;
  /** What is to be dropped once the name no longer stands for it; at once if there is no name. */
  readonly obsolete?: BlobAddress | undefined;
}

/** The journal of one put or removal. Nothing is written before the first intent, the commit or the removal is. */
export class PutJournal {
  readonly #engine: Engine;
  readonly #id: string;
  readonly #header: JournalHeader;
  /** What the next record will hold, and when that will have been written. */
  #intents: string[] = [];
  #intended: Promise<void> | undefined;
  /** When the header will have been written: no record is to be there without it. */
  #begun: Promise<unknown> | undefined;
  #records = 0;

  private constructor(engine: Engine, id: string, header: JournalHeader) {
    this.#engine = engine;
    this.#id = id;
    this.#header = header;
  }

  static async begin(context: RecordsContext, nameKey: string | undefined): Promise<PutJournal> {
    const owner = await context.owner();
    return new PutJournal(context.engine, toHex(context.random(8)), { owner, nameKey });
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
    return entry(this.#id, encodeHeader({ ...this.#header, manifest, obsolete }));
  }

  /** To be written in the step that removes the name, or before what it stood for is deleted. */
  removed(obsolete: BlobAddress | undefined): BatchOp {
    this.#begun ??= Promise.resolve();
    return entry(this.#id, encodeHeader({ ...this.#header, obsolete }));
  }

  /** The put is over, visible or undone. */
  async end(): Promise<void> {
    if (this.#begun === undefined) return;
    await this.#begun.catch(() => {});
    const records = Array.from({ length: this.#records }, (_, record) =>
      entry(`${this.#id}/${record}`, undefined),
    );
    await writeInBatches(this.#engine, [...records, entry(this.#id, undefined)]);
  }

  async #writeIntents(): Promise<void> {
    const intents = utf8Encode(this.#intents.join('\n'));
    this.#intents = [];
    this.#intended = undefined;
    const record = entry(`${this.#id}/${this.#records++}`, intents);
    if (this.#begun !== undefined) {
      await this.#begun;
      await this.#engine.batch([record]);
    } else {
      this.#begun = this.#engine.batch([entry(this.#id, encodeHeader(this.#header)), record]);
      await this.#begun;
    }
  }
}

const entry = (key: string, value: Uint8Array | undefined): BatchOp => ({ table: JOURNAL_TABLE, key, value });

const encodeHeader = (header: JournalHeader): Uint8Array => utf8Encode(JSON.stringify(header));

/** What one put or removal left in the journal. */
export interface JournalEntry {
  readonly id: string;
  readonly header: JournalHeader;
  /** Records of intents. */
  readonly records: number;
}

/** All journals whose header is whole. */
export async function readJournals(
  { engine }: RecordsContext,
  options: AbortOptions = {},
): Promise<JournalEntry[]> {
  const headers = new Map<string, JournalHeader>();
  const records = new Map<string, number>();
  for await (const [key, value] of engine.table(JOURNAL_TABLE).entries(options)) {
    const slash = key.indexOf('/');
    const id = slash < 0 ? key : key.slice(0, slash);
    if (slash >= 0) records.set(id, (records.get(id) ?? 0) + 1);
    const header = slash < 0 ? headerIn(value) : undefined;
    if (header !== undefined) headers.set(id, header);
  }
  return [...headers].map(([id, header]) => ({ id, header, records: records.get(id) ?? 0 }));
}

/** Whether no put and no removal is under way, or was left half done. */
export async function noJournals({ engine }: RecordsContext, options: AbortOptions): Promise<boolean> {
  for await (const _ of engine.table(JOURNAL_TABLE).entries({ ...options, limit: 1 })) return false;
  return true;
}

/** Undefined for what is no header, or a damaged one: whose it is, or what it is of, cannot be told. */
function headerIn(value: Uint8Array): JournalHeader | undefined {
  try {
    const { owner, nameKey, manifest, obsolete } = JSON.parse(utf8Decode(value)) as Record<
      keyof JournalHeader,
      unknown
    >;
    const whole =
      typeof owner === 'string' &&
      (nameKey === undefined || (typeof nameKey === 'string' && /^[0-9a-f]{64}$/.test(nameKey))) &&
      [manifest, obsolete].every((at) => at === undefined || (typeof at === 'string' && isBlobAddress(at)));
    return whole ? ({ owner, nameKey, manifest, obsolete } as JournalHeader) : undefined;
  } catch {
    return undefined;
  }
}

/** A damaged place is no address, and keeps none of the others from being found. */
const LENIENT = new TextDecoder();

/** Blobs that a journal's put may have stored. */
export async function intentsOf(
  context: RecordsContext,
  id: string,
  options: AbortOptions,
): Promise<BlobAt[]> {
  const blobs: BlobAt[] = [];
  const entries = context.engine.table(JOURNAL_TABLE).entries({ ...options, prefix: `${id}/` });
  for await (const [key, value] of entries) {
    for (const place of placesIn(key, value)) {
      const slash = place.lastIndexOf('/');
      const address = place.slice(slash + 1);
      if (isBlobAddress(address)) blobs.push({ provider: place.slice(0, slash), address, bytes: 0 });
    }
  }
  return blobs;
}

/** Earlier versions wrote one empty record for each blob, with its place in the key. */
const placesIn = (key: string, value: Uint8Array): readonly string[] =>
  value.length === 0 ? [key.slice(key.indexOf('/') + 1)] : LENIENT.decode(value).split('\n');

/** Of these places, `<provider>/<address>`, those that some journal speaks for, whoever wrote it, whole or not. */
export async function intendedAmong(
  { engine }: RecordsContext,
  places: ReadonlySet<string>,
  options: AbortOptions,
): Promise<Set<string>> {
  const intended = new Set<string>();
  for await (const [key, value] of engine.table(JOURNAL_TABLE).entries(options)) {
    if (!key.includes('/')) continue;
    for (const place of placesIn(key, value)) if (places.has(place)) intended.add(place);
  }
  return intended;
}

/** What is to be written when a journal is finished. */
export async function forgottenJournal(context: RecordsContext, id: string): Promise<BatchOp[]> {
  const ops: BatchOp[] = [];
  for await (const [key] of context.engine.table(JOURNAL_TABLE).entries({ prefix: `${id}/` })) {
    ops.push(entry(key, undefined));
  }
  return [...ops, entry(id, undefined)];
}
