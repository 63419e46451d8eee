import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createFsAdapter } from '../../src/providers/fs/driver.ts';
import { initFsProvider } from '../../src/providers/fs/layout.ts';
import { watchFlushes } from '../helpers/flushes.ts';
import { blake3, deps } from './deps.ts';

const bytes = deps.random(5000);
const address = addressOf(blake3.hash(bytes));
async function* stream(): AsyncGenerator<Uint8Array> {
  yield bytes;
}

let root: string;
let adapter: BlobAdapter;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'holdfast-durable-'));
  await initFsProvider(root, 'p1');
  adapter = createFsAdapter({ id: 'p1', root, ...deps });
});
afterEach(() => rm(root, { recursive: true, force: true }));

const path = (): string => join(root, 'blobs', address.slice(3, 5), address.slice(5));

describe('what a folder acknowledged outlives a power cut', () => {
  it.each<[string, () => Promise<unknown>]>([
    ['a blob', () => adapter.store(address, [bytes])],
    ['a streamed blob', () => adapter.storeStream(address, stream())],
  ])(
    '%s: its bytes are flushed before it has its name, its name before it is acknowledged',
    async (_, store) => {
      const flushes: string[] = [];
      await watchFlushes((call) => flushes.push(`${call}, ${existsSync(path()) ? 'named' : 'not named'}`));
      await store();
      // In between the folder it is the first in, and that folder's own name.
      expect(flushes[0]).toBe('datasync, not named');
      expect(flushes.at(-1)).toBe('sync, named');
      expect(flushes.slice(1, -1)).toEqual(['sync, not named']);
    },
  );

  it('a blob that is there already: its name, whose writer may not be done', async () => {
    await adapter.store(address, [bytes]);
    const flushes: string[] = [];
    await watchFlushes((call) => flushes.push(call));
    expect(await adapter.store(address, [bytes])).toEqual({ existed: true });
    expect(flushes).toEqual(['sync']);
  });

  it('that a blob was deleted, and that a slot was, before the last of it goes', async () => {
    await adapter.store(address, [bytes]);
    const flushes: string[] = [];
    await watchFlushes((call) => flushes.push(`${call}, ${existsSync(path()) ? 'there' : 'gone'}`));
    await adapter.delete(address);
    expect(flushes).toEqual(['sync, gone']);
    const name = 'cd'.repeat(16);
    await adapter.writeSlot(name, bytes, undefined);
    flushes.length = 0;
    await adapter.deleteSlot(name, { forget: true });
    // Of the generation that says so, and of what was there before it.
    expect(flushes.map((flush) => flush.split(',')[0])).toEqual(['datasync', 'sync', 'sync']);
  });

  it('a slot: its bytes before it has its name, its name before it is acknowledged', async () => {
    const name = 'ab'.repeat(16);
    const generation = (n: number): string => join(root, 'slots', name, String(n));
    const flushes: string[] = [];
    let number = 1;
    await watchFlushes((call) =>
      flushes.push(`${call}, ${existsSync(generation(number)) ? 'named' : 'not named'}`),
    );
    const version = await adapter.writeSlot(name, bytes, undefined);
    expect(flushes).toEqual(['datasync, not named', 'sync, not named', 'sync, named']);
    flushes.length = 0;
    number = 2;
    await adapter.writeSlot(name, bytes, version);
    expect(flushes).toEqual(['datasync, not named', 'sync, named']);
  });
});
