import { link, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { RandomBytes } from '../../core/random.ts';
import { type GenerationStore, generationOf, MAX_GENERATION_BYTES } from '../generations.ts';
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
      const names = await readdir(folderOf(name)).catch(ifMissing([]));
      return names.map(generationOf).filter((number) => number !== undefined);
    },
    async read(name, number) {
      const file = await open(pathOf(name, number), 'r').catch(ifMissing(undefined));
      if (file === undefined) return undefined;
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
  };
}

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
