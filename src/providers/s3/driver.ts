import type { BlobAddress } from '../../core/address.ts';
import { sliceParts } from '../../core/bytes.ts';
import { type BlobAdapter, type BlobStat, isSlotName } from '../adapter.ts';
import type { AdapterDeps, Driver } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { createSlots, generationOf } from '../generations.ts';
import { STALE_MS, sweepOnce } from '../stale.ts';
import { lengthOf, rangeHeader } from '../wire/body.ts';
import { wireReads } from '../wire/reads.ts';
import { createSizeLimit } from '../wire/size-limit.ts';
import { absent, createS3Client, removeKey, type S3Place } from './client.ts';
import { createKeyListing } from './listing.ts';
import { beginMultipart, type Multipart } from './multipart.ts';
import { s3Generations } from './slots.ts';
import { sweepLeftovers } from './sweep.ts';
import { s3Upload, type UploadPlace } from './upload.ts';

export interface S3Options extends S3Place {
  readonly id: string;
  /** Put before every key, e.g. `holdfast/`. */
  readonly prefix?: string | undefined;
  /** Whether slots are kept here: needs `If-None-Match: *` on PUT. Default true. */
  readonly slots?: boolean | undefined;
  /** Blobs longer than this go up in parts of this length; at least 5 MiB. Default 16 MiB. */
  readonly partBytes?: number | undefined;
  /** Age from which on unfinished uploads count as left behind. Default a day. */
  readonly staleMs?: number | undefined;
  /** Keys asked for at once in a listing. Default 1000, the most a server gives. */
  readonly pageKeys?: number | undefined;
}

/** What one request may copy, and so what a stream without an address may have. */
const MAX_S3_BLOB_BYTES = 5 * 1024 ** 3;
const PART_BYTES = 16 * 1024 * 1024;

type Signal = AbortSignal | undefined;

/** A provider that is a bucket, or a prefix in one, on anything that speaks S3. The bucket is never created here. */
export function createS3Adapter(options: S3Options & AdapterDeps): BlobAdapter {
  return adapterFromDriver(s3Driver(options, options), options);
}

/** Blobs as objects `<prefix>blobs/<64 hex>` in one bucket. */
function s3Driver(options: S3Options, deps: AdapterDeps): Driver {
  const { clock, random } = deps;
  const prefix = options.prefix ?? '';
  const partBytes = options.partBytes ?? PART_BYTES;
  const client = createS3Client(options, clock);
  const limit = createSizeLimit(
    {
      supportsList: true,
      supportsSlots: options.slots ?? true,
      durable: true,
      maxBlobBytes: MAX_S3_BLOB_BYTES,
    },
    clock,
  );
  const keyOf = (address: BlobAddress): string => `${prefix}blobs/${address.slice(3)}`;

  const sweep = { client, prefix, clock, staleMs: options.staleMs ?? STALE_MS };
  const swept = sweepOnce((signal) => sweepLeftovers(sweep, signal));
  /** Only who begins uploads can leave some behind, so nobody else pays for the listing. */
  const begin = async (key: string, signal: Signal): Promise<Multipart> => {
    await swept(signal);
    return beginMultipart(client, key, clock, signal);
  };
  const put = async (
    key: string,
    body: readonly Uint8Array[],
    bodyBytes: number,
    signal: Signal,
  ): Promise<void> => (await client.call({ method: 'PUT', key, body, bodyBytes, signal })).discard();
  const stat = async (address: BlobAddress, signal: Signal): Promise<BlobStat | undefined> => {
    const answer = await client.call({ method: 'HEAD', key: keyOf(address), signal }).catch(absent);
    if (answer === undefined) return undefined;
    await answer.discard();
    const seen = { replicasObserved: 1, replicaTarget: 1, lastSeenUnixMs: clock.now() };
    return { size: lengthOf(answer), ...seen, encoding: 'identity' };
  };
  const isThere = async (address: BlobAddress, size: number, signal: Signal): Promise<boolean> =>
    (await stat(address, signal))?.size === size;
  const putInParts = async (
    key: string,
    parts: readonly Uint8Array[],
    size: number,
    signal: Signal,
  ): Promise<void> => {
    const multipart = await begin(key, signal);
    try {
      for (let at = 0; at < size; at += partBytes) {
        const length = Math.min(partBytes, size - at);
        await multipart.add(sliceParts(parts, at, length), length);
      }
      await multipart.complete();
    } catch (error) {
      await multipart.cancel();
      throw error;
    }
  };
  const reads = wireReads((address, offset, length, signal) =>
    client.call({ method: 'GET', key: keyOf(address), headers: rangeHeader(offset, length), signal }),
  );
  const listKeys = createKeyListing(client, options.pageKeys ?? 1000);

  const slots = createSlots(
    s3Generations(client, prefix, random, (start, signal) => listKeys(start, '', signal)),
    random,
  );

  return {
    id: options.id,
    capabilities: limit.capabilities,
    async store(address, parts, size, signal) {
      if (await isThere(address, size, signal)) return { existed: true };
      const send = size > partBytes ? putInParts : put;
      await limit.sending(size, () => send(keyOf(address), parts, size, signal));
      return { existed: false };
    },
    openUpload: async (address, signal) => {
      const place: UploadPlace = {
        client,
        partBytes,
        keyOf,
        tempKey: (name) => `${prefix}tmp/${name}`,
        put: (key, parts, size) => put(key, parts, size, signal),
        begin: (key) => begin(key, signal),
        isThere: (found, size) => isThere(found, size, signal),
        remove: (key) => removeKey(client, key, undefined),
      };
      return s3Upload(place, deps, address, signal);
    },
    ...reads,
    stat,
    delete: (address, signal) => removeKey(client, keyOf(address), signal),
    async *list(prefixHex, after, signal) {
      const folder = `${prefix}blobs/`;
      const from = after === '' ? '' : `${folder}${after.slice(3)}`;
      for await (const key of listKeys(`${folder}${prefixHex}`, from, signal)) {
        const name = key.slice(folder.length);
        if (/^[0-9a-f]{64}$/.test(name)) yield `b3:${name}` as BlobAddress;
      }
    },
    async probe(signal) {
      const start = clock.monotonic();
      await put(`${prefix}tmp/probe`, [], 0, signal);
      return { rttMs: clock.monotonic() - start };
    },
    readSlot: slots.read,
    writeSlot: slots.write,
    deleteSlot: slots.delete,
    async *listSlots(after, signal) {
      const folder = `${prefix}slots/`;
      let last = after;
      // Keys come sorted, so the generations of one slot stand together; "0" is the first character behind "/".
      for await (const key of listKeys(folder, after === '' ? '' : `${folder}${after}0`, signal)) {
        const [name = '', number = ''] = key.slice(folder.length).split('/');
        if (name <= last || !isSlotName(name) || generationOf(number) === undefined) continue;
        last = name;
        if (await slots.isThere(name, signal)) yield name;
      }
    },
    close: () => client.close(),
  };
}
