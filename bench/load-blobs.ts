import { randomFillSync } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { selectBlake3 } from '../src/core/b3/select.ts';
import { toHex } from '../src/core/bytes.ts';
import { initFsProvider } from '../src/providers/fs/layout.ts';

const blake3 = await selectBlake3({ native: true, wasm: true });
const HEAD_BYTES = 16;

/** A new provider folder, ready for a node. */
export async function makeRoot(dir: string): Promise<string> {
  const root = await mkdtemp(join(dir, 'node-'));
  await initFsProvider(root, 'load');
  for (let i = 0; i < 256; i++) await mkdir(join(root, 'blobs', i.toString(16).padStart(2, '0')));
  return root;
}

/** Writes random blobs. @returns their addresses without the scheme. */
export async function writeBlobs(root: string, count: number, size: number): Promise<string[]> {
  const bytes = randomFillSync(new Uint8Array(size));
  const names: string[] = [];
  for (let i = 0; i < count; i++) {
    randomFillSync(bytes, 0, HEAD_BYTES);
    const hex = toHex(blake3.hash(bytes));
    await writeFile(blobPath(root, hex), bytes);
    names.push(hex);
  }
  return names;
}

export const blobPath = (root: string, hex: string): string =>
  join(root, 'blobs', hex.slice(0, 2), hex.slice(2));

export const hexOf = (bytes: Uint8Array): string => toHex(blake3.hash(bytes));

/** Bodies that differ in their first bytes only, so that a client can make them as it goes. */
export interface Bodies {
  readonly names: readonly string[];
  /** Hex, one for each name. */
  readonly heads: readonly string[];
  /** A file with what follows each head. */
  readonly tail: string;
}

export async function makeBodies(dir: string, count: number, size: number): Promise<Bodies> {
  const bytes = randomFillSync(new Uint8Array(size));
  const tail = join(dir, `put-tail-${size}`);
  await writeFile(tail, bytes.subarray(HEAD_BYTES));
  const names: string[] = [];
  const heads: string[] = [];
  for (let i = 0; i < count; i++) {
    randomFillSync(bytes, 0, HEAD_BYTES);
    names.push(toHex(blake3.hash(bytes)));
    heads.push(toHex(bytes.subarray(0, HEAD_BYTES)));
  }
  return { names, heads, tail };
}

/** So that one server's puts do not fill the memory of the next. */
export async function removePuts(root: string, dir: string, names: readonly string[]): Promise<void> {
  for (const hex of names) {
    const places = [blobPath(root, hex), join(dir, 'nginx', 'puts', hex), join(dir, 'bare-puts', hex)];
    for (const path of places) await rm(path, { force: true });
  }
}
