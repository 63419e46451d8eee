import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { abortable } from '../../src/core/abort.ts';
import { createBufferPool } from '../../src/core/buffer-pool.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { noise } from '../helpers/vault.ts';
import {
  addressFor,
  asBody,
  bearer,
  deps,
  openSocket,
  parseAnswer,
  requestText,
  startNode,
  type TestNode,
} from './harness.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const AUTH = { authorization: bearer('writer') };
const LENGTH = 3 * MIB + 12_345;
const BYTES = noise(LENGTH, 31);
const ADDRESS = addressFor(BYTES);

const put = (node: TestNode, body: Uint8Array | ReadableStream, address = ADDRESS): Promise<Response> =>
  fetch(`${node.url}/o/${address}`, {
    method: 'PUT',
    headers: AUTH,
    body: body instanceof ReadableStream ? body : asBody(body),
    duplex: 'half',
  } as RequestInit);

const streamed = (bytes: Uint8Array): ReadableStream =>
  ReadableStream.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000);
    })(),
  );

/** An adapter in memory that tells of the pieces it is given, and does to them what a test wants. */
function watched(onPiece: (piece: Uint8Array, count: number, signal: AbortSignal) => Promise<void> | void): {
  readonly adapter: BlobAdapter;
  readonly lengths: number[];
} {
  const inner = createMemoryAdapter({ id: 'test', ...deps });
  const lengths: number[] = [];
  const adapter: BlobAdapter = {
    ...inner,
    storeStream(address, source, options) {
      const signal = options!.signal!;
      let count = 0;
      const seen = (async function* () {
        for await (const piece of source) {
          lengths.push(piece.length);
          await onPiece(piece, ++count, signal);
          yield piece;
        }
      })();
      return abortable(inner.storeStream(address, seen, options), signal);
    },
  };
  return { adapter, lengths };
}

describe('a long body', () => {
  it.each([
    ['of stated length', (): Uint8Array => BYTES],
    ['without a length', (): ReadableStream => streamed(BYTES)],
  ])('%s is stored in a few long pieces', async (_, body) => {
    const { adapter, lengths } = watched(() => {});
    const node = await startNode({ adapter });
    expect((await put(node, body())).status).toBe(201);
    expect(lengths).toEqual([MIB, MIB, MIB, 12_345]);
    expect(Buffer.compare(await adapter.fetch(ADDRESS), BYTES)).toBe(0);
    await expect.poll(() => node.metric('bytes_in_total')).toBe(LENGTH);
  });

  it('is the same on a disk, many at once, with memory for two and for none', async () => {
    for (const uploadBytes of [4 * MIB, 0]) {
      const node = await startNode({ limits: { uploadBytes } });
      const bodies = Array.from({ length: 8 }, (_, i) => noise(LENGTH + i, 40 + i));
      const answers = await Promise.all(
        bodies.map((bytes, i) => put(node, i % 2 === 0 ? bytes : streamed(bytes), addressFor(bytes))),
      );
      expect(answers.map(({ status }) => status)).toEqual(bodies.map(() => 201));
      for (const bytes of bodies)
        expect(Buffer.compare(await node.adapter.fetch(addressFor(bytes)), bytes)).toBe(0);
      expect(await readdir(join(node.root, 'tmp'))).toEqual([]);
    }
  });

  it('that is not the one of its address is refused, and its memory used again', async () => {
    const { adapter, lengths } = watched(() => {});
    const node = await startNode({ adapter, limits: { uploadBytes: 2 * MIB } });
    for (let i = 0; i < 3; i++) {
      lengths.length = 0;
      expect((await put(node, BYTES, addressFor(noise(10, i)))).status).toBe(409);
      expect(lengths[0]).toBe(MIB);
    }
    expect((await put(node, BYTES)).status).toBe(201);
    expect(lengths.slice(-4)).toEqual([MIB, MIB, MIB, 12_345]);
  });

  it('over the cap is refused, with a length and without, and leaves nothing', async () => {
    const node = await startNode({ limits: { maxBodyBytes: 3 * MIB } });
    expect((await put(node, BYTES)).status).toBe(413);
    expect((await put(node, streamed(BYTES))).status).toBe(413);
    await expect.poll(() => readdir(join(node.root, 'tmp'))).toEqual([]);
    expect(await node.adapter.exists(ADDRESS)).toBe(false);
  });

  it('waits to be invited', async () => {
    const node = await startNode();
    const socket = await openSocket(node.port);
    const pieces: Buffer[] = [];
    socket.on('data', (piece) => pieces.push(piece));
    const headers = {
      Authorization: bearer('writer'),
      'Content-Length': String(LENGTH),
      Expect: '100-continue',
      Connection: 'close',
    };
    socket.write(requestText('PUT', `/o/${ADDRESS}`, headers));
    await once(socket, 'data');
    expect(Buffer.concat(pieces).toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    pieces.length = 0;
    socket.write(BYTES);
    await once(socket, 'close');
    expect(parseAnswer(Buffer.concat(pieces)).status).toBe(201);
  });

  it('that comes too slowly is told so and cut off', async () => {
    const node = await startNode({ limits: { graceMs: 300, minBytesPerSecond: 1_000_000 } });
    const socket = await openSocket(node.port);
    const pieces: Buffer[] = [];
    socket.on('data', (piece) => pieces.push(piece));
    const headers = { Authorization: bearer('writer'), 'Content-Length': String(LENGTH) };
    socket.write(requestText('PUT', `/o/${ADDRESS}`, headers));
    const timer = setInterval(() => socket.write('x'), 50);
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
    clearInterval(timer);
    expect(parseAnswer(Buffer.concat(pieces)).status).toBe(408);
    await expect.poll(() => readdir(join(node.root, 'tmp'))).toEqual([]);
  });

  it('that meets a full disk is a 507, and leaves its memory to others', async () => {
    let full = true;
    const { adapter, lengths } = watched((_, count) => {
      if (full && count === 2) throw new HoldfastError('QuotaExceeded', 'the disk is full');
    });
    const node = await startNode({ adapter, limits: { uploadBytes: 2 * MIB } });
    for (let i = 0; i < 3; i++) expect((await put(node, BYTES)).status).toBe(507);
    full = false;
    lengths.length = 0;
    expect((await put(node, BYTES)).status).toBe(201);
    expect(lengths).toEqual([MIB, MIB, MIB, 12_345]);
  });

  it('that was refused before it was looked at does not run into the memory of the next', async () => {
    let first: Socket | undefined;
    const { adapter } = watched(async (_, count) => {
      if (count !== 1) return;
      // The refused client goes on sending, into what is now being filled for another.
      first!.write(Buffer.alloc(700_000, 0xff));
      await new Promise((resolve) => setTimeout(resolve, 100));
    });
    let full = true;
    const refusing: BlobAdapter = {
      ...adapter,
      async storeStream(...args) {
        if (!full) return adapter.storeStream(...args);
        full = false;
        throw new HoldfastError('QuotaExceeded', 'the disk is full');
      },
    };
    const node = await startNode({ adapter: refusing, limits: { uploadBytes: 2 * MIB } });
    first = await openSocket(node.port);
    const headers = { Authorization: bearer('writer'), 'Content-Length': String(LENGTH) };
    first.write(requestText('PUT', `/o/${ADDRESS}`, headers));
    await once(first, 'data');
    const other = noise(LENGTH, 98);
    expect((await put(node, other, addressFor(other))).status).toBe(201);
    first.destroy();
  });

  it('whose sender goes away in the middle leaves nothing, over and over', async () => {
    const node = await startNode({ limits: { uploadBytes: 2 * MIB } });
    for (let i = 0; i < 5; i++) {
      const socket = await openSocket(node.port);
      const headers = { Authorization: bearer('writer'), 'Content-Length': String(LENGTH) };
      socket.write(requestText('PUT', `/o/${ADDRESS}`, headers));
      socket.write(BYTES.subarray(0, i * 700_000));
      await expect.poll(() => node.metric('inflight')).toBe(1);
      socket.destroy();
      await expect.poll(() => node.metric('inflight')).toBe(0);
    }
    await expect.poll(() => readdir(join(node.root, 'tmp'))).toEqual([]);
    expect(await node.adapter.exists(ADDRESS)).toBe(false);
    expect((await put(node, BYTES)).status).toBe(201);
  });

  it('given up while it is written: nobody else gets the memory that is still read', async () => {
    let held: Uint8Array | undefined;
    const { adapter, lengths } = watched((piece, _, signal) => {
      if (held !== undefined) return;
      held = piece;
      // Settled by the abort alone, as by a layer that does not wait for what is below it.
      return abortable(new Promise<void>(() => {}), signal);
    });
    const node = await startNode({ adapter, limits: { uploadBytes: 2 * MIB } });
    const socket = await openSocket(node.port);
    const headers = { Authorization: bearer('writer'), 'Content-Length': String(LENGTH) };
    socket.write(requestText('PUT', `/o/${ADDRESS}`, headers));
    socket.write(BYTES.subarray(0, MIB + 1000));
    await expect.poll(() => held).toBeDefined();
    socket.destroy();
    await expect.poll(() => node.metric('inflight')).toBe(0);
    lengths.length = 0;
    const other = noise(LENGTH, 99);
    expect((await put(node, other, addressFor(other))).status).toBe(201);
    expect(lengths).toEqual([MIB, MIB, MIB, 12_345]);
    expect(Buffer.compare(held!, BYTES.subarray(0, MIB))).toBe(0);
  });
});

describe('a short body that nobody takes', () => {
  it.each([
    ['batches', { uploadBodyBytes: 0 }],
    ['pieces', { uploadBytes: 0 }],
  ])('in %s is no obstacle to the next request of the connection', async (_, limits) => {
    const inner = createMemoryAdapter({ id: 'test', ...deps });
    const storeStream: BlobAdapter['storeStream'] = async (_address, source) => {
      const pieces = source[Symbol.asyncIterator]();
      pieces.next().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 20));
      pieces.return?.().catch(() => {});
      throw new HoldfastError('QuotaExceeded', 'the disk is full');
    };
    const node = await startNode({ adapter: { ...inner, storeStream }, limits });
    const socket = await openSocket(node.port);
    const pieces: Buffer[] = [];
    socket.on('data', (piece) => pieces.push(piece));
    const headers = { Authorization: bearer('writer'), 'Content-Length': '50000' };
    socket.write(requestText('POST', '/o', headers));
    socket.write(BYTES.subarray(0, 20_000));
    await expect.poll(() => Buffer.concat(pieces).toString()).toContain('QuotaExceeded');
    for (let at = 20_000; at < 50_000; at += 10_000) {
      socket.write(BYTES.subarray(at, at + 10_000));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    socket.write(requestText('GET', '/healthz', { Connection: 'close' }));
    await once(socket, 'close');
    const statuses = Buffer.concat(pieces)
      .toString()
      .match(/HTTP\/1\.1 \d+/g);
    expect(statuses).toEqual(['HTTP/1.1 507', 'HTTP/1.1 200']);
  });
});

describe('memory that something may still read', () => {
  it('is neither counted nor handed out again', () => {
    const pool = createBufferPool(64 * KIB);
    const taken = pool.take(64 * KIB)!;
    expect(pool.take(64 * KIB)).toBeUndefined();
    pool.forget(taken);
    expect(pool.heldBytes).toBe(0);
    const next = pool.take(64 * KIB)!;
    expect(next.buffer).not.toBe(taken.buffer);
    pool.give(next);
    expect(pool.heldBytes).toBe(64 * KIB);
  });
});
