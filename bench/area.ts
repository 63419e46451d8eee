import { randomFillSync } from 'node:crypto';
import { mkdtemp, open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB } from './numbers.ts';

const TMPFS_MAGIC = 0x01021994;
const PIECE = 8 * MIB;

/** The folder that everything is measured in. */
export interface Area {
  readonly dir: string;
  readonly tmpfs: boolean;
  remove(): Promise<void>;
}

/** @param wanted a folder of the caller's choice; else a tmpfs is looked for, since disks would be all one measures. */
export async function openArea(wanted: string | undefined): Promise<Area> {
  const parent = wanted ?? ((await isTmpfs('/dev/shm')) ? '/dev/shm' : tmpdir());
  const dir = await mkdtemp(join(parent, 'holdfast-bench-'));
  return { dir, tmpfs: await isTmpfs(dir), remove: () => rm(dir, { recursive: true, force: true }) };
}

/** Works in an area of its own, which is removed whatever happens, an interrupt included. */
export async function inArea<T>(wanted: string | undefined, work: (area: Area) => Promise<T>): Promise<T> {
  const area = await openArea(wanted);
  const onSignal = (): void => void area.remove().finally(() => process.exit(7));
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  try {
    return await work(area);
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
    await area.remove();
  }
}

async function isTmpfs(dir: string): Promise<boolean> {
  return (await statfs(dir).catch(() => undefined))?.type === TMPFS_MAGIC;
}

/**
 * Writes and deletes a file. In a virtual machine a page of memory that was never touched costs its host five times
 * what a used one does; so each run starts with used ones.
 */
export async function warmPages(area: Area, bytes: number): Promise<void> {
  if (!area.tmpfs) return;
  const path = join(area.dir, 'warm');
  const file = await open(path, 'w');
  try {
    const piece = new Uint8Array(PIECE).fill(1);
    for (let at = 0; at < bytes; at += PIECE) await file.write(piece);
  } finally {
    await file.close();
    await rm(path);
  }
}

export async function writeRandom(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w');
  try {
    const piece = new Uint8Array(PIECE);
    for (let left = bytes; left > 0; left -= PIECE) {
      randomFillSync(piece);
      await file.write(piece, 0, Math.min(left, PIECE));
    }
  } finally {
    await file.close();
  }
}
