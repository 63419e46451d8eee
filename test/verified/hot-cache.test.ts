import { once } from 'node:events';
import { rename, rm, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { BlobAddress } from '../../src/core/address.ts';
import { createBufferPool } from '../../src/core/buffer-pool.ts';
import { HotCache } from '../../src/verified/hot-cache.ts';
import { noise } from '../helpers/vault.ts';
import { addressFor, openSocket, parseAnswer, requestText, sendRaw, startNode } from '../node/harness.ts';

const MIB = 1024 * 1024;
const KIB = 1024;
/** What a pool gives for it. */
const capacityOf = (size: number): number => createBufferPool(4 * MIB).take(size)!.length;
const named = (n: number): BlobAddress => addressFor(Uint8Array.of(n));

describe('memory that is used again', () => {
  it('wastes at most a fifth, and never falls short', () => {
    for (let size = 1; size < 3 * MIB; size = Math.ceil(size * 1.013)) {
      const capacity = capacityOf(size);
      expect(capacity).toBeGreaterThanOrEqual(size);
      if (size > 4096) expect(capacity).toBeLessThanOrEqual(1.25 * size);
      expect(capacityOf(capacity)).toBe(capacity);
    }
  });

  it('never holds more than it may, whatever lengths come', () => {
    const pool = createBufferPool(MIB);
    const taken: Uint8Array[] = [];
    for (let i = 0; i < 2000; i++) {
      const buffer = pool.take(1 + ((i * 7919) % (300 * KIB)));
      if (buffer !== undefined) taken.push(buffer);
      expect(pool.heldBytes).toBeLessThanOrEqual(MIB);
      if (buffer === undefined || i % 3 === 0) pool.give(taken.shift()!);
    }
    expect(taken.length).toBeGreaterThan(0);
  });

  it('is not given to two at once', () => {
    const pool = createBufferPool(64 * KIB);
    const [a, b] = [pool.take(16 * KIB)!, pool.take(16 * KIB)!];
    expect(a.buffer).not.toBe(b.buffer);
    pool.give(a);
    expect(pool.take(16 * KIB)!.buffer).toBe(a.buffer);
  });
});

describe('the cache of whole blobs', () => {
  const fill = (cache: HotCache, n: number, size: number): boolean => {
    const room = cache.reserve(size);
    room?.bytes.fill(n);
    room?.keep(named(n), 'r');
    return room !== undefined;
  };

  it('keeps what is used when room is needed', () => {
    const cache = new HotCache({ maxBytes: 4 * 16 * KIB, maxBlobBytes: MIB }, () => {});
    for (const n of [1, 2, 3, 4]) expect(fill(cache, n, 16 * KIB)).toBe(true);
    cache.get(named(1));
    for (const n of [5, 6, 7]) expect(fill(cache, n, 16 * KIB)).toBe(true);
    expect(cache.get(named(1))).toBeDefined();
    expect([2, 3, 4].map((n) => cache.get(named(n)))).toEqual([undefined, undefined, undefined]);
  });

  it('does not use memory again that someone holds, even of a blob that was dropped', () => {
    const cache = new HotCache({ maxBytes: 16 * KIB, maxBlobBytes: MIB }, () => {});
    fill(cache, 1, 16 * KIB);
    const pinned = cache.get(named(1))!.pin()!;
    cache.drop(named(1));
    expect(fill(cache, 2, 16 * KIB)).toBe(false);
    expect(pinned.bytes.every((byte) => byte === 1)).toBe(true);
    pinned.release();
    pinned.release();
    expect(fill(cache, 2, 16 * KIB)).toBe(true);
    expect(cache.get(named(2))!.pin()!.bytes[0]).toBe(2);
  });

  it('hands out nothing that is gone', () => {
    const cache = new HotCache({ maxBytes: 16 * KIB, maxBlobBytes: MIB }, () => {});
    fill(cache, 1, 16 * KIB);
    const blob = cache.get(named(1))!;
    fill(cache, 2, 16 * KIB);
    expect(blob.pin()).toBeUndefined();
  });

  it('takes back what was reserved and not kept, once', () => {
    let held = 0;
    const limits = { maxBytes: 16 * KIB, maxBlobBytes: MIB };
    const cache = new HotCache(limits, (bytes) => {
      held = bytes;
    });
    const room = cache.reserve(16 * KIB)!;
    expect(cache.reserve(1)).toBeUndefined();
    room.release();
    room.release();
    expect(cache.reserve(16 * KIB)).toBeDefined();
    expect(cache.reserve(16 * KIB)).toBeUndefined();
    expect(held).toBe(16 * KIB);
    expect(cache.reserve(17 * KIB)).toBeUndefined();
  });
});

describe('a node that answers from memory', () => {
  const bytes = noise(100_000, 21);
  const address = addressFor(bytes);
  const get = (port: number) => sendRaw(port, requestText('GET', `/o/${address}`));

  it('counts what it had and what it had not', async () => {
    const node = await startNode();
    await node.adapter.store(address, [bytes]);
    for (let i = 0; i < 3; i++) expect((await get(node.port)).body.equals(bytes)).toBe(true);
    expect(await node.metric('cache_misses_total{cache="blobs"}')).toBe(1);
    expect(await node.metric('cache_hits_total{cache="blobs"}')).toBe(2);
    expect(await node.metric('cache_bytes{cache="blobs"}')).toBe(capacityOf(bytes.length));
  });

  it('notices at once what happens to the disk below it', async () => {
    const node = await startNode();
    const path = node.pathOf(address);
    await node.adapter.store(address, [bytes]);
    const statuses = async (change: () => Promise<unknown>): Promise<number[]> => {
      const before = [await get(node.port), await get(node.port)];
      await change();
      return [...before, await get(node.port)].map(({ status }) => status);
    };
    const wrong = bytes.slice();
    wrong[77]! ^= 1;
    expect(await statuses(() => writeFile(path, wrong))).toEqual([200, 200, 500]);
    await writeFile(path, bytes);
    const swap = (): Promise<void> => writeFile(`${path}.new`, wrong).then(() => rename(`${path}.new`, path));
    expect(await statuses(swap)).toEqual([200, 200, 500]);
    await writeFile(path, bytes);
    expect(await statuses(() => rm(path))).toEqual([200, 200, 404]);
  });

  it('gives slow readers the bytes they asked for, though their memory is wanted for others', async () => {
    const large = [noise(24 * MIB, 1), noise(24 * MIB, 2)];
    const node = await startNode({ limits: { hotBytes: 30 * MIB, hotBlobBytes: 24 * MIB } });
    for (const blob of large) await node.adapter.store(addressFor(blob), [blob]);
    const slow = await openSocket(node.port);
    const pieces: Buffer[] = [];
    slow.write(requestText('GET', `/o/${addressFor(large[0]!)}`, { Connection: 'close' }));
    await once(slow, 'readable');
    slow.pause();
    for (const blob of [large[1]!, large[1]!]) {
      const answer = await fetch(`${node.url}/o/${addressFor(blob)}`);
      expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), blob)).toBe(0);
    }
    slow.on('data', (piece: Buffer) => pieces.push(piece)).resume();
    await once(slow, 'close');
    expect(Buffer.compare(parseAnswer(Buffer.concat(pieces)).body, large[0]!)).toBe(0);
  });

  it('and sheds what it cannot do does not count those who are slow to take an answer', async () => {
    const node = await startNode({ limits: { maxInflight: 2, hotBytes: 40 * MIB, hotBlobBytes: 24 * MIB } });
    const large = noise(24 * MIB, 3);
    await node.adapter.store(addressFor(large), [large]);
    await node.adapter.store(address, [bytes]);
    const stalled = [];
    for (let i = 0; i < 4; i++) {
      const socket = await openSocket(node.port);
      socket.write(requestText('GET', `/o/${addressFor(large)}`));
      await once(socket, 'readable');
      stalled.push(socket.pause());
    }
    expect((await get(node.port)).status).toBe(200);
    for (const socket of stalled) socket.destroy();
  });
});

describe('long blobs in the cache', () => {
  const limits = { maxBytes: 12 * MIB, maxBlobBytes: 16 * MIB };
  const fill = (cache: HotCache, n: number, size: number): void => {
    cache.reserve(size)!.keep(named(n), 'r');
  };

  it('make room for each other and leave the short ones where they are', () => {
    const cache = new HotCache(limits, () => {});
    for (let n = 0; n < 4; n++) fill(cache, n, MIB);
    for (let n = 10; n < 20; n++) fill(cache, n, 4 * MIB);
    expect([0, 1, 2, 3].filter((n) => cache.get(named(n)) === undefined)).toEqual([]);
    expect([17, 18, 19].filter((n) => cache.get(named(n)))).toEqual([18, 19]);
  });

  it('take the room of short ones where there is no other, and give it back', () => {
    const cache = new HotCache(limits, () => {});
    for (let n = 0; n < 12; n++) fill(cache, n, MIB);
    fill(cache, 20, 4 * MIB);
    const here = (): number =>
      Array.from({ length: 12 }, (_, n) => cache.get(named(n))).filter(Boolean).length;
    expect(here()).toBe(8);
    fill(cache, 21, 4 * MIB);
    expect(here()).toBe(8);
    for (let n = 30; n < 34; n++) fill(cache, n, MIB);
    expect(here()).toBe(8);
    expect(cache.get(named(21))).toBeUndefined();
  });
});
