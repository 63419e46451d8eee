import { throwIfAborted } from '../../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../../core/address.ts';
import { isHoldfastError } from '../../core/errors.ts';
import {
  type AdapterCapabilities,
  type BlobAdapter,
  type BlobEntry,
  type BlobStat,
  isSlotName,
  MAX_BLOB_BYTES,
  MAX_SLOT_BYTES,
  type ProbeResult,
  type Slot,
  type SlotName,
  type SlotVersion,
  type StoreResult,
} from '../adapter.ts';
import type { AdapterDeps, Driver, Upload } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import type { Slots } from '../generations.ts';
import { slotConflict } from '../guard.ts';
import { collect } from '../pieces.ts';
import { statedTime, type WireAnswer } from '../wire/answer.ts';
import { lengthOf, rangeHeader, wireReads } from '../wire/body.ts';
import { createSizeLimit, type SizeLimit, USUAL_LIMIT } from '../wire/size-limit.ts';
import { createPushBody } from '../wire/upload.ts';
import { badAnswer, createNodeClient, type NodeClient, type NodePlace, parseJson } from './client.ts';

export interface NodeOptions extends NodePlace {
  readonly id: string;
  /** False for a node that keeps everything in memory. Default true. */
  readonly durable?: boolean | undefined;
  /** Names asked for at once in a listing. Default 1000. */
  readonly pageNames?: number | undefined;
}

const MAX_PAGE_BYTES = 256 * 1024;

type Signal = AbortSignal | undefined;

/** A provider that is a Holdfast storage node. */
export function createHttpAdapter(options: NodeOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(new NodeDriver(options, options), options);
}

/** Blobs at a storage node, over its HTTP interface. */
class NodeDriver implements Driver {
  readonly id: string;
  readonly capabilities: AdapterCapabilities;
  readonly fetch: Driver['fetch'];
  readonly fetchRange: Driver['fetchRange'];
  readonly read: Driver['read'];
  readonly readSlot: Driver['readSlot'];
  readonly writeSlot: Driver['writeSlot'];
  readonly deleteSlot: Driver['deleteSlot'];
  readonly #deps: AdapterDeps;
  readonly #client: NodeClient;
  readonly #limit: SizeLimit;
  readonly #pageNames: number;

  constructor(options: NodeOptions, deps: AdapterDeps) {
    const client = createNodeClient(options, deps.clock);
    this.id = options.id;
    this.#deps = deps;
    this.#client = client;
    this.#pageNames = options.pageNames ?? 1000;
    this.#limit = createSizeLimit(
      {
        supportsList: true,
        supportsSlots: true,
        statesSize: true,
        durable: options.durable ?? true,
        maxBlobBytes: MAX_BLOB_BYTES,
        sureBlobBytes: USUAL_LIMIT,
      },
      deps.clock,
    );
    this.capabilities = this.#limit.capabilities;
    const reads = wireReads((address, offset, length, signal) =>
      client.call({ method: 'GET', path: pathOf(address), headers: rangeHeader(offset, length), signal }),
    );
    ({ fetch: this.fetch, fetchRange: this.fetchRange, read: this.read } = reads);
    const slots = createNodeSlots(client);
    ({ read: this.readSlot, write: this.writeSlot, delete: this.deleteSlot } = slots);
  }

  async store(
    address: BlobAddress,
    parts: readonly Uint8Array[],
    size: number,
    signal: Signal,
    replace: boolean,
  ): Promise<StoreResult> {
    // Not asked for first: it is hardly ever there, and the node says so too.
    const headers = { 'content-length': String(size) };
    const request = { method: 'PUT', path: pathToPut(address, replace), headers, body: parts, signal };
    const answer = await this.#limit.sending(size, () => this.#client.call(request));
    await answer.discard();
    return { existed: answer.status === 200 };
  }

  async openUpload(address: BlobAddress | undefined, signal: Signal, replace: boolean): Promise<Upload> {
    return nodeUpload(this.#client, address, signal, replace);
  }

  async stat(address: BlobAddress, signal: Signal): Promise<BlobStat | undefined> {
    const answer = await this.#client
      .call({ method: 'HEAD', path: pathOf(address), signal })
      .catch((error: unknown) => {
        if (!isHoldfastError(error, 'NotFound')) throw error;
      });
    if (answer === undefined) return undefined;
    await answer.discard();
    return { size: lengthOf(answer) };
  }

  async delete(address: BlobAddress, signal: Signal): Promise<void> {
    await (await this.#client.call({ method: 'DELETE', path: pathOf(address), signal })).discard();
  }

  async *list(
    prefixHex: string,
    after: BlobAddress | '',
    details: boolean,
    signal: Signal,
  ): AsyncGenerator<BlobEntry, void, undefined> {
    const prefix = prefixHex === '' ? '' : `&prefix=${prefixHex}`;
    const query = details ? `${prefix}&details=true` : prefix;
    for await (const { names, told } of this.#pages('/o', 'addresses', after, query, signal)) {
      for (const [i, address] of names.entries())
        if (isBlobAddress(address)) yield { address, ...toldOf(told[i]) };
    }
  }

  async probe(signal: Signal): Promise<ProbeResult> {
    const { clock } = this.#deps;
    const start = clock.monotonic();
    const answer = await this.#client.call({ method: 'GET', path: '/readyz', signal });
    await answer.discard();
    return { rttMs: clock.monotonic() - start, ...statedTime(answer) };
  }

  async *listSlots(after: SlotName | '', signal: Signal): AsyncGenerator<SlotName, void, undefined> {
    for await (const { names } of this.#pages('/slots', 'names', after, '', signal))
      for (const name of names) if (isSlotName(name)) yield name;
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  /** @param query what to ask besides. */
  async *#pages(
    path: string,
    field: string,
    from: string,
    query: string,
    signal: Signal,
  ): AsyncGenerator<ListedPage, void, undefined> {
    for (let after = from; ; ) {
      const target = `${path}?limit=${this.#pageNames}&after=${after}${query}`;
      const answer = await this.#client.call({ method: 'GET', path: target, signal });
      const { [field]: list, details, next } = parseJson(await answer.text(MAX_PAGE_BYTES));
      if (!Array.isArray(list)) throw badAnswer('a listing without names');
      yield { names: list.map(textOf), told: Array.isArray(details) ? details : [] };
      if (next === undefined) return;
      // The last name of a page is where the next one begins; so pages end when names do.
      if (typeof next !== 'string' || next <= after || next !== list.at(-1))
        throw badAnswer('a listing that does not advance');
      after = next;
    }
  }
}

interface ListedPage {
  readonly names: readonly string[];
  /** Of each name, in the same order; a node of an earlier version tells nothing. */
  readonly told: readonly unknown[];
}

const pathOf = (address: BlobAddress): string => `/o/${address}`;

const pathToPut = (address: BlobAddress, replace: boolean): string =>
  replace ? `${pathOf(address)}?replace=true` : pathOf(address);

const textOf = (name: unknown): string => (typeof name === 'string' ? name : '');

function toldOf(told: unknown): Omit<BlobEntry, 'address'> {
  if (typeof told !== 'object' || told === null) return {};
  const { size, modified_unix_ms, pinned } = told as Readonly<Record<string, unknown>>;
  return {
    ...(isAmount(size) ? { size } : {}),
    ...(isAmount(modified_unix_ms) ? { modifiedUnixMs: modified_unix_ms } : {}),
    ...(typeof pinned === 'boolean' ? { pinned } : {}),
  };
}

const isAmount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Streams to the node, which hashes for itself and keeps nothing of a body that does not end. */
function nodeUpload(
  client: NodeClient,
  address: BlobAddress | undefined,
  signal: AbortSignal | undefined,
  replace: boolean,
): Upload {
  const push = createPushBody(signal);
  const target =
    address === undefined
      ? { method: 'POST', path: '/o' }
      : { method: 'PUT', path: pathToPut(address, replace) };
  const sent = client.call({ ...target, body: push.body, signal });
  // An answer before the end is a refusal, and the writer must hear of it.
  sent.then(
    () => {},
    (error: unknown) => push.fail(error),
  );
  return {
    write: (piece) => push.push(piece),
    async commit(computed) {
      throwIfAborted(signal, 'storeStream');
      push.end();
      const answer = await sent;
      await answer.discard();
      if (answer.header('etag') !== `"${computed}"`)
        throw badAnswer('it stored the bytes under another address');
      return { existed: answer.status === 200 };
    },
    async discard() {
      push.fail(new Error('the upload was given up'));
      const answer = await sent.catch(() => undefined);
      await answer?.discard();
    },
  };
}

/** Slots of a node: the version is the entity tag as the node wrote it. */
function createNodeSlots(client: NodeClient): Pick<Slots, 'read' | 'write' | 'delete'> {
  const pathOf = (name: SlotName): string => `/slots/${name}`;
  return {
    async read(name, signal): Promise<Slot | undefined> {
      try {
        const answer = await client.call({ method: 'GET', path: pathOf(name), signal });
        return { bytes: await collect(answer.body, MAX_SLOT_BYTES), version: versionOf(answer) };
      } catch (error) {
        if (isHoldfastError(error, 'NotFound')) return undefined;
        throw error;
      }
    },
    async write(name, bytes, expected, signal) {
      if (expected !== undefined && !/^"[\x21\x23-\x7e]*"$/.test(expected)) throw slotConflict();
      const condition = expected === undefined ? { 'if-none-match': '*' } : { 'if-match': expected };
      const headers = { ...condition, 'content-length': String(bytes.length) };
      const request = { method: 'PUT', path: pathOf(name), headers, body: [bytes], signal };
      const answer = await client.call(request).catch((error: unknown) => {
        throw isHoldfastError(error, 'Conflict') ? slotConflict() : error;
      });
      await answer.discard();
      return versionOf(answer);
    },
    async delete(name, signal, forget = false) {
      const path = forget ? `${pathOf(name)}?forget=true` : pathOf(name);
      await (await client.call({ method: 'DELETE', path, signal })).discard();
    },
  };
}

function versionOf(answer: WireAnswer): SlotVersion {
  const version = answer.header('etag');
  if (version === undefined) throw badAnswer('a slot without a version');
  return version;
}
