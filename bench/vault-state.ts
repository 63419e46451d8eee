import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Vault } from '../src/index.ts';

/** The content of a name; undefined if it stands for nothing. */
export async function read(vault: Vault, name: string): Promise<Buffer | undefined> {
  try {
    return Buffer.from(await (await vault.getObject(name)).bytes());
  } catch (error) {
    if ((error as { kind?: string }).kind === 'NotFound') return undefined;
    throw error;
  }
}

/** Files of blobs in the folders of providers. */
export async function blobs(providers: string): Promise<string[]> {
  const entries = await readdir(providers, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && `${entry.parentPath ?? entry.path}/`.includes('/blobs/'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
