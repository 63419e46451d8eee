import type { AbortOptions } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { toHex, utf8Decode, utf8Encode } from '../core/bytes.ts';
import type { Table } from '../engine/engine.ts';
import { openPointer } from '../manifest/pointer.ts';
import { forgetRoot, knowsManifest } from './manifests.ts';
import { NAMES_TABLE } from './names.ts';
import type { VaultContext } from './ports.ts';
import { type BlobAt, discard } from './trash.ts';

/**
 * What puts in progress are about to store, written before it is stored. After a crash the blobs of a put that
 * never became visible are found here and deleted.
 */
const JOURNAL_TABLE = 'journal';

interface Header {
  /** Who runs the put; another process takes over once this one is gone. */
  readonly owner: string;
  readonly nameKey?: string | undefined;
  /** Set once everything is stored, just before the name is pointed. */
  readonly manifest?: BlobAddress | undefined;
}

export class PutJournal {
  readonly #context: VaultContext;
  readonly #id: string;
  readonly #header: Header;

  private constructor(context: VaultContext, id: string, header: Header) {
    this.#context = context;
    this.#id = id;
    this.#header = header;
  }

  static async begin(context: VaultContext, owner: string, nameKey: string | undefined): Promise<PutJournal> {
    const journal = new PutJournal(context, toHex(context.random(8)), { owner, nameKey });
    await journal.#write(journal.#header, false);
    return journal;
  }

  /** Must resolve before the blob is sent. */
  async intend(provider: string, address: BlobAddress): Promise<void> {
    await this.#table.put(`${this.#id}/${provider}/${address}`, new Uint8Array(0));
  }

  /** Everything is stored and the manifest may become visible any moment. */
  async committing(manifest: BlobAddress): Promise<void> {
    await this.#write({ ...this.#header, manifest }, true);
  }

  /** The put is over, visible or undone. */
  async end(): Promise<void> {
    await forget(this.#context, this.#id);
  }

  get #table(): Table {
    return this.#context.engine.table(JOURNAL_TABLE);
  }

  async #write(header: Header, sync: boolean): Promise<void> {
    await this.#table.put(this.#id, utf8Encode(JSON.stringify(header)), { sync });
  }
}

/**
 * Deletes what puts of dead processes left behind.
 * @param alive whether an owner still runs.
 * @returns blobs found.
 */
export async function sweepJournal(
  context: VaultContext,
  alive: (owner: string) => boolean,
  options: AbortOptions = {},
): Promise<number> {
  const dead: { id: string; header: Header }[] = [];
  for await (const [key, value] of context.engine.table(JOURNAL_TABLE).entries(options)) {
    if (key.includes('/')) continue;
    const header = JSON.parse(utf8Decode(value)) as Header;
    if (!alive(header.owner)) dead.push({ id: key, header });
  }
  let swept = 0;
  for (const { id, header } of dead) {
    if (!(await becameVisible(context, header, options))) {
      if (header.manifest !== undefined) await forgetRoot(context, header.manifest, options);
      swept += await discardIntents(context, id, options);
    }
    await forget(context, id);
  }
  return swept;
}

async function becameVisible(context: VaultContext, header: Header, options: AbortOptions): Promise<boolean> {
  if (header.manifest === undefined) return false;
  if (header.nameKey === undefined) return knowsManifest(context, header.manifest);
  const sealed = await context.engine.table(NAMES_TABLE).get(header.nameKey, options);
  if (sealed === undefined) return false;
  return openPointer(sealed, header.nameKey, context.keys.pointer).manifest === header.manifest;
}

async function discardIntents(context: VaultContext, id: string, options: AbortOptions): Promise<number> {
  const blobs: BlobAt[] = [];
  for await (const [key] of context.engine.table(JOURNAL_TABLE).entries({ ...options, prefix: `${id}/` })) {
    const provider = key.slice(id.length + 1, key.lastIndexOf('/'));
    const address = key.slice(key.lastIndexOf('/') + 1);
    if (isBlobAddress(address)) blobs.push({ provider, address, bytes: 0 });
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
