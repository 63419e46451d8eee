import { readFile, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { noise } from '../helpers/vault.ts';
import { addressFor, asBody, bearer, startNode, type TestNode } from './harness.ts';

const AUTH = { Authorization: bearer('writer') };

/** Short ones are taken whole, long ones in two buffers, coded ones in pieces. */
const WAYS = [
  ['short', 50_000, (bytes: Uint8Array) => ({ headers: AUTH, body: asBody(bytes) })],
  ['long', 3_000_000, (bytes: Uint8Array) => ({ headers: AUTH, body: asBody(bytes) })],
  [
    'coded',
    50_000,
    (bytes: Uint8Array) => ({
      headers: { ...AUTH, 'Content-Encoding': 'gzip' },
      body: asBody(gzipSync(bytes)),
    }),
  ],
] as const;

async function rotten(size: number): Promise<{ node: TestNode; bytes: Uint8Array; path: string }> {
  const node = await startNode();
  const bytes = noise(size, 21);
  await node.adapter.store(addressFor(bytes), [bytes]);
  const path = node.pathOf(addressFor(bytes));
  const bad = new Uint8Array(bytes);
  bad[size >> 1]! ^= 1;
  await writeFile(path, bad);
  return { node, bytes, path };
}

describe('a blob that rotted', () => {
  it.each(WAYS)('stays where it is until the right bytes have come: %s', async (_, size, sent) => {
    const { node, bytes, path } = await rotten(size);
    const url = `${node.url}/o/${addressFor(bytes)}`;
    const before = await readFile(path);
    const wrong = await fetch(url, { method: 'PUT', ...sent(noise(size, 22)) });
    expect(wrong.status).toBe(409);
    expect((await readFile(path)).equals(before)).toBe(true);
    const right = await fetch(url, { method: 'PUT', ...sent(bytes) });
    expect(right.status).toBe(201);
    expect((await readFile(path)).equals(bytes)).toBe(true);
    expect((await fetch(url)).status).toBe(200);
  });

  it('gives way to one of several that come at once, and what was acknowledged stays', async () => {
    const { node, bytes, path } = await rotten(50_000);
    const url = `${node.url}/o/${addressFor(bytes)}`;
    const put = async () => (await fetch(url, { method: 'PUT', headers: AUTH, body: asBody(bytes) })).status;
    const answers = await Promise.all(Array.from({ length: 12 }, put));
    expect(answers.every((status) => status === 200 || status === 201)).toBe(true);
    expect((await readFile(path)).equals(bytes)).toBe(true);
  });

  it('is not taken for what was posted', async () => {
    const { node, bytes, path } = await rotten(50_000);
    const post = () => fetch(`${node.url}/o`, { method: 'POST', headers: AUTH, body: asBody(bytes) });
    const first = await post();
    expect([first.status, first.headers.get('retry-after')]).toEqual([503, '1']);
    expect((await post()).status).toBe(201);
    expect((await readFile(path)).equals(bytes)).toBe(true);
  });
});
