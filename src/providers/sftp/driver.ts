import { throwIfAborted } from '../../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../../core/address.ts';
import { toHex } from '../../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { type BlobAdapter, type BlobStat, isSlotName, MAX_BLOB_BYTES } from '../adapter.ts';
import { inOrder } from '../ascending.ts';
import type { AdapterDeps, Driver } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { createSlots } from '../generations.ts';
import { collect, fill } from '../pieces.ts';
import { isTempName, STALE_MS, sweepOnce } from '../stale.ts';
import { createSftpConnection, type SftpPlace } from './connection.ts';
import { isFailure } from './errors.ts';
import { createSftpFiles } from './files.ts';
import { createFolders } from './folders.ts';
import { sftpGenerations } from './slots.ts';

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
const HEAD = /^[0-9a-f]{2}$/;

type Signal = AbortSignal | undefined;

/** A provider that is a folder on an SFTP server. The folder is never created here. */
export function createSftpAdapter(options: SftpOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(sftpDriver(options, options), options);
}

/** Blobs as files `blobs/<2 hex>/<62 hex>` under a folder on an SFTP server. */
function sftpDriver(options: SftpOptions, { clock, random }: AdapterDeps): Driver {
  const connection = createSftpConnection(options);
  const files = createSftpFiles(connection);
  const swept = sweepOnce(async (signal) => {
    const old: string[] = [];
    for await (const { filename, attrs } of files.list(folders.path('tmp'), signal)) {
      const stale = 1000 * attrs.mtime < clock.now() - STALE_MS;
      if (stale && isTempName(filename)) old.push(filename);
      if (old.length === MAX_SWEPT) break;
    }
    for (const name of old) await files.remove(folders.path(`tmp/${name}`), signal);
  });
  const folders = createFolders(files, options.root, swept);
  const slots = createSlots(sftpGenerations(files, folders, random), random);
  const pathOf = (address: BlobAddress): string =>
    folders.path(`blobs/${address.slice(3, 5)}/${address.slice(5)}`);

  /** Tells "that is not there" from "the provider is not there". */
  const placed = <T>(work: Promise<T>, signal: Signal): Promise<T> =>
    work.catch(async (error: unknown) => {
      if (isHoldfastError(error, 'NotFound')) await folders.checkPresent(signal);
      throw error;
    });
  const stat = async (address: BlobAddress, signal: Signal): Promise<BlobStat | undefined> => {
    const found = await files.stat(pathOf(address), signal);
    if (found === undefined) await folders.checkPresent(signal);
    if (!found?.isFile) return undefined;
    const seen = { replicasObserved: 1, replicaTarget: 1, lastSeenUnixMs: clock.now() };
    return { size: found.size, ...seen, encoding: 'identity' };
  };
  const publish = async (temp: string, address: BlobAddress, signal: Signal): Promise<void> => {
    await folders.ensure('blobs', signal);
    await folders.ensure(`blobs/${address.slice(3, 5)}`, signal);
    await files.rename(temp, pathOf(address), signal).catch(async (error: unknown) => {
      // A server without a rename that replaces: whoever came first has stored the same bytes.
      if (!isFailure(error) || (await files.stat(pathOf(address), signal)) === undefined) throw error;
      await files.remove(temp, signal);
    });
  };
  /** Nothing for a folder that is not there. */
  const entriesOf = async function* (relative: string, signal: Signal) {
    try {
      yield* files.list(folders.path(relative), signal);
    } catch (error) {
      if (!isHoldfastError(error, 'NotFound')) throw error;
    }
  };
  const isThere = async (address: BlobAddress, size: number, signal: Signal): Promise<boolean> =>
    (await stat(address, signal))?.size === size;
  const explained = async (error: unknown): Promise<unknown> => {
    if (isHoldfastError(error, 'NotFound')) folders.forget();
    if (!isFailure(error)) return error;
    const free = await files.freeBytes(folders.path('.'), undefined).catch(() => undefined);
    if (free === undefined || free >= FULL_BELOW_BYTES) return error;
    return new HoldfastError('QuotaExceeded', 'the disk of the SFTP server is full', { cause: error });
  };
  const withTemp = async <T>(signal: Signal, work: (temp: string) => Promise<T>): Promise<T> => {
    const temp = await folders.newTemp(toHex(random(16)), signal);
    try {
      return await work(temp);
    } catch (error) {
      await files.remove(temp, undefined).catch(() => {});
      throw await explained(error);
    }
  };
  const send = (address: BlobAddress, parts: readonly Uint8Array[], signal: Signal): Promise<void> =>
    withTemp(signal, async (temp) => {
      await files.write(temp, parts, signal);
      throwIfAborted(signal, 'store');
      await publish(temp, address, signal);
    });

  return {
    id: options.id,
    capabilities: {
      supportsList: true,
      supportsSlots: options.slots ?? true,
      durable: true,
      maxBlobBytes: MAX_BLOB_BYTES,
    },
    async store(address, parts, size, signal) {
      if (await isThere(address, size, signal)) return { existed: true };
      await send(address, parts, signal).catch((error: unknown) => {
        // Folders that were removed behind our back have been forgotten, and are made again.
        if (!isHoldfastError(error, 'NotFound')) throw error;
        return send(address, parts, signal);
      });
      return { existed: false };
    },
    async openUpload(_address, signal) {
      const temp = await folders.newTemp(toHex(random(16)), signal);
      const file = await files.create(temp, signal);
      return {
        write: (piece) =>
          file.append(piece).catch(async (error: unknown) => Promise.reject(await explained(error))),
        async commit(address, size) {
          await file.finish();
          throwIfAborted(signal, 'storeStream');
          const existed = await isThere(address, size, signal);
          if (existed) await files.remove(temp, signal);
          else await publish(temp, address, signal);
          return { existed };
        },
        async discard() {
          await file.close();
          await files.remove(temp, undefined).catch(() => {});
        },
      };
    },
    fetch: (address, maxBytes, signal) =>
      placed(collect(files.read(pathOf(address), 0, undefined, signal), maxBytes), signal),
    fetchRange: (address, offset, into, length, signal) =>
      placed(fill(files.read(pathOf(address), offset, length, signal), into, signal), signal),
    read: (address, offset, length, signal) => files.read(pathOf(address), offset, length, signal),
    stat,
    async delete(address, signal) {
      if (!(await files.remove(pathOf(address), signal))) await folders.checkPresent(signal);
    },
    async *list(prefixHex, after, signal) {
      const heads = new Set<string>();
      for await (const { filename } of entriesOf('blobs', signal))
        if (HEAD.test(filename)) heads.add(filename);
      if (heads.size === 0) await folders.checkPresent(signal);
      for (const head of [...heads].sort()) {
        if (!head.startsWith(prefixHex.slice(0, 2)) || head < after.slice(3, 5)) continue;
        const inside = async function* (): AsyncGenerator<string, void, undefined> {
          for await (const { filename, attrs } of entriesOf(`blobs/${head}`, signal)) {
            const address = `b3:${head}${filename}`;
            if (attrs.isFile() && isBlobAddress(address) && address.startsWith(prefixHex, 3)) yield address;
          }
        };
        yield* inOrder(inside, after) as AsyncIterable<BlobAddress>;
      }
    },
    async probe(signal) {
      await connection.session();
      const start = clock.monotonic();
      await folders.checkPresent(signal);
      const rttMs = clock.monotonic() - start;
      await withTemp(signal, async (temp) => {
        await files.write(temp, [], signal);
        await files.remove(temp, signal);
      });
      const freeBytes = await files.freeBytes(folders.path('.'), signal);
      return { rttMs, ...(freeBytes === undefined ? {} : { freeBytes }) };
    },
    readSlot: (name, signal) => slots.read(name, signal),
    writeSlot: (name, bytes, expected, signal) => slots.write(name, bytes, expected, signal),
    deleteSlot: (name, signal, forget) => slots.delete(name, signal, forget),
    async *listSlots(after, signal) {
      const names = async function* (): AsyncGenerator<string, void, undefined> {
        for await (const { filename } of entriesOf('slots', signal)) if (isSlotName(filename)) yield filename;
      };
      for await (const name of inOrder(names, after)) if (await slots.isThere(name, signal)) yield name;
    },
    close: async () => connection.close(),
  };
}
