import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { noise } from '../helpers/vault.ts';
import { holdfast, newVault, run, serve } from './harness.ts';

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

it('the tile server serves tiles with ranges and caching, three providers gone', async () => {
  const home = await newVault();
  expect(await run(['examples/tile-server/put-tiles.mjs', '--home', home, '--zoom', '1'])).toMatch(
    /^5 tiles .* any 3 /,
  );
  const flags = [
    '--home',
    home,
    '--bind',
    '127.0.0.1:0',
    '--public',
    '--name-max-age',
    '3600',
    '--access-log',
    'off',
  ];
  const url = await serve(holdfast('gateway', ...flags), /http:\S+/);
  for (const id of ['p2', 'p5', 'p9']) await rm(join(home, 'providers', id), { recursive: true });
  const tile = `${url}/n/tiles/1/0/1.png`;
  const answer = await fetch(tile);
  const bytes = Buffer.from(await answer.arrayBuffer());
  expect([answer.status, answer.headers.get('content-type'), answer.headers.get('cache-control')]).toEqual([
    200,
    'image/png',
    'public, max-age=3600',
  ]);
  expect(bytes.subarray(0, 8).equals(PNG)).toBe(true);
  const etag = answer.headers.get('etag') ?? '';
  expect((await fetch(tile, { headers: { 'if-none-match': etag } })).status).toBe(304);
  const part = await fetch(tile, { headers: { range: 'bytes=1-3', 'if-range': etag } });
  expect([part.status, await part.text()]).toEqual([206, 'PNG']);
  const page = await fetch(`${url}/n/map.html`);
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
});

it('the upload application keeps, lists, gives back and forgets uploads', async () => {
  const home = await newVault();
  const url = await serve(['examples/uploads/server.mjs', '--home', home, '--port', '0'], /http:\S+/);
  const bytes = noise(3_000_000);
  const headers = { 'content-type': 'image/x-test' };
  const made = await fetch(url, { method: 'POST', body: bytes, headers });
  const { id, size, tolerates } = (await made.json()) as { id: string; size: number; tolerates: number };
  expect([made.status, made.headers.get('location'), size, tolerates]).toEqual([
    201,
    `/uploads/${id}`,
    bytes.length,
    3,
  ]);
  expect(await (await fetch(url)).json()).toMatchObject([{ id, size }]);
  const got = await fetch(`${url}/${id}`);
  expect([got.status, got.headers.get('content-type')]).toEqual([200, 'image/x-test']);
  expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true);
  const etag = got.headers.get('etag') ?? '';
  expect((await fetch(`${url}/${id}`, { headers: { 'if-none-match': etag } })).status).toBe(304);
  expect((await fetch(`${url}/${id}`, { method: 'DELETE' })).status).toBe(204);
  expect((await fetch(`${url}/${id}`)).status).toBe(404);
  expect((await fetch(`${url}/nonsense`)).status).toBe(404);
});

it('nodes, a vault, a gateway and a catalog run in one program, and one node may vanish', async () => {
  expect((await run(['examples/one-process/all.mjs'])).split('\n')).toEqual([
    'stored on 2 nodes; any 1 may vanish',
    '200 text/plain: hello, all of you',
    'north is away',
    'south answers',
    'east answers',
    'west answers',
    '',
  ]);
});

it('what a dynamic page cost is signed by the node that ran it, and written down by the gateway once', async () => {
  expect((await run(['examples/dynamic-page/page.mjs'])).split('\n')).toEqual([
    `the page says ${((50_000_000 * 50_000_001) / 2) % 2 ** 32}`,
    'its receipt is on the disk, and a second time: duplicate',
    'it cost time of pages.example.org',
    '',
  ]);
});
