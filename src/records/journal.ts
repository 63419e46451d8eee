import type { AbortOptions } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { toHex, utf8Decode, utf8Encode } from '../core/bytes.ts';
import type { Table } from '../engine/engine.ts';
import type { RecordsContext } from './context.ts';
import type { BlobAt } from './delete-blobs.ts';

/**
 * What puts in progress are about to store, written before it is stored. After a crash the blobs of a put that
 * never became visible are found here and deleted.
 */
const JOURNAL_TABLE = 'journal';

export interface JournalHeader {
  /** Who runs the put; another takes over once this one is proven to be gone. */
  readonly owner: string;
  readonly nameKey?: string | undefined;
  /** Set once everything is stored, just before the name is pointed. */
  readonly manifest?: BlobAddress | undefined;
  /** What is to be dropped once the name no longer stands for it; at once if there is no name. */
  readonly obsolete?: BlobAddress | undefined;
}

export class PutJournal {
  readonly #context: RecordsContext;
  readonly #id: string;
  readonly #header: JournalHeader;
  /** What the next record will hold, and when that will have been written. */
  #intents: string[] = [];
  #intended: Promise<void> | undefined;
  #records = 0;

  private constructor(context: RecordsContext, id: string, header: JournalHeader) {
    this.#context = context;
    this.#id = id;
    this.#header = header;
  }

  static async begin(context: RecordsContext, nameKey: string | undefined): Promise<PutJournal> {
    const owner = await context.owner();
    const journal = new PutJournal(context, toHex(context.random(8)), { owner, nameKey });
    await journal.#write(journal.#header, false);
    return journal;
  }

  /** Must resolve before the blob is sent. Blobs that are intended at the same moment, as copies are, share a record. */
  intend(provider: string, address: BlobAddress): Promise<void> {
    this.#intents.push(`${provider}/${address}`);
    this.#intended ??= Promise.resolve().then(() => this.#writeIntents());
    return this.#intended;
  }

  /** Everything is stored and the manifest may become visible any moment, and `obsolete` be replaced by it. */
  async committing(manifest: BlobAddress, obsolete: BlobAddress | undefined): Promise<void> {
    await this.#write({ ...this.#header, manifest, obsolete }, true);
  }

  /** The name is about to be removed, and with it what it stands for. */
  async removing(obsolete: BlobAddress): Promise<void> {
    await this.#write({ ...this.#header, obsolete }, true);
  }

  /** The put is over, visible or undone. */
  async end(): Promise<void> {
    for (let record = 0; record < this.#records; record++) await this.#table.delete(`${this.#id}/${record}`);
    await this.#table.delete(this.#id);
  }

  get #table(): Table {
    return this.#context.engine.table(JOURNAL_TABLE);
  }

  async #writeIntents(): Promise<void> {
    const intents = this.#intents;
    this.#intents = [];
    this.#intended = undefined;
    await this.#table.put(`${this.#id}/${this.#records++}`, utf8Encode(intents.join('\n')));
  }

  async #write(header: JournalHeader, sync: boolean): Promise<void> {
    await this.#table.put(this.#id, utf8Encode(JSON.stringify(header)), { sync });
  }
}

/** What one put or removal left in the journal. */
export interface JournalEntry {
  readonly id: string;
  readonly header: JournalHeader;
}

/** All journals whose header is whole. */
export async function readJournals(
  { engine }: RecordsContext,
  options: AbortOptions = {},
): Promise<JournalEntry[]> {
  const journals: JournalEntry[] = [];
  for await (const [key, value] of engine.table(JOURNAL_TABLE).entries(options)) {
    const header = key.includes('/') ? undefined : headerIn(value);
    if (header !== undefined) journals.push({ id: key, header });
  }
  return journals;
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
    // Earlier versions wrote one empty record for each blob, with its place in the key.
    const places = value.length === 0 ? [key.slice(id.length + 1)] : LENIENT.decode(value).split('\n');
    for (const place of places) {
      const slash = place.lastIndexOf('/');
      const address = place.slice(slash + 1);
      if (isBlobAddress(address)) blobs.push({ provider: place.slice(0, slash), address, bytes: 0 });
    }
  }
  return blobs;
}

export async function forgetJournal(context: RecordsContext, id: string): Promise<void> {
  const table = context.engine.table(JOURNAL_TABLE);
  const keys: string[] = [];
  for await (const [key] of table.entries({ prefix: `${id}/` })) keys.push(key);
  for (const key of keys) await table.delete(key);
  await table.delete(id);
}
