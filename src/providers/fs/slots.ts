import { link, opendir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { checkRealFolder, openRegular } from '../../core/files.ts';
import type { RandomBytes } from '../../core/random.ts';
import { type GenerationStore, generationOf, MAX_GENERATION_BYTES, MAX_GENERATIONS } from '../generations.ts';
import { slotConflict } from '../guard.ts';
import { errnoOf } from './errors.ts';
import type { Layout } from './layout.ts';
import { createTemp, discard, type FolderSync, makeFolder, writeParts } from './write.ts';

/** Generations as files; `link(2)` of a finished file grants a number to one process only. */
export function fsGenerations(layout: Layout, random: RandomBytes, sync: FolderSync): GenerationStore {
  const folderOf = (name: string): string => join(layout.slots, name);
  const pathOf = (name: string, number: number): string => join(layout.slots, name, String(number));
  return {
    async numbers(name) {
      try {
        // Old generations are removed: not by way of a link to somewhere else.
        await checkRealFolder(folderOf(name));
        const numbers: number[] = [];
        for await (const entry of await opendir(folderOf(name))) {
          const number = generationOf(entry.name);
          if (number !== undefined) numbers.push(number);
          if (numbers.length > MAX_GENERATIONS) break;
        }
        return numbers;
      } catch (error) {
        return ifMissing([])(error);
      }
    },
    async read(name, number) {
      const file = await openRegular(pathOf(name, number), 'refused').catch((error: unknown) =>
        NO_FILE.has(errnoOf(error)) ? NOT_READABLE : ifMissing(undefined)(error),
      );
      if (file === undefined) return undefined;
      if (file === NOT_READABLE) return new Uint8Array();
      try {
        const bytes = new Uint8Array(MAX_GENERATION_BYTES);
        const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
        return bytes.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    },
    async create(name, number, bytes, signal) {
      const temp = await createTemp(layout, random);
      try {
        await writeParts(temp.file, [bytes], signal);
        await temp.file.datasync();
        await claim(temp.path, folderOf(name), pathOf(name, number), sync);
      } finally {
        await discard(temp);
      }
      await sync(folderOf(name));
    },
    remove: (name, number) => unlink(pathOf(name, number)).catch(ifMissing(undefined)),
    flush: (name) => sync(folderOf(name)).catch(ifMissing(undefined)),
    close: (name) => rmdir(folderOf(name)).catch(() => {}),
  };
}

/** A link, a pipe or a folder in a generation's place: a damaged one. */
const NO_FILE: ReadonlySet<string | undefined> = new Set(['EFTYPE', 'ELOOP', 'EISDIR', 'ENXIO']);
const NOT_READABLE = Symbol('not readable');

async function claim(temp: string, folder: string, path: string, sync: FolderSync): Promise<void> {
  try {
    await link(temp, path).catch(async (error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error;
      await makeFolder(folder, sync);
      await link(temp, path);
    });
  } catch (error) {
    throw errnoOf(error) === 'EEXIST' ? slotConflict() : error;
  }
}

function ifMissing<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return value;
  };
}
