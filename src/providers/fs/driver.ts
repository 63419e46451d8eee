import { opendir, statfs, unlink } from 'node:fs/promises';
import { throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { type ErrorKind, isHoldfastError } from '../../core/errors.ts';
import { checkRealFolder } from '../../core/files.ts';
import {
  type AdapterCapabilities,
  type BlobAdapter,
  type BlobEntry,
  type BlobStat,
  isSlotName,
  MAX_BLOB_BYTES,
  type ProbeResult,
  type Slot,
  type SlotName,
  type SlotVersion,
  type StoreResult,
} from '../adapter.ts';
import type { AdapterDeps, Driver, Upload } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { createSlots, type Slots } from '../generations.ts';
import { notFound, overwriting } from '../guard.ts';
import { once, STALE_MS } from '../leftovers.ts';
import { inOrder } from '../listing.ts';
import { errnoOf, fsError } from './errors.ts';
import { blobPathOf, checkMarker, checkPresent, fanOutOf, type Layout, layoutOf } from './layout.ts';
import { listBlobs, readPieces, readRange, readWhole } from './read.ts';
import { fsGenerations } from './slots.ts';
import { fileOf, statOf } from './stat.ts';
import {
  createFolderSync,
  createTemp,
  discard,
  publish,
  sweepTemp,
  type TempFile,
  writeParts,
} from './write.ts';

export interface FsOptions {
  readonly id: string;
  /** A folder that `initFsProvider` has set up. */
  readonly root: string;
  /** Unfinished files older than this are removed on the first write. Default a day. */
  readonly staleTempMs?: number | undefined;
}

/** A disk that cannot read a blob's sectors has lost that blob, and repair can replace it. */
const ON_READ: Readonly<Record<string, ErrorKind>> = { EIO: 'Corrupt' };

type Signal = AbortSignal | undefined;

/**
 * A provider that is a folder. What it acknowledged survives a power cut, as far as the disk keeps its word about
 * flushing. The folder is never created here: see `initFsProvider`.
 */
export function createFsAdapter(options: FsOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(new FsDriver(options, options), options);
}

/** Blobs as files under one folder: one disk, one mount or one network share. */
class FsDriver implements Driver {
  readonly id: string;
  readonly capabilities: AdapterCapabilities = {
    supportsList: true,
    supportsSlots: true,
    durable: true,
    maxBlobBytes: MAX_BLOB_BYTES,
  };
  readonly #deps: AdapterDeps;
  readonly #layout: Layout;
  readonly #sync = createFolderSync();
  readonly #slots: Slots;
  readonly #ready: () => Promise<void>;
  readonly #swept: () => Promise<void>;

  constructor(options: FsOptions, deps: AdapterDeps) {
    this.id = options.id;
    this.#deps = deps;
    this.#layout = layoutOf(options.root);
    this.#slots = createSlots(fsGenerations(this.#layout, deps.random, this.#sync), deps.random);
    this.#ready = once(() => checkMarker(this.#layout, this.id));
    this.#swept = once(() => sweepTemp(this.#layout, deps.clock.now() - (options.staleTempMs ?? STALE_MS)));
  }

  store(
    address: BlobAddress,
    parts: readonly Uint8Array[],
    size: number,
    signal: Signal,
    replace: boolean,
  ): Promise<StoreResult> {
    return this.#writing(async () => {
      if (!replace && (await this.#alreadyThere(address, size))) return { existed: true };
      const temp = await createTemp(this.#layout, this.#deps.random);
      try {
        await writeParts(temp.file, parts, signal);
        throwIfAborted(signal, 'store');
        return { existed: replace ? await this.#replace(temp, address) : await this.#publish(temp, address) };
      } catch (error) {
        await discard(temp);
        throw error;
      }
    });
  }

  openUpload(_address: BlobAddress | undefined, signal: Signal, replace: boolean): Promise<Upload> {
    return this.#writing(async () => {
      const temp = await createTemp(this.#layout, this.#deps.random);
      return {
        write: (piece) => this.#writing(() => writeParts(temp.file, [piece], signal)),
        commit: (address, size) =>
          this.#writing(async () => {
            throwIfAborted(signal, 'storeStream');
            if (replace) return { existed: await this.#replace(temp, address) };
            const existed = await this.#alreadyThere(address, size);
            if (existed) await discard(temp);
            else await this.#publish(temp, address);
            return { existed };
          }),
        discard: () => discard(temp),
      };
    });
  }

  fetch(address: BlobAddress, maxBytes: number, signal: Signal): Promise<Uint8Array> {
    return this.#reading(() => readWhole(blobPathOf(this.#layout, address), maxBytes, signal));
  }

  fetchRange(
    address: BlobAddress,
    offset: number,
    into: readonly Uint8Array[],
    length: number,
    signal: Signal,
  ): Promise<void> {
    return this.#reading(() => readRange(blobPathOf(this.#layout, address), offset, into, length, signal));
  }

  async *read(
    address: BlobAddress,
    offset: number,
    length: number | undefined,
    signal: Signal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const pieces = readPieces(blobPathOf(this.#layout, address), offset, length, signal);
    try {
      for (;;) {
        const step = await this.#reading(() => pieces.next());
        if (step.done) return;
        yield step.value;
      }
    } finally {
      await pieces.return();
    }
  }

  async stat(address: BlobAddress): Promise<BlobStat | undefined> {
    await this.#ready();
    const file = await fileOf(this.#layout, address).catch((error: unknown) => {
      throw fsError(error, ON_READ);
    });
    if (file !== undefined) return statOf(file);
    await checkPresent(this.#layout, this.id);
    return undefined;
  }

  delete(address: BlobAddress): Promise<void> {
    const removed = this.#reading(async () => {
      await checkRealFolder(fanOutOf(this.#layout, address));
      await unlink(blobPathOf(this.#layout, address));
      await this.#sync(fanOutOf(this.#layout, address));
    });
    return removed.catch((error: unknown) => {
      if (!isHoldfastError(error, 'NotFound')) throw error;
    });
  }

  list(
    prefixHex: string,
    after: BlobAddress | '',
    details: boolean,
    signal: Signal,
  ): AsyncIterable<BlobEntry> {
    const layout = this.#layout;
    return this.#listing(async function* () {
      await checkRealFolder(layout.blobs);
      for await (const address of listBlobs(layout.blobs, prefixHex, after, signal)) {
        const file = details ? await fileOf(layout, address) : undefined;
        if (file !== undefined) {
          const { size, modifiedUnixMs } = statOf(file);
          yield { address, size, modifiedUnixMs };
        } else if (!details) yield { address };
      }
    });
  }

  async probe(signal: Signal): Promise<ProbeResult> {
    const { clock, random } = this.#deps;
    const start = clock.monotonic();
    await checkMarker(this.#layout, this.id);
    const { bavail, bsize } = await this.#writing(async () => {
      throwIfAborted(signal, 'probe');
      await discard(await createTemp(this.#layout, random));
      return statfs(this.#layout.root);
    });
    return { rttMs: clock.monotonic() - start, freeBytes: bavail * bsize };
  }

  async readSlot(name: SlotName, signal: Signal): Promise<Slot | undefined> {
    const slot = await this.#reading(() => this.#slots.read(name, signal));
    if (slot === undefined) await checkPresent(this.#layout, this.id);
    return slot;
  }

  writeSlot(
    name: SlotName,
    bytes: Uint8Array,
    expected: SlotVersion | undefined,
    signal: Signal,
  ): Promise<SlotVersion> {
    return this.#writing(() => this.#slots.write(name, bytes, expected, signal));
  }

  async deleteSlot(name: SlotName, signal: Signal, forget: boolean): Promise<void> {
    await this.#writing(() => this.#slots.delete(name, signal, forget));
    await checkPresent(this.#layout, this.id);
  }

  listSlots(after: SlotName | '', signal: Signal): AsyncIterable<SlotName> {
    const layout = this.#layout;
    const slots = this.#slots;
    return this.#listing(async function* () {
      for await (const name of inOrder(() => slotNames(layout, signal), String, after)) {
        if (await slots.isThere(name, signal)) yield name;
      }
    });
  }

  async close(): Promise<void> {}

  async #reading<T>(work: () => Promise<T>): Promise<T> {
    await this.#ready();
    return work().catch(async (error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw fsError(error, ON_READ);
      await checkPresent(this.#layout, this.id);
      throw notFound();
    });
  }

  async #writing<T>(work: () => Promise<T>): Promise<T> {
    await this.#ready();
    return this.#swept()
      .then(work)
      .catch((error: unknown) => this.#explain(error));
  }

  async *#listing<T>(entries: () => AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
    await this.#ready();
    try {
      yield* entries();
    } catch (error) {
      await this.#explain(error);
    }
  }

  async #explain(error: unknown): Promise<never> {
    if (errnoOf(error) === 'ENOENT') await checkPresent(this.#layout, this.id);
    throw fsError(error);
  }

  async #publish(temp: TempFile, address: BlobAddress): Promise<false> {
    await publish(temp, blobPathOf(this.#layout, address), this.#sync);
    return false;
  }

  /** A rename puts the file in the place of the other at once; who has that one open reads it to its end. */
  async #replace(temp: TempFile, address: BlobAddress): Promise<boolean> {
    const existed = (await fileOf(this.#layout, address)) !== undefined;
    await overwriting(existed, () =>
      this.#publish(temp, address).catch((error: unknown) => {
        throw errnoOf(error) === 'ENOENT' ? error : fsError(error);
      }),
    );
    return existed;
  }

  /** True when a file of that length is there; then the name is made durable too, in case its writer is not done. */
  async #alreadyThere(address: BlobAddress, size: number): Promise<boolean> {
    if ((await fileOf(this.#layout, address))?.size !== BigInt(size)) return false;
    await this.#sync(fanOutOf(this.#layout, address));
    return true;
  }
}

async function* slotNames(layout: Layout, signal: Signal): AsyncGenerator<string, void, undefined> {
  for await (const entry of await opendir(layout.slots)) {
    throwIfAborted(signal, 'listSlots');
    if (entry.isDirectory() && isSlotName(entry.name)) yield entry.name;
  }
}
