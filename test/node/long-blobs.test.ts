import { once } from 'node:events';
import { rename, truncate, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { BlobAddress } from '../../src/core/address.ts';
import { createBufferPool } from '../../src/core/buffer-pool.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { silentMetrics } from '../../src/telemetry/index.ts';
import { digestsOf } from '../../src/verified/proof.ts';
import { createVerifiedReader } from '../../src/verified/reader.ts';
import { noise } from '../helpers/vault.ts';
import {
  addressFor,
  blake3,
  deps,
  openSocket,
  parseAnswer,
  requestText,
  sendRaw,
  startNode,
  type TestNode,
} from './harness.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const PIECE = 64 * KIB;
const LENGTH = 5 * MIB + 12_345;
const BYTES = noise(LENGTH, 51);
const ADDRESS = addressFor(BYTES);
/** Room for one blob of that length. */
const ROOM = 6 * MIB;

interface Watched {
  readonly adapter: BlobAdapter;
  /** Offsets and lengths of ranges that were read in one go, and of streams. */
  readonly ranges: [number, number][];
  readonly streams: [number, number | undefined][];
  /** Changes what is read from now on, where nobody asked to be told. */
  spoil: (at: number) => void;
}

function watched(): Watched {
  const inner = createMemoryAdapter({ id: 'test', ...deps });
  const ranges: [number, number][] = [];
  const streams: [number, number | undefined][] = [];
  let bad: number | undefined;
  const adapter: BlobAdapter = {
    ...inner,
    stat: async (...args) => ({ ...(await inner.stat(...args)), revision: 'the same' }),
    async fetchRange(address, offset, into, options) {
      const [target] = into;
      ranges.push([offset, target!.length]);
      await inner.fetchRange(address, offset, into, options);
      if (bad !== undefined && bad >= offset && bad < offset + target!.length) target![bad - offset]! ^= 1;
    },
    fetchStream(address, options) {
      streams.push([options?.offset ?? 0, options?.length]);
      return inner.fetchStream(address, options);
    },
  };
  return {
    adapter,
    ranges,
    streams,
    spoil: (at) => {
      bad = at;
    },
  };
}

const get = (node: TestNode, start?: number, end?: number, address: BlobAddress = ADDRESS) =>
  sendRaw(
    node.port,
    requestText('GET', `/o/${address}`, start === undefined ? {} : { Range: `bytes=${start}-${end! - 1}` }),
  );

async function expectWindow(node: TestNode, start: number, end: number): Promise<void> {
  const answer = await get(node, start, end);
  expect(answer.status).toBe(206);
  expect(Buffer.compare(answer.body, BYTES.subarray(start, end))).toBe(0);
}

describe('a long blob', () => {
  it('is read once for all who want some of it, and then kept', async () => {
    const { adapter, ranges, streams } = watched();
    await adapter.store(ADDRESS, [BYTES]);
    const node = await startNode({ adapter });
    const windows = Array.from({ length: 8 }, (_, i) => [i * 600_000, i * 600_000 + 700_000] as const);
    await Promise.all(windows.map(([start, end]) => expectWindow(node, start, end)));
    for (const [start, end] of windows) await expectWindow(node, start, end);
    expect(Buffer.compare((await get(node)).body, BYTES)).toBe(0);
    expect(ranges).toEqual([[0, LENGTH]]);
    expect(streams).toEqual([]);
  });

  it('goes on being read when the first to ask for it leaves', async () => {
    const { adapter, ranges } = watched();
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const { fetchRange } = adapter;
    const slow: BlobAdapter = {
      ...adapter,
      async fetchRange(...args) {
        await gate;
        await fetchRange(...args);
      },
    };
    await adapter.store(ADDRESS, [BYTES]);
    const node = await startNode({ adapter: slow });
    const leaver = await openSocket(node.port);
    leaver.write(requestText('GET', `/o/${ADDRESS}`, { Range: 'bytes=0-999' }));
    await expect.poll(() => node.metric('inflight')).toBe(1);
    const others = [1, 2, 3].map((i) => expectWindow(node, i * MIB, i * MIB + 500_000));
    await expect.poll(() => node.metric('inflight')).toBe(4);
    leaver.destroy();
    await expect.poll(() => node.metric('inflight')).toBe(3);
    go();
    await Promise.all(others);
    expect(ranges).toEqual([[0, LENGTH]]);
  });

  it('that changed under a running node is noticed by the next request, in memory or not', async () => {
    for (const hotBytes of [64 * MIB, 0]) {
      const node = await startNode({ limits: { hotBytes } });
      const path = node.pathOf(ADDRESS);
      await node.adapter.store(ADDRESS, [BYTES]);
      const wrong = BYTES.slice();
      wrong[4 * MIB]! ^= 1;
      for (const change of [
        () => writeFile(path, wrong),
        () => writeFile(`${path}.new`, wrong).then(() => rename(`${path}.new`, path)),
        () => truncate(path, LENGTH - 1),
      ]) {
        await expectWindow(node, 100, 300_000);
        await change();
        const answer = await get(node, 100, 300_000);
        expect(answer.status).toBe(500);
        expect(JSON.parse(answer.body.toString())).toMatchObject({ error: 'HashMismatch' });
        await writeFile(path, BYTES);
      }
    }
  });

  it('has the hashes of its pieces and of itself as if each were taken alone', async () => {
    for (const size of [1, PIECE, MIB - 1, MIB, MIB + 1, LENGTH, 65 * MIB + 3]) {
      const bytes = noise(size, 3);
      const { address, digests } = await digestsOf(bytes, blake3);
      expect(address).toBe(addressFor(bytes));
      const piece = size > 64 * MIB ? MIB : PIECE;
      const expected: Uint8Array[] = [];
      for (let at = 0; at < size; at += piece) expected.push(blake3.hash(bytes.subarray(at, at + piece)));
      expect(Buffer.compare(Buffer.concat(expected), digests)).toBe(0);
    }
  });
});

describe('a window of a long blob that is not in memory', () => {
  /** The blob has been verified, and then another one took its room. */
  async function evicted(limits: Record<string, number> = {}): Promise<Watched & { node: TestNode }> {
    const seen = watched();
    const other = noise(LENGTH, 52);
    await seen.adapter.store(ADDRESS, [BYTES]);
    await seen.adapter.store(addressFor(other), [other]);
    const node = await startNode({ adapter: seen.adapter, limits: { hotBytes: ROOM, ...limits } });
    await expectWindow(node, 0, 10);
    expect((await get(node, 0, 10, addressFor(other))).status).toBe(206);
    seen.ranges.length = 0;
    return { ...seen, node };
  }

  it.each([
    [0, 1, [0, PIECE]],
    [PIECE - 1, PIECE + 1, [0, 2 * PIECE]],
    [PIECE, 2 * PIECE, [PIECE, PIECE]],
    [1_000_000, 2_300_000, [15 * PIECE, 21 * PIECE]],
    [LENGTH - 1, LENGTH, [5 * MIB, 12_345]],
    [LENGTH - 2 * MIB, LENGTH, [3 * MIB, LENGTH - 3 * MIB]],
  ])('is read in one go, with the pieces around it: %i to %i', async (start, end, read) => {
    const { node, ranges, streams } = await evicted();
    await expectWindow(node, start, end);
    expect(ranges).toEqual([read]);
    expect(streams).toEqual([]);
  });

  it('is read in steps when it is longer', async () => {
    const { node, ranges, streams } = await evicted();
    await expectWindow(node, 500_000, 4_000_000);
    expect(Buffer.compare((await get(node)).body, BYTES)).toBe(0);
    const whole = [MIB, MIB, MIB, MIB, MIB + 12_345];
    expect(ranges.map(([, length]) => length)).toEqual([9 * PIECE, MIB, 2 * MIB - 2 * PIECE, ...whole]);
    expect(streams).toEqual([]);
    const head = await sendRaw(node.port, requestText('HEAD', `/o/${ADDRESS}`));
    expect(head.headers['content-length']).toBe(String(LENGTH));
    expect(ranges.length).toBe(3 + 5);
  });

  it('that rotted since it was verified is told by a status', async () => {
    const { node, spoil, ranges } = await evicted();
    spoil(1_000_000);
    await expectWindow(node, 0, 900_000);
    const answer = await get(node, 900_000, 1_100_000);
    expect(answer.status).toBe(500);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ error: 'HashMismatch' });
    expect(await node.metric('integrity_fail_total{reason="piece"}')).toBe(1);
    // What was known of it is forgotten: all of it is looked at again.
    expect((await get(node, 0, 10)).status).toBe(500);
    expect(ranges.at(-1)).toEqual([0, LENGTH]);
  });

  it('that rotted behind its first step is cut off before a wrong byte', async () => {
    const { node, spoil } = await evicted();
    spoil(3 * MIB + 5);
    const answer = await get(node);
    expect(answer.status).toBe(200);
    expect(answer.closed).toBe(true);
    expect(Buffer.compare(answer.body, BYTES.subarray(0, 3 * MIB))).toBe(0);
  });

  it('is streamed when there is no memory for it, from the start or from the middle', async () => {
    const { node, ranges, streams } = await evicted({ windowBytes: 512 * KIB });
    await expectWindow(node, 100_000, 1_500_000);
    expect(ranges).toEqual([]);
    expect(streams).toEqual([[PIECE, 22 * PIECE]]);
    streams.length = 0;
    await expectWindow(node, MIB - 100, 4 * MIB);
    expect(ranges).toEqual([[15 * PIECE, PIECE]]);
    expect(streams).toEqual([[MIB, 3 * MIB]]);
  });

  it.each([
    ['one go', 0, 2 * MIB],
    ['steps', 0, LENGTH],
  ])('gives its memory back when its reader goes away, sent in %s', async (_, start, end) => {
    const { node, streams } = await evicted({ windowBytes: 2 * MIB });
    for (let i = 0; i < 4; i++) {
      const socket = await openSocket(node.port);
      socket.write(requestText('GET', `/o/${ADDRESS}`, { Range: `bytes=${start}-${end - 1}` }));
      await once(socket, 'readable');
      socket.destroy();
    }
    const streamed = async (): Promise<number> => {
      streams.length = 0;
      await expectWindow(node, 0, 2 * MIB);
      return streams.length;
    };
    await expect.poll(streamed).toBe(0);
  });

  it('gives back memory that was filled after its reader went away', async () => {
    const { adapter, streams, ranges } = watched();
    await adapter.store(ADDRESS, [BYTES]);
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const gated: BlobAdapter = {
      ...adapter,
      async fetchRange(...args) {
        await adapter.fetchRange(...args);
        if (args[1] === MIB) await gate;
      },
    };
    const node = await startNode({ adapter: gated, limits: { hotBytes: 0, windowBytes: 2 * MIB } });
    await get(node, 0, 1);
    const socket = await openSocket(node.port);
    socket.write(requestText('GET', `/o/${ADDRESS}`));
    socket.resume();
    await expect.poll(() => ranges.some(([offset]) => offset === MIB)).toBe(true);
    socket.destroy();
    await expect.poll(() => node.metric('inflight')).toBe(0);
    go();
    streams.length = 0;
    await expectWindow(node, 0, 2 * MIB);
    expect(streams).toEqual([]);
  });

  it('is not written over while its reader is slow to take it', async () => {
    const { adapter, streams } = watched();
    const long = noise(24 * MIB, 53);
    const address = addressFor(long);
    for (const blob of [BYTES, long]) await adapter.store(addressFor(blob), [blob]);
    const node = await startNode({ adapter, limits: { hotBytes: 0, windowBytes: 2 * MIB } });
    for (const blob of [BYTES, long]) await get(node, 0, 1, addressFor(blob));
    const slow = await openSocket(node.port);
    const pieces: Buffer[] = [];
    slow.write(requestText('GET', `/o/${address}`, { Connection: 'close' }));
    await once(slow, 'readable');
    slow.pause();
    streams.length = 0;
    for (let i = 0; i < 5; i++) await expectWindow(node, i * 700_000, i * 700_000 + 900_000);
    expect(streams).toEqual([]);
    slow.on('data', (piece: Buffer) => pieces.push(piece)).resume();
    await once(slow, 'close');
    expect(Buffer.compare(parseAnswer(Buffer.concat(pieces)).body, long)).toBe(0);
  });

  it('is released once, however often it is said', async () => {
    const { adapter } = watched();
    await adapter.store(ADDRESS, [BYTES]);
    const windows = createBufferPool(4 * MIB);
    const reader = createVerifiedReader({
      adapter,
      blake3,
      metrics: silentMetrics.services,
      hot: { maxBytes: 0, maxBlobBytes: 0 },
      windows,
      proofBytes: MIB,
    });
    const blob = await reader.open(ADDRESS);
    const pinned = (await blob.pin!({ start: 5, end: 500_000 }))!;
    expect(Buffer.compare(pinned.bytes, BYTES.subarray(5, 500_000))).toBe(0);
    const size = windows.heldBytes;
    pinned.release();
    pinned.release();
    expect(windows.take(size)!.buffer).not.toBe(windows.take(size)!.buffer);
    expect(windows.heldBytes).toBe(2 * size);
  });
});
