import { throwIfAborted } from '../../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../../core/address.ts';
import { toHex, utf8Encode } from '../../core/bytes.ts';
import { type Clock, withDeadline } from '../../core/clock.ts';
import {
  type AdapterCapabilities,
  type BlobAdapter,
  type BlobEntry,
  type BlobStat,
  MAX_BLOB_BYTES,
  type ProbeResult,
  type StoreResult,
} from '../adapter.ts';
import { type AdapterDeps, type Driver, noSlots, type Upload } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { overwriting } from '../guard.ts';
import { isTempName, STALE_MS, sweepOnce } from '../leftovers.ts';
import { byHead, isHead } from '../listing.ts';
import { statedTime } from '../wire/answer.ts';
import { rangeHeader, wireReads } from '../wire/body.ts';
import { createSizeLimit, type SizeLimit, USUAL_LIMIT } from '../wire/size-limit.ts';
import { createPushBody } from '../wire/upload.ts';
import { MAX_SMALL_XML } from '../wire/xml.ts';
import {
  homeMissing,
  ifAbsent,
  MEMBERS_REQUEST,
  type Member,
  membersOf,
  WebDavClient,
  type WebDavPlace,
} from './client.ts';

export interface WebDavOptions extends WebDavPlace {
  readonly id: string;
}

/** At most so many are removed at once, since an upload waits for it. */
const MAX_SWEPT = 100;
/** Some hundred thousand names; more in one of 256 folders is not expected. */
const MAX_LISTING_BYTES = 64 * 1024 * 1024;

type Signal = AbortSignal | undefined;

/** A provider that is a collection on a WebDAV server. The collection is never created here. */
export function createWebDavAdapter(options: WebDavOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(new WebDavDriver(options, options), options);
}

/** Blobs as files `blobs/<2 hex>/<62 hex>` under a collection. No slots: WebDAV promises no atomic condition. */
class WebDavDriver implements Driver {
  readonly id: string;
  readonly capabilities: AdapterCapabilities;
  readonly fetch: Driver['fetch'];
  readonly fetchRange: Driver['fetchRange'];
  readonly read: Driver['read'];
  readonly readSlot = noSlots.readSlot;
  readonly writeSlot = noSlots.writeSlot;
  readonly deleteSlot = noSlots.deleteSlot;
  readonly listSlots = noSlots.listSlots;
  readonly #deps: AdapterDeps;
  readonly #client: WebDavClient;
  readonly #limit: SizeLimit;
  readonly #swept: (signal: Signal) => Promise<void>;

  constructor(options: WebDavOptions, deps: AdapterDeps) {
    const client = new WebDavClient(options, deps);
    this.id = options.id;
    this.#deps = deps;
    this.#client = client;
    this.#limit = createSizeLimit(
      {
        supportsList: true,
        supportsSlots: false,
        statesSize: true,
        durable: true,
        // Apache deletes what is in the way of a MOVE before it renames.
        replacesAtOnce: false,
        maxBlobBytes: MAX_BLOB_BYTES,
        sureBlobBytes: USUAL_LIMIT,
      },
      deps.clock,
    );
    this.capabilities = this.#limit.capabilities;
    this.#swept = sweepOnce((signal) => this.#sweep(signal));
    const reads = wireReads((address, offset, length, signal) =>
      client.call({ method: 'GET', path: pathOf(address), headers: rangeHeader(offset, length), signal }),
    );
    ({ fetch: this.fetch, fetchRange: this.fetchRange, read: this.read } = reads);
  }

  async store(
    address: BlobAddress,
    parts: readonly Uint8Array[],
    size: number,
    signal: Signal,
    replace: boolean,
  ): Promise<StoreResult> {
    const there = await this.stat(address, signal);
    if (!replace && there?.size === size) return { existed: true };
    const existed = replace && there !== undefined;
    const send = (): Promise<void> => this.#send(address, parts, size, signal);
    await overwriting(existed, () =>
      send().catch((error: unknown) => {
        if (!this.#client.mayLackFolder(error)) throw error;
        return send();
      }),
    );
    return { existed };
  }

  async openUpload(_address: BlobAddress | undefined, signal: Signal, replace: boolean): Promise<Upload> {
    const temp = await this.#newTemp(signal);
    return webDavUpload(this.#deps.clock, this.#client, temp, signal, async (address, size) => {
      const there = await this.stat(address, signal);
      const existed = replace ? there !== undefined : there?.size === size;
      if (existed && !replace) await cleanUp(this.#deps.clock, this.#client, temp);
      else await overwriting(existed, () => this.#publish(temp, address, signal));
      return existed;
    });
  }

  /** Not by HEAD: of an empty file some servers then do not tell the length. */
  async stat(address: BlobAddress, signal: Signal): Promise<BlobStat | undefined> {
    const found = await this.#look(pathOf(address), signal);
    if (found?.size === undefined || found.isFolder) return undefined;
    const { size, modifiedUnixMs } = found;
    return { size, ...(modifiedUnixMs === undefined ? {} : { modifiedUnixMs }) };
  }

  delete(address: BlobAddress, signal: Signal): Promise<void> {
    return this.#client.remove(pathOf(address), signal);
  }

  async *list(
    prefixHex: string,
    after: BlobAddress | '',
    _details: boolean,
    signal: Signal,
  ): AsyncGenerator<BlobEntry, void, undefined> {
    const heads = new Set<string>();
    for await (const { name, isFolder } of this.#find('blobs/', '1', signal)) {
      if (isFolder && isHead(name)) heads.add(name);
    }
    if (heads.size === 0 && (await this.#look('', signal)) === undefined) throw homeMissing(undefined);
    const inside = (head: string) => this.#blobsIn(head, prefixHex, signal);
    yield* byHead(heads, prefixHex, after, inside, ({ address }) => address);
  }

  async probe(signal: Signal): Promise<ProbeResult> {
    const { clock } = this.#deps;
    await this.#client.ensureFolder('tmp/', signal);
    const start = clock.monotonic();
    const headers = { 'content-length': '0' };
    const request = { method: 'PUT', path: 'tmp/probe', headers, body: [], signal };
    const answer = await this.#client.call(request);
    await answer.discard();
    return { rttMs: clock.monotonic() - start, ...statedTime(answer) };
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async *#find(path: string, depth: '0' | '1', signal: Signal): AsyncGenerator<Member, void, undefined> {
    const body = utf8Encode(MEMBERS_REQUEST);
    const headers = { depth, 'content-type': 'application/xml', 'content-length': String(body.length) };
    const request = { method: 'PROPFIND', path, headers, body: [body], signal };
    const answer = await this.#client.call(request).catch(ifAbsent);
    if (answer !== undefined) yield* membersOf(answer, depth === '0' ? MAX_SMALL_XML : MAX_LISTING_BYTES);
  }

  /** The resource itself. */
  async #look(path: string, signal: Signal): Promise<Member | undefined> {
    let found: Member | undefined;
    for await (const member of this.#find(path, '0', signal)) found ??= member;
    return found;
  }

  async *#blobsIn(
    head: string,
    prefixHex: string,
    signal: Signal,
  ): AsyncGenerator<BlobEntry, void, undefined> {
    for await (const member of this.#find(`blobs/${head}/`, '1', signal)) {
      const { name, isFolder, size, modifiedUnixMs } = member;
      const address = `b3:${head}${name}`;
      if (isFolder || !isBlobAddress(address) || !address.startsWith(prefixHex, 3)) continue;
      yield {
        address,
        ...(size === undefined ? {} : { size }),
        ...(modifiedUnixMs === undefined ? {} : { modifiedUnixMs }),
      };
    }
  }

  async #newTemp(signal: Signal): Promise<string> {
    await this.#client.ensureFolder('tmp/', signal);
    await this.#swept(signal);
    return `tmp/${toHex(this.#deps.random(16))}`;
  }

  async #sweep(signal: Signal): Promise<void> {
    const old: string[] = [];
    for await (const { name, modifiedUnixMs } of this.#find('tmp/', '1', signal)) {
      const stale = modifiedUnixMs !== undefined && modifiedUnixMs < this.#deps.clock.now() - STALE_MS;
      if (stale && isTempName(name) && old.length < MAX_SWEPT) old.push(name);
    }
    for (const name of old) await this.#client.remove(`tmp/${name}`, signal);
  }

  async #send(
    address: BlobAddress,
    parts: readonly Uint8Array[],
    size: number,
    signal: Signal,
  ): Promise<void> {
    const temp = await this.#newTemp(signal);
    try {
      const headers = { 'content-length': String(size) };
      const request = { method: 'PUT', path: temp, headers, body: parts, signal };
      await (await this.#limit.sending(size, () => this.#client.call(request))).discard();
      throwIfAborted(signal, 'store');
      await this.#publish(temp, address, signal);
    } catch (error) {
      await cleanUp(this.#deps.clock, this.#client, temp);
      throw error;
    }
  }

  #publish(temp: string, address: BlobAddress, signal: Signal): Promise<void> {
    return this.#rename(temp, address, signal).catch((error: unknown) => {
      if (!this.#client.mayLackFolder(error)) throw error;
      return this.#rename(temp, address, signal);
    });
  }

  async #rename(temp: string, address: BlobAddress, signal: Signal): Promise<void> {
    await this.#client.ensureFolder('blobs/', signal);
    await this.#client.ensureFolder(folderOf(address), signal);
    await this.#client.move(temp, pathOf(address), signal);
  }
}

const folderOf = (address: BlobAddress): string => `blobs/${address.slice(3, 5)}/`;
const pathOf = (address: BlobAddress): string => `${folderOf(address)}${address.slice(5)}`;

const CLEAN_UP_TIMEOUT_MS = 10_000;

/** Removes an unfinished upload; best effort, since whatever failed before may fail again. */
async function cleanUp(clock: Clock, client: WebDavClient, temp: string): Promise<void> {
  await withDeadline(clock, CLEAN_UP_TIMEOUT_MS, 'clean up', (signal) => client.remove(temp, signal)).catch(
    () => {},
  );
}

/** Streams to a temporary name and moves it once the address is known. */
function webDavUpload(
  clock: Clock,
  client: WebDavClient,
  temp: string,
  signal: AbortSignal | undefined,
  publish: (address: BlobAddress, size: number) => Promise<boolean>,
): Upload {
  const push = createPushBody(signal);
  const sent = client.call({ method: 'PUT', path: temp, body: push.body, signal });
  // An answer before the end is a refusal, and the writer must hear of it.
  sent.then(
    () => {},
    (error: unknown) => push.fail(error),
  );
  return {
    write: (piece) => push.push(piece),
    async commit(address, size) {
      push.end();
      await (await sent).discard();
      throwIfAborted(signal, 'storeStream');
      return { existed: await publish(address, size) };
    },
    async discard() {
      push.fail(new Error('the upload was given up'));
      await sent.catch(() => {});
      await cleanUp(clock, client, temp);
    },
  };
}
