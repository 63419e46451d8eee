import { expect, it } from 'vitest';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { noise } from '../helpers/vault.ts';
import { requestText, sendRaw } from '../node/harness.ts';
import { startGateway } from './harness.ts';

const CHUNK = 256 * 1024;

it('a window inside a kept chunk is sent without a byte more', async () => {
  const { put, port } = await startGateway({ caches: { chunkBytes: 64 * CHUNK } });
  const bytes = noise(3 * CHUNK);
  const manifest = await put(bytes);
  const read = (first: number, last: number) =>
    sendRaw(port, requestText('GET', `/m/${manifest}`, { Range: `bytes=${first}-${last}` }));
  await read(CHUNK, CHUNK);
  for (const [first, last] of [
    [CHUNK, CHUNK],
    [CHUNK + 5, CHUNK + 70_004],
    [2 * CHUNK - 65_537, 2 * CHUNK - 1],
  ] as const) {
    // As it came over the wire: clients that go by the stated length would not see what is behind it.
    const { body } = await read(first, last);
    expect(Buffer.compare(body, bytes.subarray(first, last + 1)), `${first}-${last}`).toBe(0);
  }
});

it('a long read uses what is kept and leaves it alone', async () => {
  const { put, url, metric } = await startGateway({ caches: { chunkBytes: 8 * CHUNK } });
  const [short, long] = [await put(noise(CHUNK)), await put(noise(9 * CHUNK, 2))];
  const get = async (address: string, range?: string): Promise<void> => {
    const answer = await fetch(`${url}/m/${address}`, range === undefined ? {} : { headers: { range } });
    await answer.arrayBuffer();
  };
  await get(short);
  await get(long, 'bytes=0-9');
  expect(await metric('cache_bytes{cache="chunks"}')).toBe(2 * CHUNK);
  await get(long);
  expect(await metric('cache_bytes{cache="chunks"}')).toBe(2 * CHUNK);
  expect(await metric('cache_hits_total{cache="chunks"}')).toBe(1);
  await get(short);
  expect(await metric('cache_hits_total{cache="chunks"}')).toBe(2);
});

it('an object that was deleted is forgotten when a read of it fails', async () => {
  const { put, url, vault } = await startGateway();
  const manifest = await put(noise(2 * CHUNK), { name: 'a' });
  const status = async (): Promise<number> => {
    const answer = await fetch(`${url}/m/${manifest}`);
    await answer.arrayBuffer();
    return answer.status;
  };
  expect(await status()).toBe(200);
  await deleteObject(vault.context, 'a');
  // The first has the manifest in memory and finds no shards; the next finds no manifest.
  expect(await status()).toBe(500);
  expect(await status()).toBe(404);
});
