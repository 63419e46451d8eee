import { throwIfAborted } from '../../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../../core/address.ts';
import { toHex, utf8Encode } from '../../core/bytes.ts';
import { type BlobAdapter, type BlobStat, MAX_BLOB_BYTES } from '../adapter.ts';
import { inOrder } from '../ascending.ts';
import type { AdapterDeps, Driver } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { unsupported } from '../guard.ts';
import { isTempName, STALE_MS, sweepOnce } from '../stale.ts';
import { rangeHeader } from '../wire/body.ts';
import { wireReads } from '../wire/reads.ts';
import { createSizeLimit, USUAL_LIMIT } from '../wire/size-limit.ts';
import { MAX_SMALL_XML } from '../wire/xml.ts';
import { createWebDavClient, homeMissing, ifAbsent, type WebDavPlace } from './client.ts';
import { cleanUp, webDavUpload } from './upload.ts';
import { MEMBERS_REQUEST, type Member, membersOf } from './xml.ts';

export interface WebDavOptions extends WebDavPlace {
  readonly id: string;
}

/** At most so many are removed at once, since an upload waits for it. */
const MAX_SWEPT = 100;
const HEAD = /^[0-9a-f]{2}$/;
/** Some hundred thousand names; more in one of 256 folders is not expected. */
const MAX_LISTING_BYTES = 64 * 1024 * 1024;

type Signal = AbortSignal | undefined;

/** A provider that is a collection on a WebDAV server. The collection is never created here. */
export function createWebDavAdapter(options: WebDavOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(webDavDriver(options, options), options);
}

/** Blobs as files `blobs/<2 hex>/<62 hex>` under a collection. No slots: WebDAV promises no atomic condition. */
function webDavDriver(options: WebDavOptions, deps: AdapterDeps): Driver {
  const { clock, random } = deps;
  const client = createWebDavClient(options, deps);
  const limit = createSizeLimit(
    {
      supportsList: true,
      supportsSlots: false,
      durable: true,
      maxBlobBytes: MAX_BLOB_BYTES,
      sureBlobBytes: USUAL_LIMIT,
    },
    clock,
  );
  const folderOf = (address: BlobAddress): string => `blobs/${address.slice(3, 5)}/`;
  const pathOf = (address: BlobAddress): string => `${folderOf(address)}${address.slice(5)}`;
  const find = async function* (
    path: string,
    depth: '0' | '1',
    signal: Signal,
  ): AsyncGenerator<Member, void, undefined> {
    const body = utf8Encode(MEMBERS_REQUEST);
    const headers = { depth, 'content-type': 'application/xml', 'content-length': String(body.length) };
    const request = { method: 'PROPFIND', path, headers, body: [body], signal };
    const answer = await client.call(request).catch(ifAbsent);
    if (answer !== undefined) yield* membersOf(answer, depth === '0' ? MAX_SMALL_XML : MAX_LISTING_BYTES);
  };
  /** The resource itself. */
  const look = async (path: string, signal: Signal): Promise<Member | undefined> => {
    let found: Member | undefined;
    for await (const member of find(path, '0', signal)) found ??= member;
    return found;
  };
  const swept = sweepOnce(async (signal) => {
    const old: string[] = [];
    for await (const { name, modifiedUnixMs } of find('tmp/', '1', signal)) {
      const stale = modifiedUnixMs !== undefined && modifiedUnixMs < clock.now() - STALE_MS;
      if (stale && isTempName(name) && old.length < MAX_SWEPT) old.push(name);
    }
    for (const name of old) await client.remove(`tmp/${name}`, signal);
  });
  const newTemp = async (signal: Signal): Promise<string> => {
    await client.ensureFolder('tmp/', signal);
    await swept(signal);
    return `tmp/${toHex(random(16))}`;
  };
  /** Not by HEAD: of an empty file some servers then do not tell the length. */
  const stat = async (address: BlobAddress, signal: Signal): Promise<BlobStat | undefined> => {
    const found = await look(pathOf(address), signal);
    if (found?.size === undefined || found.isFolder) return undefined;
    const seen = { replicasObserved: 1, replicaTarget: 1, lastSeenUnixMs: clock.now() };
    return { size: found.size, ...seen, encoding: 'identity' };
  };
  const isThere = async (address: BlobAddress, size: number, signal: Signal): Promise<boolean> =>
    (await stat(address, signal))?.size === size;

  const rename = async (temp: string, address: BlobAddress, signal: Signal): Promise<void> => {
    await client.ensureFolder('blobs/', signal);
    await client.ensureFolder(folderOf(address), signal);
    await client.move(temp, pathOf(address), signal);
  };
  const publish = (temp: string, address: BlobAddress, signal: Signal): Promise<void> =>
    rename(temp, address, signal).catch((error: unknown) => {
      if (!client.mayLackFolder(error)) throw error;
      return rename(temp, address, signal);
    });
  const reads = wireReads((address, offset, length, signal) =>
    client.call({ method: 'GET', path: pathOf(address), headers: rangeHeader(offset, length), signal }),
  );
  const send = async (
    address: BlobAddress,
    parts: readonly Uint8Array[],
    size: number,
    signal: Signal,
  ): Promise<void> => {
    const temp = await newTemp(signal);
    try {
      const headers = { 'content-length': String(size) };
      const request = { method: 'PUT', path: temp, headers, body: parts, signal };
      await (await limit.sending(size, () => client.call(request))).discard();
      throwIfAborted(signal, 'store');
      await publish(temp, address, signal);
    } catch (error) {
      await cleanUp(clock, client, temp);
      throw error;
    }
  };

  return {
    id: options.id,
    capabilities: limit.capabilities,
    async store(address, parts, size, signal) {
      if (await isThere(address, size, signal)) return { existed: true };
      await send(address, parts, size, signal).catch((error: unknown) => {
        if (!client.mayLackFolder(error)) throw error;
        return send(address, parts, size, signal);
      });
      return { existed: false };
    },
    async openUpload(_address, signal) {
      const temp = await newTemp(signal);
      return webDavUpload(clock, client, temp, signal, async (address, size) => {
        const existed = await isThere(address, size, signal);
        if (existed) await cleanUp(clock, client, temp);
        else await publish(temp, address, signal);
        return existed;
      });
    },
    ...reads,
    stat,
    delete: (address, signal) => client.remove(pathOf(address), signal),
    async *list(prefixHex, after, signal) {
      const heads = new Set<string>();
      for await (const { name, isFolder } of find('blobs/', '1', signal)) {
        if (isFolder && HEAD.test(name)) heads.add(name);
      }
      if (heads.size === 0 && (await look('', signal)) === undefined) throw homeMissing(undefined);
      for (const head of [...heads].sort()) {
        if (!head.startsWith(prefixHex.slice(0, 2)) || head < after.slice(3, 5)) continue;
        const inside = async function* (): AsyncGenerator<string, void, undefined> {
          for await (const { name, isFolder } of find(`blobs/${head}/`, '1', signal)) {
            const address = `b3:${head}${name}`;
            if (!isFolder && isBlobAddress(address) && address.startsWith(prefixHex, 3)) yield address;
          }
        };
        yield* inOrder(inside, after) as AsyncIterable<BlobAddress>;
      }
    },
    async probe(signal) {
      await client.ensureFolder('tmp/', signal);
      const start = clock.monotonic();
      const request = {
        method: 'PUT',
        path: 'tmp/probe',
        headers: { 'content-length': '0' },
        body: [],
        signal,
      };
      await (await client.call(request)).discard();
      return { rttMs: clock.monotonic() - start };
    },
    readSlot: noSlots,
    writeSlot: noSlots,
    deleteSlot: noSlots,
    listSlots: () => unsupported('slots'),
    close: () => client.close(),
  };
}

const noSlots = async (): Promise<never> => unsupported('slots');
