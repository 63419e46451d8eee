import { constants } from 'node:fs';
import { link, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { concatBytes, toHex } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import { MAX_SLOT_BYTES, type Slot, type SlotName, type SlotVersion } from '../adapter.ts';
import { slotConflict } from '../guard.ts';
import { errnoOf } from './errors.ts';
import type { Layout } from './layout.ts';
import { createTemp, discard, type FolderSync, makeFolder, writeParts } from './write.ts';

/*
 * A slot is a folder of numbered generations; the highest is current. Writing is `link(2)` of a finished file to
 * the next number, which the kernel grants to one process only: compare-and-swap without a lock that could go
 * stale. Deleting writes a generation that says "nothing", so that a number is never given out twice. A writer that slept
 * through several generations could still find its number free again after cleaning; it sees the higher one that
 * beat it, and withdraws.
 *
 * A generation: 1 byte (0 deleted, 1 written), 16 random bytes that make its version unique, then the content.
 */
const DELETED = 0;
const WRITTEN = 1;
const HEADER_BYTES = 17;
const KEPT_GENERATIONS = 4;
const MAX_ATTEMPTS = 32;
const GENERATION = /^[1-9][0-9]{0,14}$/;

interface Generation {
  readonly number: number;
  readonly slot: Slot | undefined;
}

const NEVER: Generation = { number: 0, slot: undefined };

export interface FsSlots {
  read(name: SlotName): Promise<Slot | undefined>;
  write(name: SlotName, bytes: Uint8Array, expected: SlotVersion | undefined): Promise<SlotVersion>;
  delete(name: SlotName): Promise<void>;
}

export function createFsSlots(layout: Layout, random: RandomBytes, sync: FolderSync): FsSlots {
  const append = async (
    name: SlotName,
    number: number,
    state: number,
    bytes: Uint8Array,
  ): Promise<SlotVersion> => {
    const folder = join(layout.slots, name);
    const token = random(16);
    const temp = await createTemp(layout, random);
    try {
      await writeParts(temp.file, [concatBytes(Uint8Array.of(state), token, bytes)], undefined);
      await temp.file.datasync();
      await claim(temp.path, folder, number, sync);
    } finally {
      await discard(temp);
    }
    const highest = Math.max(...(await generationsIn(folder)));
    if (highest > number) {
      await unlink(join(folder, String(number))).catch(() => {});
      throw slotConflict();
    }
    await sync(folder);
    await removeOld(folder, number - KEPT_GENERATIONS);
    return versionOf(number, token);
  };

  return {
    read: async (name) => (await current(join(layout.slots, name))).slot,
    async write(name, bytes, expected) {
      const found = await current(join(layout.slots, name));
      if (found.slot?.version !== expected) throw slotConflict();
      return append(name, found.number + 1, WRITTEN, bytes);
    },
    async delete(name) {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        const found = await current(join(layout.slots, name));
        if (found.slot === undefined) return;
        try {
          await append(name, found.number + 1, DELETED, new Uint8Array());
          return;
        } catch (error) {
          if (!(error instanceof HoldfastError && error.kind === 'Conflict')) throw error;
        }
      }
      throw busy();
    },
  };
}

async function claim(temp: string, folder: string, number: number, sync: FolderSync): Promise<void> {
  const path = join(folder, String(number));
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

/** Looks again when the generation it had chosen was superseded and cleaned away meanwhile. */
async function current(folder: string): Promise<Generation> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const number = Math.max(0, ...(await generationsIn(folder)));
    if (number === 0) return NEVER;
    const bytes = await readGeneration(join(folder, String(number)));
    if (bytes === undefined) continue;
    if (bytes[0] === DELETED) return { number, slot: undefined };
    const version = versionOf(number, bytes.subarray(1, HEADER_BYTES));
    return { number, slot: { bytes: bytes.slice(HEADER_BYTES), version } };
  }
  throw busy();
}

async function generationsIn(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => GENERATION.test(name)).map(Number);
}

async function readGeneration(path: string): Promise<Uint8Array | undefined> {
  const file = await open(path, constants.O_RDONLY).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const bytes = new Uint8Array(HEADER_BYTES + MAX_SLOT_BYTES + 1);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    const known = bytes[0] === DELETED || bytes[0] === WRITTEN;
    if (bytesRead < HEADER_BYTES || bytesRead === bytes.length || !known) {
      throw new HoldfastError('Corrupt', 'a slot file is not readable as one');
    }
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function removeOld(folder: string, upTo: number): Promise<void> {
  for (const number of await generationsIn(folder)) {
    if (number <= upTo) await unlink(join(folder, String(number))).catch(() => {});
  }
}

const versionOf = (number: number, token: Uint8Array): SlotVersion => `${number}.${toHex(token)}`;

const busy = (): HoldfastError =>
  new HoldfastError('Unavailable', 'the slot is being rewritten faster than it can be read', {
    code: 'slot_busy',
  });
