import { describe, expect, it } from 'vitest';
import type { BlobAddress } from '../../src/core/address.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { createChunkCache } from '../../src/gateway/chunk-cache.ts';
import { createOpenedManifests } from '../../src/gateway/opened-manifests.ts';
import type { OpenNode } from '../../src/object/readable-segments.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { noise } from '../helpers/vault.ts';
import { startGateway } from './harness.ts';

const MIB = 1024 * 1024;
const CHUNK = 256 * 1024;
const NEVER = new AbortController().signal;
const address = (n: number): BlobAddress => `b3:${String(n).padStart(64, '0')}` as BlobAddress;

describe('opened manifests', () => {
  function setUp(maxBytes: number, blockBytes = 1000) {
    const state = {
      nowMs: 0,
      loads: 0,
      hits: 0,
      misses: 0,
      gone: [] as BlobAddress[],
      deleted: false,
      usedBytes: 0,
    };
    const manifests = createOpenedManifests({
      clock: { ...new FakeClock(), monotonic: () => state.nowMs },
      maxBytes,
      async load() {
        state.loads++;
        if (state.deleted) throw new HoldfastError('NotFound', 'it was deleted');
        return { root: {} as never, bytes: blockBytes };
      },
      onLookup: (hit) => void (hit ? state.hits++ : state.misses++),
      onUsed: (bytes) => {
        state.usedBytes = bytes;
      },
      onGone: (which) => void state.gone.push(which),
    });
    return { state, open: (n: number) => manifests.open(address(n), NEVER), manifests };
  }

  it('are opened once, also when many ask at the same time', async () => {
    const { state, open } = setUp(MIB);
    const [one, two] = await Promise.all([open(1), open(1)]);
    expect(one).toBe(two);
    expect(await open(1)).toBe(one);
    expect([state.loads, state.hits, state.misses]).toEqual([1, 1, 2]);
  });

  it('make room within their budget, least recently used out first', async () => {
    const { state, open } = setUp(3 * (4096 + 2000));
    for (const n of [1, 2, 3, 1, 4]) await open(n);
    expect(state.loads).toBe(4);
    await open(1);
    expect(state.loads).toBe(4);
    await open(2);
    expect(state.loads).toBe(5);
    expect(state.usedBytes).toBe(3 * (4096 + 2000));
  });

  it('keep the nodes below them within the same budget, and none after they were dropped', async () => {
    const { open } = setUp(4096 + 2000 + 50_000);
    const node = [] as unknown as OpenNode;
    const first = await open(1);
    first.nodes!.set(address(11), node, 20_000);
    first.nodes!.set(address(12), node, 20_000);
    expect([first.nodes!.get(address(11)), first.nodes!.get(address(12))]).toEqual([node, undefined]);
    const second = await open(2);
    second.nodes!.set(address(21), node, 20_000);
    first.nodes!.set(address(13), node, 10);
    expect([second.nodes!.get(address(21)), first.nodes!.get(address(13))]).toEqual([node, undefined]);
  });

  it('are none with a budget of nothing', async () => {
    const { state, open } = setUp(0);
    await open(1);
    const again = await open(1);
    again.nodes!.set('root', [] as unknown as OpenNode, 0);
    expect([state.loads, again.nodes!.get('root')]).toEqual([2, undefined]);
  });

  it('are looked for again after a minute, and then known to be gone', async () => {
    const { state, open } = setUp(MIB);
    await open(1);
    state.deleted = true;
    state.nowMs = 59_000;
    await open(1);
    state.nowMs = 61_000;
    await expect(open(1)).rejects.toMatchObject({ kind: 'NotFound' });
    expect(state.gone).toEqual([address(1)]);
  });
});

describe('kept chunks', () => {
  let usedBytes = 0;
  const cacheOf = (maxBytes: number) => {
    usedBytes = 0;
    return createChunkCache(maxBytes, (bytes) => {
      usedBytes = bytes;
    });
  };
  const chunk = (plainStart: number, length: number) => ({
    plainStart,
    bytes: noise(length, plainStart + 1),
  });

  it('are found by any byte in them, and are copies', () => {
    const cache = cacheOf(MIB);
    const kept = chunk(5000, 3000);
    for (const other of [chunk(0, 5000), kept, chunk(20_000, 10)]) cache.keep(address(1), other);
    const expected = [...kept.bytes.subarray(0, 4)];
    kept.bytes.fill(0);
    expect([...cache.find(address(1), 5000)!.bytes.subarray(0, 4)]).toEqual(expected);
    expect([0, 4999, 5000, 7999, 20_009].map((at) => cache.find(address(1), at)?.plainStart)).toEqual([
      0, 0, 5000, 5000, 20_000,
    ]);
    expect([8000, 19_999, 20_010].map((at) => cache.find(address(1), at))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(cache.find(address(2), 0)).toBeUndefined();
  });

  it('stay within the budget, least recently used out first', () => {
    const cache = cacheOf(8 * 8192);
    for (let i = 0; i < 8; i++) cache.keep(address(i % 3), chunk(i * 8192, 8192));
    cache.find(address(0), 0);
    cache.keep(address(5), chunk(0, 8192));
    expect(usedBytes).toBe(8 * 8192);
    expect(cache.find(address(0), 0)).toBeDefined();
    expect(cache.find(address(1), 8192)).toBeUndefined();
    cache.forget(address(0));
    expect(cache.find(address(0), 0)).toBeUndefined();
    expect(usedBytes).toBe(5 * 8192);
  });

  it('are not the ones of a read that would push out all others, nor any with a budget of nothing', () => {
    const cache = cacheOf(80_000);
    expect([cache.takes(10_000), cache.takes(10_001)]).toEqual([true, false]);
    cache.keep(address(1), chunk(0, 10_001));
    expect(usedBytes).toBe(0);
    const none = cacheOf(0);
    none.keep(address(1), chunk(0, 1));
    expect(none.find(address(1), 0)).toBeUndefined();
  });
});

describe('a gateway with a cache of chunks', () => {
  it('fetches nothing for a range that an earlier read decoded, and counts it', async () => {
    const { put, url, traffic, metric } = await startGateway({ caches: { chunkBytes: 16 * MIB } });
    const bytes = noise(6 * CHUNK + 99);
    const manifest = await put(bytes);
    const read = async (start: number, end: number) => {
      const range = `bytes=${start}-${end - 1}`;
      const answer = await fetch(`${url}/m/${manifest}`, { headers: { range } });
      const body = Buffer.from(await answer.arrayBuffer());
      expect([answer.status, body.equals(bytes.subarray(start, end))]).toEqual([206, true]);
    };
    await read(2 * CHUNK + 5, 2 * CHUNK + 70_005);
    traffic.fetches = 0;
    await read(2 * CHUNK, 3 * CHUNK);
    await read(3 * CHUNK - 1, 3 * CHUNK);
    expect(traffic.fetches).toBe(0);
    expect(await metric('cache_hits_total{cache="chunks"}')).toBe(2);
    expect(await metric('cache_misses_total{cache="chunks"}')).toBe(1);
    // What is there comes from memory, and the rest from the providers.
    await read(3 * CHUNK - 10, 5 * CHUNK + 10);
    expect(traffic.fetches).toBeGreaterThan(0);
    expect(await metric('cache_misses_total{cache="chunks"}')).toBe(4);
    expect(await metric('cache_hits_total{cache="manifests"}')).toBe(3);
    const whole = await fetch(`${url}/m/${manifest}`);
    expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true);
  });

  it('decodes a chunk once for all who ask for it at the same time', async () => {
    const { put, url, traffic, metric } = await startGateway({ caches: { chunkBytes: 16 * MIB } });
    const bytes = noise(4 * CHUNK);
    const manifest = await put(bytes);
    const read = async (start: number) => {
      const answer = await fetch(`${url}/m/${manifest}`, {
        headers: { range: `bytes=${start}-${start + 999}` },
      });
      expect(Buffer.from(await answer.arrayBuffer()).equals(bytes.subarray(start, start + 1000))).toBe(true);
    };
    await read(0);
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    traffic.before = () => gate;
    const reads = Array.from({ length: 12 }, (_, i) => read(2 * CHUNK + i * 1000));
    await expect.poll(() => metric('inflight')).toBe(12);
    open();
    await Promise.all(reads);
    expect(await metric('cache_misses_total{cache="chunks"}')).toBe(2);
    expect(await metric('cache_hits_total{cache="chunks"}')).toBe(11);
  });

  it('goes on by itself when the read it waited for has been given up', async () => {
    const { put, url, traffic, metric } = await startGateway({ caches: { chunkBytes: 16 * MIB } });
    const bytes = noise(4 * CHUNK);
    const manifest = await put(bytes);
    const ask = (start: number, signal?: AbortSignal) =>
      fetch(`${url}/m/${manifest}`, {
        headers: { range: `bytes=${start}-${start + 999}` },
        signal: signal ?? null,
      });
    await (await ask(0)).arrayBuffer();
    const hung = new Set<() => void>();
    traffic.before = (signal) =>
      new Promise((resolve, reject) => {
        hung.add(resolve);
        signal?.addEventListener('abort', () => reject(signal.reason));
      });
    const leaving = new AbortController();
    const first = ask(2 * CHUNK, leaving.signal).catch(() => 'gone');
    await expect.poll(() => hung.size).toBeGreaterThan(0);
    const second = ask(2 * CHUNK + 5);
    await expect.poll(() => metric('inflight')).toBe(2);
    traffic.before = undefined;
    leaving.abort();
    expect(await first).toBe('gone');
    const body = Buffer.from(await (await second).arrayBuffer());
    expect(body.equals(bytes.subarray(2 * CHUNK + 5, 2 * CHUNK + 1005))).toBe(true);
  });

  it('knows at once what a name stands for now, and serves by address what is still kept', async () => {
    const { put, url, vault } = await startGateway({ caches: { chunkBytes: 16 * MIB } });
    const text = async (path: string) => (await fetch(url + path)).text();
    const first = await put(Buffer.from('one'), { name: 'a' });
    expect(await text('/n/a')).toBe('one');
    await put(Buffer.from('two'), { name: 'a' });
    expect(await text('/n/a')).toBe('two');
    await deleteObject(vault.context, 'a');
    expect((await fetch(`${url}/n/a`)).status).toBe(404);
    expect((await fetch(`${url}/m/${first}`)).status).toBe(200);
  });

  it('never serves plaintext to who may not read, cached or not', async () => {
    const { put, url } = await startGateway({ anonymous: [], caches: { chunkBytes: 16 * MIB } });
    const manifest = await put(noise(1000));
    const { READER, bearer } = await import('./harness.ts');
    expect((await fetch(`${url}/m/${manifest}`, { headers: bearer(READER) })).status).toBe(200);
    expect((await fetch(`${url}/m/${manifest}`)).status).toBe(401);
  });
});
