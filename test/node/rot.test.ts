import { readFile, rm, stat, writeFile } from 'node:fs/promises';
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

/** Holds who passes until it is opened. */
function gate() {
  let open = () => {};
  let reach = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const pass = (): Promise<void> => {
    reach();
    return opened;
  };
  return { reached, open: () => open(), pass };
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

  it.each(WAYS)('is replaced when the client says so, a good one too: %s', async (_, size, sent) => {
    const { node, bytes, path } = await rotten(size);
    const url = `${node.url}/o/${addressFor(bytes)}`;
    const put = async (of: Uint8Array) =>
      (await fetch(`${url}?replace=true`, { method: 'PUT', ...sent(of) })).status;
    const before = await readFile(path);
    expect(await put(noise(size, 22))).toBe(409);
    expect((await readFile(path)).equals(before)).toBe(true);
    expect(await put(bytes)).toBe(200);
    expect((await readFile(path)).equals(bytes)).toBe(true);
    const { ino } = await stat(path);
    expect((await fetch(url)).status).toBe(200);
    expect(await put(bytes)).toBe(200);
    expect((await stat(path)).ino).not.toBe(ino);
    await rm(path);
    expect(await put(bytes)).toBe(201);
    expect((await fetch(`${url}?replace=maybe`, { method: 'PUT', ...sent(bytes) })).status).toBe(400);
  });

  it('is not removed while the right bytes are on their way, nor are they stored while it is removed', async () => {
    const { node: plain, bytes, path } = await rotten(50_000);
    const address = addressFor(bytes);
    const gates = { store: gate(), delete: gate() };
    const held = { ...plain.adapter };
    held.store = async (...args) => {
      if (args[2]?.replace) await gates.store.pass();
      return plain.adapter.store(...args);
    };
    held.delete = async (...args) => {
      await gates.delete.pass();
      return plain.adapter.delete(...args);
    };
    const node = await startNode({ adapter: held });
    const put = () =>
      fetch(`${node.url}/o/${address}`, { method: 'PUT', headers: AUTH, body: asBody(bytes) });
    const post = () => fetch(`${node.url}/o`, { method: 'POST', headers: AUTH, body: asBody(bytes) });

    const replacing = put();
    await gates.store.reached;
    expect((await post()).status).toBe(503);
    expect((await readFile(path)).length).toBe(bytes.length);
    gates.store.open();
    expect((await replacing).status).toBe(201);

    await writeFile(path, noise(50_000, 23));
    const posted = post();
    await gates.delete.reached;
    const late = put();
    await new Promise((resolve) => setTimeout(resolve, 20));
    gates.delete.open();
    expect((await posted).status).toBe(503);
    expect([200, 201]).toContain((await late).status);
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
