// An adapter whole: blobs as files of one folder, named by their digits. docs/write-an-adapter.md tells of it.
import { createReadStream } from 'node:fs';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  adapterFromDriver,
  bufferedUpload,
  fromHome,
  noSlots,
  notFound,
  path,
  readsOf,
  required,
} from 'holdfast/providers';

const ifGone = (error) => (error.code === 'ENOENT' ? undefined : Promise.reject(error));

function shelfDriver({ id, folder }, { clock, random }) {
  const fileOf = (address) => join(folder, address.slice(3));

  async function statOf(address) {
    const found = await stat(fileOf(address)).catch(ifGone);
    return found && { size: found.size, modifiedUnixMs: Math.floor(found.mtimeMs) };
  }

  async function store(address, parts, size, signal, replace) {
    const there = await statOf(address);
    if (!replace && there?.size === size) return { existed: true };
    const unfinished = join(folder, `${Buffer.from(random(16)).toString('hex')}.part`);
    try {
      const file = await open(unfinished, 'wx');
      await (size > 0 ? file.writev(parts) : undefined);
      await file.sync();
      await file.close();
      signal?.throwIfAborted();
      await rename(unfinished, fileOf(address));
    } finally {
      await rm(unfinished, { force: true });
    }
    return { existed: replace && there !== undefined };
  }

  async function* read(address, offset, length = Number.POSITIVE_INFINITY, signal) {
    try {
      yield* createReadStream(fileOf(address), { start: offset, end: offset + length - 1, signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error.code === 'ENOENT' ? notFound() : error;
    }
  }

  async function* list(prefixHex, after, details) {
    const names = (await readdir(folder)).filter((name) => /^[0-9a-f]{64}$/.test(name)).sort();
    for (const address of names.map((name) => `b3:${name}`))
      if (address.startsWith(prefixHex, 3) && address > after)
        yield { address, ...(details ? await statOf(address) : {}) };
  }

  return {
    id,
    capabilities: { supportsList: true, supportsSlots: false, durable: true, maxBlobBytes: 64 * 2 ** 20 },
    store,
    openUpload: async (_address, signal, replace) => bufferedUpload(store, signal, replace),
    ...readsOf(read),
    stat: statOf,
    delete: (address) => rm(fileOf(address), { force: true }),
    list,
    async probe() {
      const start = clock.monotonic();
      await readdir(folder);
      return { rttMs: clock.monotonic() - start };
    },
    ...noSlots,
    async close() {},
  };
}

export const shelf = {
  name: 'shelf',
  keys: { folder: required(path, 'where the blobs lie; it must be there', fromHome) },
  open: async (options, deps) => adapterFromDriver(shelfDriver(options, deps), deps),
};
