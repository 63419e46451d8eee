import type { BlobAddress } from '../../core/address.ts';
import { sliceParts } from '../../core/bytes.ts';
import {
  type AdapterCapabilities,
  type BlobAdapter,
  type BlobEntry,
  type BlobStat,
  isSlotName,
  type ProbeResult,
  type SlotName,
  type StoreResult,
} from '../adapter.ts';
import type { AdapterDeps, Driver, Upload } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { createSlots, generationOf, type Slots } from '../generations.ts';
import { overwriting } from '../guard.ts';
import { STALE_MS, sweepOnce } from '../leftovers.ts';
import { statedTime } from '../wire/answer.ts';
import { lengthOf, rangeHeader, wireReads } from '../wire/body.ts';
import { createSizeLimit, type SizeLimit } from '../wire/size-limit.ts';
import { absent, createS3Client, removeKey, type S3Client, type S3Place } from './client.ts';
import { createKeyListing, type KeyListing, sweepLeftovers } from './listing.ts';
import { s3Generations } from './slots.ts';
import { beginMultipart, type Multipart, s3Upload, type UploadPlace } from './upload.ts';

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
  return adapterFromDriver(new S3Driver(options, options), options);
}

/** Blobs as objects `<prefix>blobs/<64 hex>` in one bucket. */
class S3Driver implements Driver {
  readonly id: string;
  readonly capabilities: AdapterCapabilities;
  readonly fetch: Driver['fetch'];
  readonly fetchRange: Driver['fetchRange'];
  readonly read: Driver['read'];
  readonly readSlot: Driver['readSlot'];
  readonly writeSlot: Driver['writeSlot'];
  readonly deleteSlot: Driver['deleteSlot'];
  readonly #deps: AdapterDeps;
  readonly #prefix: string;
  readonly #partBytes: number;
  readonly #client: S3Client;
  readonly #limit: SizeLimit;
  readonly #listKeys: KeyListing;
  readonly #slots: Slots;
  readonly #swept: (signal: Signal) => Promise<void>;

  constructor(options: S3Options, deps: AdapterDeps) {
    const {
      prefix = '',
      partBytes = PART_BYTES,
      slots = true,
      staleMs = STALE_MS,
      pageKeys = 1000,
    } = options;
    const { clock, random } = deps;
    const client = createS3Client(options, clock);
    this.id = options.id;
    this.#deps = deps;
    this.#prefix = prefix;
    this.#partBytes = partBytes;
    this.#client = client;
    this.#limit = createSizeLimit(
      {
        supportsList: true,
        supportsSlots: slots,
        // A server that knows no conditions, as Swift, may look for the old file when it is already gone.
        replacesAtOnce: slots,
        statesSize: true,
        durable: true,
        maxBlobBytes: MAX_S3_BLOB_BYTES,
      },
      clock,
    );
    this.capabilities = this.#limit.capabilities;
    this.#swept = sweepOnce((signal) => sweepLeftovers({ client, prefix, clock, staleMs }, signal));
    const reads = wireReads((address, offset, length, signal) =>
      client.call({ method: 'GET', key: this.#keyOf(address), headers: rangeHeader(offset, length), signal }),
    );
    ({ fetch: this.fetch, fetchRange: this.fetchRange, read: this.read } = reads);
    this.#listKeys = createKeyListing(client, pageKeys);
    const keysUnder = (start: string, signal: Signal) => this.#listKeys(start, '', signal);
    this.#slots = createSlots(s3Generations(client, prefix, random, keysUnder), random);
    ({ read: this.readSlot, write: this.writeSlot, delete: this.deleteSlot } = this.#slots);
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
    const key = this.#keyOf(address);
    const existed = replace && there !== undefined;
    const send = (): Promise<void> =>
      size > this.#partBytes
        ? this.#putInParts(key, parts, size, signal)
        : this.#put(key, parts, size, signal);
    await overwriting(existed, () => this.#limit.sending(size, send));
    return { existed };
  }

  async openUpload(address: BlobAddress | undefined, signal: Signal, replace: boolean): Promise<Upload> {
    const place: UploadPlace = {
      client: this.#client,
      partBytes: this.#partBytes,
      keyOf: (found) => this.#keyOf(found),
      tempKey: (name) => `${this.#prefix}tmp/${name}`,
      put: (key, parts, size) => this.#put(key, parts, size, signal),
      begin: (key) => this.#begin(key, signal),
      sizeOf: async (found) => (await this.stat(found, signal))?.size,
      remove: (key) => removeKey(this.#client, key, undefined),
    };
    return s3Upload(place, this.#deps, address, signal, replace);
  }

  async stat(address: BlobAddress, signal: Signal): Promise<BlobStat | undefined> {
    const request = { method: 'HEAD', key: this.#keyOf(address), signal } as const;
    const answer = await this.#client.call(request).catch(absent);
    if (answer === undefined) return undefined;
    await answer.discard();
    const modifiedUnixMs = Date.parse(answer.header('last-modified') ?? '');
    return { size: lengthOf(answer), ...(Number.isNaN(modifiedUnixMs) ? {} : { modifiedUnixMs }) };
  }

  delete(address: BlobAddress, signal: Signal): Promise<void> {
    return removeKey(this.#client, this.#keyOf(address), signal);
  }

  async *list(
    prefixHex: string,
    after: BlobAddress | '',
    _details: boolean,
    signal: Signal,
  ): AsyncGenerator<BlobEntry, void, undefined> {
    const folder = `${this.#prefix}blobs/`;
    const from = after === '' ? '' : `${folder}${after.slice(3)}`;
    for await (const { key, size, modifiedUnixMs } of this.#listKeys(`${folder}${prefixHex}`, from, signal)) {
      const name = key.slice(folder.length);
      if (!/^[0-9a-f]{64}$/.test(name)) continue;
      yield {
        address: `b3:${name}` as BlobAddress,
        ...(size === undefined ? {} : { size }),
        ...(modifiedUnixMs === undefined ? {} : { modifiedUnixMs }),
      };
    }
  }

  async probe(signal: Signal): Promise<ProbeResult> {
    const { clock } = this.#deps;
    const start = clock.monotonic();
    const key = `${this.#prefix}tmp/probe`;
    const answer = await this.#client.call({ method: 'PUT', key, body: [], bodyBytes: 0, signal });
    await answer.discard();
    return { rttMs: clock.monotonic() - start, ...statedTime(answer) };
  }

  async *listSlots(after: SlotName | '', signal: Signal): AsyncGenerator<SlotName, void, undefined> {
    const folder = `${this.#prefix}slots/`;
    let last = after;
    // Keys come sorted, so the generations of one slot stand together; "0" is the first character behind "/".
    const from = after === '' ? '' : `${folder}${after}0`;
    for await (const { key } of this.#listKeys(folder, from, signal)) {
      const [name = '', number = ''] = key.slice(folder.length).split('/');
      if (name <= last || !isSlotName(name) || generationOf(number) === undefined) continue;
      last = name;
      if (await this.#slots.isThere(name, signal)) yield name;
    }
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  #keyOf(address: BlobAddress): string {
    return `${this.#prefix}blobs/${address.slice(3)}`;
  }

  async #put(key: string, body: readonly Uint8Array[], bodyBytes: number, signal: Signal): Promise<void> {
    await (await this.#client.call({ method: 'PUT', key, body, bodyBytes, signal })).discard();
  }

  /** Only who begins uploads can leave some behind, so nobody else pays for the listing. */
  async #begin(key: string, signal: Signal): Promise<Multipart> {
    await this.#swept(signal);
    return beginMultipart(this.#client, key, this.#deps.clock, signal);
  }

  async #putInParts(key: string, parts: readonly Uint8Array[], size: number, signal: Signal): Promise<void> {
    const multipart = await this.#begin(key, signal);
    try {
      for (let at = 0; at < size; at += this.#partBytes) {
        const length = Math.min(this.#partBytes, size - at);
        await multipart.add(sliceParts(parts, at, length), length);
      }
      await multipart.complete();
    } catch (error) {
      await multipart.cancel();
      throw error;
    }
  }
}
