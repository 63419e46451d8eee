import { opendir, statfs, unlink } from 'node:fs/promises';
import { throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { type ErrorKind, isHoldfastError } from '../../core/errors.ts';
import { checkRealFolder } from '../../core/files.ts';
import { type BlobAdapter, isSlotName, MAX_BLOB_BYTES } from '../adapter.ts';
import { inOrder } from '../ascending.ts';
import type { AdapterDeps, Driver, Upload } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { createSlots } from '../generations.ts';
import { notFound } from '../guard.ts';
import { once } from '../once.ts';
import { STALE_MS } from '../stale.ts';
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

/**
 * A provider that is a folder. What it acknowledged survives a power cut, as far as the disk keeps its word about
 * flushing. The folder is never created here: see `initFsProvider`.
 */
export function createFsAdapter(options: FsOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(fsDriver(options, options), options);
}

/** Blobs as files under one folder: one disk, one mount or one network share. */
function fsDriver(options: FsOptions, { clock, random }: AdapterDeps): Driver {
  const { id } = options;
  const layout = layoutOf(options.root);
  const sync = createFolderSync();
  const slots = createSlots(fsGenerations(layout, random, sync), random);
  const ready = once(() => checkMarker(layout, id));
  const swept = once(() => sweepTemp(layout, clock.now() - (options.staleTempMs ?? STALE_MS)));

  const reading = async <T>(work: () => Promise<T>): Promise<T> => {
    await ready();
    return work().catch(async (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') await checkPresent(layout, id);
      throw errnoOf(error) === 'ENOENT' ? notFound() : fsError(error, ON_READ);
    });
  };
  const writing = async <T>(work: () => Promise<T>): Promise<T> => {
    await ready();
    return swept()
      .then(work)
      .catch(async (error: unknown) => {
        if (errnoOf(error) === 'ENOENT') await checkPresent(layout, id);
        throw fsError(error);
      });
  };
  const listing = async function* <T>(entries: () => AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
    await ready();
    try {
      yield* entries();
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') await checkPresent(layout, id);
      throw fsError(error);
    }
  };
  /** True when a file of that length is there; then the name is made durable too, in case its writer is not done. */
  const alreadyThere = async (address: BlobAddress, size: number): Promise<boolean> => {
    if ((await fileOf(layout, address))?.size !== BigInt(size)) return false;
    await sync(fanOutOf(layout, address));
    return true;
  };

  return {
    id,
    capabilities: { supportsList: true, supportsSlots: true, durable: true, maxBlobBytes: MAX_BLOB_BYTES },

    store: (address, parts, size, signal) =>
      writing(async () => {
        if (await alreadyThere(address, size)) return { existed: true };
        const temp = await createTemp(layout, random);
        try {
          await writeParts(temp.file, parts, signal);
          throwIfAborted(signal, 'store');
          await publish(temp, blobPathOf(layout, address), sync);
          return { existed: false };
        } catch (error) {
          await discard(temp);
          throw error;
        }
      }),

    openUpload: (_address, signal) =>
      writing(async () => {
        const temp = await createTemp(layout, random);
        return fsUpload(temp, signal, writing, async (address, size) => {
          const existed = await alreadyThere(address, size);
          if (existed) await discard(temp);
          else await publish(temp, blobPathOf(layout, address), sync);
          return existed;
        });
      }),

    fetch: (address, maxBytes, signal) =>
      reading(() => readWhole(blobPathOf(layout, address), maxBytes, signal)),

    fetchRange: (address, offset, into, length, signal) =>
      reading(() => readRange(blobPathOf(layout, address), offset, into, length, signal)),

    async *read(address, offset, length, signal) {
      const pieces = readPieces(blobPathOf(layout, address), offset, length, signal);
      try {
        for (;;) {
          const step = await reading(() => pieces.next());
          if (step.done) return;
          yield step.value;
        }
      } finally {
        await pieces.return();
      }
    },

    stat: async (address) => {
      await ready();
      const file = await fileOf(layout, address).catch((error: unknown) => {
        throw fsError(error, ON_READ);
      });
      if (file !== undefined) return statOf(file, clock.now());
      await checkPresent(layout, id);
      return undefined;
    },

    delete: (address) =>
      reading(async () => {
        await checkRealFolder(fanOutOf(layout, address));
        await unlink(blobPathOf(layout, address));
      }).catch((error: unknown) => {
        if (!isHoldfastError(error, 'NotFound')) throw error;
      }),

    list: (prefixHex, after, signal) =>
      listing(async function* () {
        await checkRealFolder(layout.blobs);
        yield* listBlobs(layout.blobs, prefixHex, after, signal);
      }),

    async probe(signal) {
      const start = clock.monotonic();
      await checkMarker(layout, id);
      const { bavail, bsize } = await writing(async () => {
        throwIfAborted(signal, 'probe');
        await discard(await createTemp(layout, random));
        return statfs(layout.root);
      });
      return { rttMs: clock.monotonic() - start, freeBytes: bavail * bsize };
    },

    readSlot: async (name, signal) => {
      const slot = await reading(() => slots.read(name, signal));
      if (slot === undefined) await checkPresent(layout, id);
      return slot;
    },
    writeSlot: (name, bytes, expected, signal) => writing(() => slots.write(name, bytes, expected, signal)),
    deleteSlot: async (name, signal, forget) => {
      await writing(() => slots.delete(name, signal, forget));
      await checkPresent(layout, id);
    },
    listSlots: (after, signal) =>
      listing(async function* () {
        for await (const name of inOrder(() => slotNames(layout, signal), after)) {
          if (await slots.isThere(name, signal)) yield name;
        }
      }),

    close: async () => {},
  };
}

async function* slotNames(
  layout: Layout,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  for await (const entry of await opendir(layout.slots)) {
    throwIfAborted(signal, 'listSlots');
    if (entry.isDirectory() && isSlotName(entry.name)) yield entry.name;
  }
}

function fsUpload(
  temp: TempFile,
  signal: AbortSignal | undefined,
  writing: <T>(work: () => Promise<T>) => Promise<T>,
  publishAs: (address: BlobAddress, size: number) => Promise<boolean>,
): Upload {
  return {
    write: (piece) => writing(() => writeParts(temp.file, [piece], signal)),
    commit: (address, size) =>
      writing(async () => {
        throwIfAborted(signal, 'storeStream');
        return { existed: await publishAs(address, size) };
      }),
    discard: () => discard(temp),
  };
}
