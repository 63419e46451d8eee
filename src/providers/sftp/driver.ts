import type { FileEntryWithStats } from 'ssh2';
import { throwIfAborted } from '../../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../../core/address.ts';
import { toHex } from '../../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import {
  type AdapterCapabilities,
  type BlobAdapter,
  type BlobEntry,
  type BlobStat,
  isSlotName,
  MAX_BLOB_BYTES,
  type ProbeResult,
  type SlotName,
  type StoreResult,
} from '../adapter.ts';
import type { AdapterDeps, Driver, Upload } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { createSlots, type Slots } from '../generations.ts';
import { overwriting } from '../guard.ts';
import { isTempName, STALE_MS, sweepOnce } from '../leftovers.ts';
import { byHead, inOrder, isHead } from '../listing.ts';
import { collect, fill } from '../pieces.ts';
import { isFailure, SftpConnection, type SftpPlace } from './connection.ts';
import { SftpFiles } from './files.ts';
import { createFolders, type Folders, sftpGenerations } from './layout.ts';

export interface SftpOptions extends SftpPlace {
  readonly id: string;
  /** A folder at the server. It must be there. */
  readonly root: string;
  /** Whether slots are kept here: needs hard links, which OpenSSH has. Default true. */
  readonly slots?: boolean | undefined;
}

/** A disk with less left counts as full when a write fails without saying why. */
const FULL_BELOW_BYTES = 1024 * 1024;

/** At most so many are removed at once, since an upload waits for it. */
const MAX_SWEPT = 100;

type Signal = AbortSignal | undefined;

/** A provider that is a folder on an SFTP server. The folder is never created here. */
export function createSftpAdapter(options: SftpOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(new SftpDriver(options, options), options);
}

/** Blobs as files `blobs/<2 hex>/<62 hex>` under a folder on an SFTP server. */
class SftpDriver implements Driver {
  readonly id: string;
  readonly capabilities: AdapterCapabilities;
  readonly readSlot: Driver['readSlot'];
  readonly writeSlot: Driver['writeSlot'];
  readonly deleteSlot: Driver['deleteSlot'];
  readonly #deps: AdapterDeps;
  readonly #connection: SftpConnection;
  readonly #files: SftpFiles;
  readonly #folders: Folders;
  readonly #slots: Slots;

  constructor(options: SftpOptions, deps: AdapterDeps) {
    this.id = options.id;
    this.capabilities = {
      supportsList: true,
      supportsSlots: options.slots ?? true,
      durable: true,
      // Links that are none are a sign of a server that keeps no files of its own: what it has open may change too.
      replacesAtOnce: options.slots ?? true,
      maxBlobBytes: MAX_BLOB_BYTES,
    };
    this.#deps = deps;
    this.#connection = new SftpConnection(options);
    this.#files = new SftpFiles(this.#connection);
    const swept = sweepOnce((signal) => this.#sweep(signal));
    this.#folders = createFolders(this.#files, options.root, swept);
    this.#slots = createSlots(sftpGenerations(this.#files, this.#folders, deps.random), deps.random);
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
    const existed = replace && there !== undefined;
    // Of a racing writer's blob the length alone is known.
    const same = replace ? undefined : size;
    const send = (): Promise<void> => this.#send(address, parts, same, signal);
    await overwriting(existed, () =>
      send().catch((error: unknown) => {
        // Folders that were removed behind our back have been forgotten, and are made again.
        if (!isHoldfastError(error, 'NotFound')) throw error;
        return send();
      }),
    );
    return { existed };
  }

  async openUpload(_address: BlobAddress | undefined, signal: Signal, replace: boolean): Promise<Upload> {
    const temp = await this.#newTemp(signal);
    const file = await this.#files.create(temp, signal);
    return {
      write: (piece) =>
        file.append(piece).catch(async (error: unknown) => Promise.reject(await this.#explained(error))),
      commit: async (address, size) => {
        await file.finish();
        throwIfAborted(signal, 'storeStream');
        const there = await this.stat(address, signal);
        const existed = replace ? there !== undefined : there?.size === size;
        const same = replace ? undefined : size;
        if (existed && !replace) await this.#files.remove(temp, signal);
        else await overwriting(existed, () => this.#publish(temp, address, same, signal));
        return { existed };
      },
      discard: async () => {
        await file.close();
        await this.#files.remove(temp, undefined).catch(() => {});
      },
    };
  }

  fetch(address: BlobAddress, maxBytes: number, signal: Signal): Promise<Uint8Array> {
    return this.#placed(collect(this.read(address, 0, undefined, signal), maxBytes), signal);
  }

  fetchRange(
    address: BlobAddress,
    offset: number,
    into: readonly Uint8Array[],
    length: number,
    signal: Signal,
  ): Promise<void> {
    return this.#placed(fill(this.read(address, offset, length, signal), into, signal), signal);
  }

  read(
    address: BlobAddress,
    offset: number,
    length: number | undefined,
    signal: Signal,
  ): AsyncIterable<Uint8Array> {
    return this.#files.read(this.#pathOf(address), offset, length, signal);
  }

  async stat(address: BlobAddress, signal: Signal): Promise<BlobStat | undefined> {
    const found = await this.#files.stat(this.#pathOf(address), signal);
    if (found === undefined) await this.#folders.checkPresent(signal);
    if (!found?.isFile) return undefined;
    return { size: found.size, modifiedUnixMs: found.modifiedUnixMs };
  }

  async delete(address: BlobAddress, signal: Signal): Promise<void> {
    if (!(await this.#files.remove(this.#pathOf(address), signal))) await this.#folders.checkPresent(signal);
  }

  async *list(
    prefixHex: string,
    after: BlobAddress | '',
    _details: boolean,
    signal: Signal,
  ): AsyncGenerator<BlobEntry, void, undefined> {
    const heads = new Set<string>();
    for await (const { filename } of this.#entriesOf('blobs', signal))
      if (isHead(filename)) heads.add(filename);
    if (heads.size === 0) await this.#folders.checkPresent(signal);
    const inside = (head: string) => this.#blobsIn(head, prefixHex, signal);
    yield* byHead(heads, prefixHex, after, inside, ({ address }) => address);
  }

  async probe(signal: Signal): Promise<ProbeResult> {
    const { clock } = this.#deps;
    await this.#connection.session();
    const start = clock.monotonic();
    await this.#folders.checkPresent(signal);
    const rttMs = clock.monotonic() - start;
    await this.#withTemp(signal, async (temp) => {
      await this.#files.write(temp, [], signal);
      await this.#files.remove(temp, signal);
    });
    const freeBytes = await this.#files.freeBytes(this.#folders.path('.'), signal);
    return { rttMs, ...(freeBytes === undefined ? {} : { freeBytes }) };
  }

  async *listSlots(after: SlotName | '', signal: Signal): AsyncGenerator<SlotName, void, undefined> {
    for await (const name of inOrder(() => this.#slotNames(signal), String, after))
      if (await this.#slots.isThere(name, signal)) yield name;
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  #pathOf(address: BlobAddress): string {
    return this.#folders.path(`blobs/${address.slice(3, 5)}/${address.slice(5)}`);
  }

  #newTemp(signal: Signal): Promise<string> {
    return this.#folders.newTemp(toHex(this.#deps.random(16)), signal);
  }

  /** Tells "that is not there" from "the provider is not there". */
  #placed<T>(work: Promise<T>, signal: Signal): Promise<T> {
    return work.catch(async (error: unknown) => {
      if (isHoldfastError(error, 'NotFound')) await this.#folders.checkPresent(signal);
      throw error;
    });
  }

  #send(
    address: BlobAddress,
    parts: readonly Uint8Array[],
    same: number | undefined,
    signal: Signal,
  ): Promise<void> {
    return this.#withTemp(signal, async (temp) => {
      await this.#files.write(temp, parts, signal);
      throwIfAborted(signal, 'store');
      await this.#publish(temp, address, same, signal);
    });
  }

  /** @param same length of a blob that may stay where it is; undefined: none may. */
  async #publish(
    temp: string,
    address: BlobAddress,
    same: number | undefined,
    signal: Signal,
  ): Promise<void> {
    const path = this.#pathOf(address);
    await this.#folders.ensure('blobs', signal);
    await this.#folders.ensure(`blobs/${address.slice(3, 5)}`, signal);
    await this.#files.rename(temp, path, signal).catch(async (error: unknown) => {
      // A server without a rename that replaces: whoever came first has stored the same bytes, or what is there goes.
      const there = isFailure(error) ? await this.#files.stat(path, signal) : undefined;
      if (there === undefined) throw error;
      if (there.size === same) return void (await this.#files.remove(temp, signal));
      await this.#files.remove(path, signal);
      await this.#files.rename(temp, path, signal);
    });
  }

  async #withTemp<T>(signal: Signal, work: (temp: string) => Promise<T>): Promise<T> {
    const temp = await this.#newTemp(signal);
    try {
      return await work(temp);
    } catch (error) {
      await this.#files.remove(temp, undefined).catch(() => {});
      throw await this.#explained(error);
    }
  }

  async #explained(error: unknown): Promise<unknown> {
    if (isHoldfastError(error, 'NotFound')) this.#folders.forget();
    if (!isFailure(error)) return error;
    const free = await this.#files.freeBytes(this.#folders.path('.'), undefined).catch(() => undefined);
    if (free === undefined || free >= FULL_BELOW_BYTES) return error;
    return new HoldfastError('QuotaExceeded', 'the disk of the SFTP server is full', { cause: error });
  }

  /** Nothing for a folder that is not there. */
  async *#entriesOf(relative: string, signal: Signal): AsyncGenerator<FileEntryWithStats, void, undefined> {
    try {
      yield* this.#files.list(this.#folders.path(relative), signal);
    } catch (error) {
      if (!isHoldfastError(error, 'NotFound')) throw error;
    }
  }

  async *#blobsIn(
    head: string,
    prefixHex: string,
    signal: Signal,
  ): AsyncGenerator<BlobEntry, void, undefined> {
    for await (const { filename, attrs } of this.#entriesOf(`blobs/${head}`, signal)) {
      const address = `b3:${head}${filename}`;
      if (!attrs.isFile() || !isBlobAddress(address) || !address.startsWith(prefixHex, 3)) continue;
      yield { address, size: attrs.size, modifiedUnixMs: 1000 * attrs.mtime };
    }
  }

  async *#slotNames(signal: Signal): AsyncGenerator<string, void, undefined> {
    for await (const { filename } of this.#entriesOf('slots', signal))
      if (isSlotName(filename)) yield filename;
  }

  async #sweep(signal: Signal): Promise<void> {
    const old: string[] = [];
    for await (const { filename, attrs } of this.#files.list(this.#folders.path('tmp'), signal)) {
      const stale = 1000 * attrs.mtime < this.#deps.clock.now() - STALE_MS;
      if (stale && isTempName(filename)) old.push(filename);
      if (old.length === MAX_SWEPT) break;
    }
    for (const name of old) await this.#files.remove(this.#folders.path(`tmp/${name}`), signal);
  }
}
