import { readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { addressOf } from '../../../src/core/address.ts';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { blake3, deps } from '../conform.ts';

export interface Place {
  /** The folder that is the provider's home, as it lies at the server. */
  readonly root: string;
  open(): BlobAdapter;
  /** Resolves when the server sees what was changed in the folder. */
  settled(): Promise<unknown>;
}

/** What adapters over folders of a server owe when the folder changes without them. To be called in a `describe`. */
export function behindItsBack({ root, open, settled }: Place): void {
  const bytes = deps.random(3000);
  const address = addressOf(blake3.hash(bytes));

  it('sweeps what crashed writers left, once it is old', async () => {
    const tmp = join(root, 'tmp');
    const [old, fresh, foreign] = ['a'.repeat(32), 'b'.repeat(32), 'keep.me'].map((file) => join(tmp, file));
    for (const file of [old!, fresh!, foreign!]) await writeFile(file, 'x');
    const twoDaysAgo = Date.now() / 1000 - 2 * 86_400;
    for (const file of [old!, foreign!]) await utimes(file, twoDaysAgo, twoDaysAgo);
    await settled();
    const adapter = open();
    await adapter.store(address, [bytes]);
    await adapter.delete(address);
    await adapter.close();
    const left = await readdir(tmp);
    expect(left).toEqual(expect.arrayContaining(['b'.repeat(32), 'keep.me']));
    expect(left).not.toContain('a'.repeat(32));
    for (const file of [fresh!, foreign!]) await rm(file);
    await settled();
  });

  it('makes folders again that were removed behind its back', async () => {
    const adapter = open();
    await adapter.store(address, [bytes]);
    for (const folder of ['blobs', 'tmp']) await rm(join(root, folder), { recursive: true });
    await settled();
    expect(await adapter.store(address, [bytes])).toEqual({ existed: false });
    expect(await adapter.fetch(address)).toEqual(bytes);
    await adapter.delete(address);
    await adapter.close();
  });
}
