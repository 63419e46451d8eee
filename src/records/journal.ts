import type { AbortOptions } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { toHex, utf8Decode, utf8Encode } from '../core/bytes.ts';
import type { Table } from '../engine/engine.ts';
import { openPointer } from '../manifest/pointer.ts';
import type { VaultContext } from '../pipeline/context.ts';
import { dropManifest } from '../upkeep/delete-manifest.ts';
import { forgetRoot, knowsManifest } from './manifests.ts';
import { NAMES_TABLE } from './names.ts';
import { recountIsDue } from './recount-due.ts';
import { type BlobAt, discard } from './trash.ts';

/**
 * What puts in progress are about to store, written before it is stored. After a crash the blobs of a put that
 * never became visible are found here and deleted.
 */
const JOURNAL_TABLE = 'journal';

interface Header {
  /** Who runs the put; another takes over once this one is proven to be gone. */
  readonly owner: string;
  readonly nameKey?: string | undefined;
  /** Set once everything is stored, just before the name is pointed. */
  readonly manifest?: BlobAddress | undefined;
  /** What is to be dropped once the name no longer stands for it; at once if there is no name. */
  readonly obsolete?: BlobAddress | undefined;
}

export class PutJournal {
  readonly #context: VaultContext;
  readonly #id: string;
  readonly #header: Header;
  /** What the next record will hold, and when that will have been written. */
  #intents: string[] = [];
  #intended: Promise<void> | undefined;
  #records = 0;

  private constructor(context: VaultContext, id: string, header: Header) {
    this.#context = context;
    this.#id = id;
    this.#header = header;
  }

  static async begin(context: VaultContext, nameKey: string | undefined): Promise<PutJournal> {
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

  async #write(header: Header, sync: boolean): Promise<void> {
    await this.#table.put(this.#id, utf8Encode(JSON.stringify(header)), { sync });
  }
}

export interface SweepResult {
  /** Journals of dead owners that were finished. */
  readonly finished: number;
  /** Blobs found. */
  readonly blobs: number;
  /** Owners that still have a journal. */
  readonly owners: ReadonlySet<string>;
}

/**
 * Finishes what dead owners began: deletes the blobs of puts that never became visible, and those of versions that
 * were replaced or removed. Nothing is touched whose owner may live, or cannot be read.
 * @param isDead whether an owner is proven to be gone.
 */
export async function sweepJournal(
  context: VaultContext,
  isDead: (owner: string) => boolean | Promise<boolean>,
  options: AbortOptions = {},
): Promise<SweepResult> {
  const journals: { id: string; header: Header }[] = [];
  for await (const [key, value] of context.engine.table(JOURNAL_TABLE).entries(options)) {
    const header = key.includes('/') ? undefined : headerIn(value);
    if (header !== undefined) journals.push({ id: key, header });
  }
  const owners = new Set(journals.map(({ header }) => header.owner));
  const dead = new Set<string>();
  for (const owner of owners) if (await isDead(owner)) dead.add(owner);
  // What a dead owner had stored or deleted may not have been counted.
  if (dead.size > 0) await recountIsDue(context);
  let [blobs, finished] = [0, 0];
  for (const { id, header } of journals) {
    if (!dead.has(header.owner)) continue;
    blobs += await finish(context, id, header, options);
    finished++;
  }
  for (const owner of dead) owners.delete(owner);
  return { finished, blobs, owners };
}

/** Whether no put and no removal is under way, or was left half done. */
export async function noJournals({ engine }: VaultContext, options: AbortOptions): Promise<boolean> {
  for await (const _ of engine.table(JOURNAL_TABLE).entries({ ...options, limit: 1 })) return false;
  return true;
}

async function finish(
  context: VaultContext,
  id: string,
  header: Header,
  options: AbortOptions,
): Promise<number> {
  let swept = 0;
  const current = await standsFor(context, header, options);
  if (!(await isVisible(context, header, current))) {
    if (header.manifest !== undefined) await forgetRoot(context, header.manifest, options);
    swept += await discardIntents(context, id, options);
  }
  if (header.obsolete !== undefined && current !== header.obsolete) {
    swept += (await dropManifest(context, header.obsolete, options)).deleted;
  }
  await forget(context, id);
  return swept;
}

/** Undefined for what is no header, or a damaged one: whose it is, or what it is of, cannot be told. */
function headerIn(value: Uint8Array): Header | undefined {
  try {
    const { owner, nameKey, manifest, obsolete } = JSON.parse(utf8Decode(value)) as Record<
      keyof Header,
      unknown
    >;
    const whole =
      typeof owner === 'string' &&
      (nameKey === undefined || (typeof nameKey === 'string' && /^[0-9a-f]{64}$/.test(nameKey))) &&
      [manifest, obsolete].every((at) => at === undefined || (typeof at === 'string' && isBlobAddress(at)));
    return whole ? ({ owner, nameKey, manifest, obsolete } as Header) : undefined;
  } catch {
    return undefined;
  }
}

/** The manifest that the journal's name stands for now. */
async function standsFor(
  context: VaultContext,
  { nameKey }: Header,
  options: AbortOptions,
): Promise<BlobAddress | undefined> {
  if (nameKey === undefined) return undefined;
  const sealed = await context.engine.table(NAMES_TABLE).get(nameKey, options);
  return sealed && openPointer(sealed, nameKey, context.keys.pointer).manifest;
}

/** Whether the put's manifest is the one that its name, or anyone who has its address, leads to. */
async function isVisible(
  context: VaultContext,
  { nameKey, manifest }: Header,
  current: BlobAddress | undefined,
): Promise<boolean> {
  if (manifest === undefined) return false;
  return nameKey === undefined ? knowsManifest(context, manifest) : current === manifest;
}

/** A damaged place is no address, and keeps none of the others from being found. */
const LENIENT = new TextDecoder();

async function discardIntents(context: VaultContext, id: string, options: AbortOptions): Promise<number> {
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
  await discard(context, blobs, options);
  return blobs.length;
}

async function forget(context: VaultContext, id: string): Promise<void> {
  const table = context.engine.table(JOURNAL_TABLE);
  const keys: string[] = [];
  for await (const [key] of table.entries({ prefix: `${id}/` })) keys.push(key);
  for (const key of keys) await table.delete(key);
  await table.delete(id);
}
