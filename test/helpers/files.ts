import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** All files below a folder, with their paths from it. Those that vanish meanwhile are left out. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Blobs at a provider folder. */
export async function blobsIn(root: string): Promise<string[]> {
  return filesBelow(join(root, 'blobs'));
}

/**
 * Takes a folder away in one step, as a disk goes, whatever still writes into it; what is made there afterwards stays. Deleting it file by
 * file would race with the writer.
 */
export async function vanish(folder: string): Promise<void> {
  const away = `${folder}.vanished`;
  await rename(folder, away);
  await rm(away, { recursive: true, force: true, maxRetries: 10 });
}

export async function flipBit(path: string, bit: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[bit >> 3]! ^= 1 << (bit & 7);
  await writeFile(path, bytes);
}

/** Every way to take `size` out of `items`. */
export function combinations<T>(items: readonly T[], size: number): T[][] {
  if (size === 0) return [[]];
  return items.flatMap((item, i) =>
    combinations(items.slice(i + 1), size - 1).map((rest) => [item, ...rest]),
  );
}

/** The address that a blob's path spells. */
export const addressOfPath = (path: string): string => `b3:${path.split('/').slice(-2).join('')}`;
