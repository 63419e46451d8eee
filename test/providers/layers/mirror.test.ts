import { describe, expect, it } from 'vitest';
import { addressOf } from '../../../src/core/address.ts';
import { HoldfastError } from '../../../src/core/errors.ts';
import type { BlobAdapter, ListOptions } from '../../../src/providers/adapter.ts';
import { mirrorOf } from '../../../src/providers/layers/index.ts';
import { createMemoryAdapter } from '../../../src/providers/memory/driver.ts';
import { noise } from '../../helpers/vault.ts';
import { blake3, deps } from '../conform.ts';

const BYTES = noise(300_000);
const ADDRESS = addressOf(blake3.hash(BYTES));
const memory = (id: string): BlobAdapter => createMemoryAdapter({ id, ...deps });
const down = (inner: BlobAdapter, ...methods: (keyof BlobAdapter)[]): BlobAdapter => {
  const refuse = () => Promise.reject(new HoldfastError('Unavailable', 'it does not answer'));
  return { ...inner, ...Object.fromEntries(methods.map((method) => [method, refuse])) };
};
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of items) out.push(item);
  return out;
}

describe('what is written to a mirror', () => {
  it('is at every backend, and counts as there only when it was at all', async () => {
    const [a, b] = [memory('a'), memory('b')];
    await a.store(ADDRESS, [BYTES]);
    const mirror = mirrorOf('m', [a, b]);
    expect(await mirror.store(ADDRESS, [BYTES])).toEqual({ existed: false });
    expect(await mirror.store(ADDRESS, [BYTES])).toEqual({ existed: true });
    expect(Buffer.from(await b.fetch(ADDRESS)).equals(BYTES)).toBe(true);
    await mirror.delete(ADDRESS);
    expect([await a.exists(ADDRESS), await b.exists(ADDRESS)]).toEqual([false, false]);
  });

  it('replaces what is wrong at every backend', async () => {
    const [a, b] = [memory('a'), memory('b')];
    const wrong = BYTES.map((byte) => byte ^ 1);
    const mirror = mirrorOf('m', [a, b]);
    await b.store(ADDRESS, [wrong]);
    expect(await mirror.store(ADDRESS, [BYTES], { replace: true })).toEqual({ existed: false });
    await a.store(ADDRESS, [wrong], { replace: true });
    expect(await mirror.store(ADDRESS, [BYTES], { replace: true })).toEqual({ existed: true });
    for (const each of [a, b]) expect(Buffer.from(await each.fetch(ADDRESS)).equals(BYTES)).toBe(true);
    const torn = { ...b, capabilities: { ...b.capabilities, replacesAtOnce: false } };
    expect(mirror.capabilities.replacesAtOnce).toBe(true);
    expect(mirrorOf('m', [a, torn]).capabilities.replacesAtOnce).toBe(false);
  });

  it('streams to all in step: no piece is asked for before all have taken the last', async () => {
    let taken = 0;
    let mostAhead = 0;
    const slow = memory('b');
    const counting: BlobAdapter = {
      ...slow,
      async storeStream(address, source, options) {
        let mine = 0;
        const paced = async function* () {
          for await (const piece of source) {
            mostAhead = Math.max(mostAhead, taken - ++mine);
            await new Promise((resolve) => setTimeout(resolve, 1));
            yield piece;
          }
        };
        return slow.storeStream(address, paced(), options);
      },
    };
    const mirror = mirrorOf('m', [memory('a'), counting]);
    const source = async function* () {
      for (let at = 0; at < BYTES.length; at += 10_000) {
        taken++;
        yield BYTES.subarray(at, at + 10_000);
      }
    };
    expect(await mirror.storeStream(undefined, source())).toMatchObject({
      address: ADDRESS,
      size: BYTES.length,
    });
    expect(Buffer.from(await slow.fetch(ADDRESS)).equals(BYTES)).toBe(true);
    expect(mostAhead).toBeLessThanOrEqual(1);
  });

  it('fails when one backend does not take it, closes its source and leaves nobody at work', async () => {
    const a = memory('a');
    const mirror = mirrorOf('m', [a, down(memory('b'), 'store', 'storeStream', 'delete')]);
    await expect(mirror.store(ADDRESS, [BYTES])).rejects.toMatchObject({
      kind: 'Unavailable',
      provider: 'b',
    });
    let closed = false;
    const endless = async function* () {
      try {
        for (;;) yield BYTES;
      } finally {
        closed = true;
      }
    };
    await expect(mirror.storeStream(undefined, endless())).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(closed).toBe(true);
    await expect(mirror.delete(ADDRESS)).rejects.toMatchObject({ kind: 'Unavailable' });
  });
});

describe('what is read from a mirror', () => {
  it('comes from the next backend when the first fails, lacks it, or ends in the middle', async () => {
    const b = memory('b');
    await b.store(ADDRESS, [BYTES]);
    const halfway: BlobAdapter = {
      ...memory('a'),
      async *fetchStream() {
        yield BYTES.subarray(0, 1234);
        throw new HoldfastError('Unavailable', 'the connection broke');
      },
    };
    for (const first of [memory('a'), down(memory('a'), 'fetch', 'fetchRange', 'stat', 'exists'), halfway]) {
      const mirror = mirrorOf('m', [first, b]);
      expect(Buffer.from(await mirror.fetch(ADDRESS)).equals(BYTES)).toBe(true);
      expect(Buffer.concat(await all(mirror.fetchStream(ADDRESS))).equals(BYTES)).toBe(true);
      const part = new Uint8Array(1000);
      await mirror.fetchRange(ADDRESS, 5000, [part]);
      expect(Buffer.from(part).equals(BYTES.subarray(5000, 6000))).toBe(true);
      expect(await mirror.exists(ADDRESS)).toBe(true);
      expect(await mirror.stat(ADDRESS)).toMatchObject({ size: BYTES.length });
    }
  });

  it('is missing only when all say so', async () => {
    const mirror = mirrorOf('m', [memory('a'), memory('b')]);
    await expect(mirror.fetch(ADDRESS)).rejects.toMatchObject({ kind: 'NotFound' });
    expect(await mirror.exists(ADDRESS)).toBe(false);
    const unsure = mirrorOf('m', [down(memory('a'), 'fetch', 'exists'), memory('b')]);
    await expect(unsure.fetch(ADDRESS)).rejects.toMatchObject({ kind: 'Unavailable' });
    await expect(unsure.exists(ADDRESS)).rejects.toMatchObject({ kind: 'Unavailable' });
  });

  it('lists what any of them has, each once', async () => {
    const [a, b] = [memory('a'), memory('b')];
    const blobs = Array.from({ length: 30 }, (_, i) => noise(100 + i, i + 1));
    const addresses = blobs.map((bytes) => addressOf(blake3.hash(bytes)));
    for (const [i, bytes] of blobs.entries()) {
      if (i % 3 !== 0) await a.store(addresses[i]!, [bytes]);
      if (i % 3 !== 1) await b.store(addresses[i]!, [bytes]);
    }
    const mirror = mirrorOf('m', [a, b]);
    const addressesOf = async (options?: ListOptions) =>
      (await all(mirror.list(options))).map(({ address }) => address);
    expect((await addressesOf()).sort()).toEqual([...addresses].sort());
    expect(await all(mirror.list({ limit: 7 }))).toHaveLength(7);
    const prefixHex = addresses[4]!.slice(3, 6);
    expect(await addressesOf({ prefixHex })).toContain(addresses[4]);
    const tells = (backend: BlobAdapter, modifiedUnixMs: number): BlobAdapter => ({
      ...backend,
      async *list(options) {
        for await (const entry of backend.list(options)) yield { ...entry, modifiedUnixMs };
      },
    });
    const youngest = mirrorOf('m', [tells(a, 2), tells(b, 1), tells(a, 3)]);
    const told = await all(youngest.list({ details: true }));
    expect(told.find(({ address }) => address === addresses[4])?.modifiedUnixMs).toBe(3);
    expect(told).toHaveLength(30);
  });
});

it('a probe says when one backend is down, and the least free space', async () => {
  const free = (id: string, freeBytes: number): BlobAdapter => ({
    ...memory(id),
    probe: async () => ({ rttMs: 1, freeBytes }),
  });
  expect(await mirrorOf('m', [free('a', 500), free('b', 100)]).probe()).toEqual({ rttMs: 1, freeBytes: 100 });
  await expect(mirrorOf('m', [free('a', 500), down(memory('b'), 'probe')]).probe()).rejects.toMatchObject({
    code: 'backend_down',
  });
});
