import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { addonInflater, gunzip, heldInflater, inflateBody } from '../../src/node/inflate.ts';
import { noise } from '../helpers/vault.ts';
import {
  addressFor,
  asBody,
  bearer,
  openSocket,
  parseAnswer,
  requestText,
  sendRaw,
  startNode,
  type TestNode,
} from './harness.ts';
import { zstdOfOneByte, zstdStored } from './zstd-frames.ts';

const MIB = 1024 * 1024;
const AUTH = { authorization: bearer('writer') };

const post = (
  node: TestNode,
  body: Uint8Array | ReadableStream,
  headers: Record<string, string> = {},
): Promise<Response> =>
  fetch(`${node.url}/o`, {
    method: 'POST',
    headers: { ...AUTH, ...headers },
    body,
    duplex: 'half',
  } as RequestInit);

async function filesLeft(node: TestNode): Promise<string[]> {
  const blobs = await readdir(join(node.root, 'blobs'), { recursive: true, withFileTypes: true });
  return [
    ...blobs.filter((entry) => entry.isFile()).map(({ name }) => name),
    ...(await readdir(join(node.root, 'tmp'))),
  ];
}

/** A body without a length, in pieces. */
const streamed = (bytes: Uint8Array, piece = 64 * 1024): ReadableStream =>
  ReadableStream.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
    })(),
  );

describe('a compressed body', () => {
  const plain = Buffer.concat([noise(300_000), Buffer.alloc(300_000, 'abcdefgh')]);

  it.each([
    ['gzip', gzipSync(plain)],
    ['zstd', zstdStored(plain)],
  ])('is stored as what it was before: %s', async (coding, body) => {
    const node = await startNode();
    for (const send of [body, streamed(body)]) {
      const response = await post(node, send, { 'content-encoding': coding });
      expect(await response.json()).toEqual({ address: addressFor(plain), size: plain.length });
    }
    const got = await fetch(`${node.url}/o/${addressFor(plain)}`);
    expect(Buffer.compare(Buffer.from(await got.arrayBuffer()), plain)).toBe(0);
  });

  it.each([
    ['gzip', gzipSync(Buffer.alloc(20 * MIB))],
    ['gzip', gzipSync(Buffer.alloc(5000))],
    ['zstd', zstdOfOneByte(20 * MIB)],
    ['zstd', zstdOfOneByte(5000)],
  ])('that inflates to more than ten times its length is refused: %s', async (coding, bomb) => {
    const node = await startNode();
    for (const send of [bomb, streamed(bomb, 1000)]) {
      const response = await post(node, send, { 'content-encoding': coding });
      expect(response.status).toBe(413);
      expect(await response.json()).toMatchObject({ error: 'PayloadTooLarge' });
    }
    expect(await filesLeft(node)).toEqual([]);
  });

  it('that inflates to more than the cap is refused, though it stays below ten times', async () => {
    const node = await startNode({ limits: { maxBodyBytes: MIB } });
    const bytes = Buffer.concat([noise(300_000), Buffer.alloc(MIB)]);
    const compressed = gzipSync(bytes);
    expect(bytes.length).toBeLessThan(10 * compressed.length);
    expect((await post(node, compressed, { 'content-encoding': 'gzip' })).status).toBe(413);
    expect(await filesLeft(node)).toEqual([]);
  });

  it('that is a bomb is given up as it goes off, not when it has', async () => {
    const bomb = gzipSync(Buffer.alloc(50 * MIB));
    let taken = 0;
    let given = 0;
    async function* slowly(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bomb.length; at += 1000) {
        taken += 1000;
        yield bomb.subarray(at, at + 1000);
      }
    }
    const inflate = async (): Promise<void> => {
      for await (const piece of inflateBody(gunzip, slowly(), {
        maxBytes: 100 * MIB,
        statedBytes: undefined,
      })) {
        given += piece.length;
      }
    };
    await expect(inflate()).rejects.toMatchObject({ status: 413 });
    expect(given).toBeLessThan(2 * MIB);
    expect(taken).toBeLessThan(bomb.length);
  });

  it('that is cut short, is followed by rubbish, or is none at all is refused', async () => {
    const node = await startNode();
    const whole = gzipSync(noise(100_000));
    const zstd = zstdStored(noise(100_000));
    for (const [coding, body] of [
      ['gzip', whole.subarray(0, -9)],
      ['gzip', Buffer.concat([whole, Buffer.from([31, 139, 0, 0, 0, 0])])],
      ['gzip', noise(1000)],
      ['zstd', zstd.subarray(0, -9)],
      ['zstd', Buffer.concat([zstd, Buffer.from('rubbish!')])],
      ['zstd', noise(1000)],
    ] as const) {
      const response = await post(node, body, { 'content-encoding': coding });
      expect(response.status).toBe(400);
    }
    expect(await filesLeft(node)).toEqual([]);
  });

  it('is inflated alike by every decoder', async () => {
    const frame = zstdStored(plain);
    const decoders = [addonInflater(), await heldInflater()];
    for (const decode of decoders) {
      if (decode === undefined) continue;
      const out: Uint8Array[] = [];
      const limits = { maxBytes: 10 * MIB, statedBytes: frame.length };
      for await (const piece of inflateBody(decode, one(frame), limits)) out.push(piece.slice());
      expect(Buffer.compare(Buffer.concat(out), plain)).toBe(0);
      await expect(drain(inflateBody(decode, one(zstdOfOneByte(5 * MIB)), limits))).rejects.toMatchObject({
        status: 413,
      });
    }
  });

  it('may not ask for a window beyond what the coding allows', async ({ skip }) => {
    const decode = addonInflater();
    if (decode === undefined) {
      console.warn('SKIPPED: the window of a compressed body (the zstd addon is not here)');
      return skip();
    }
    const wide = zstdOfOneByte(200_000, 24);
    const limits = { maxBytes: 10 * MIB, statedBytes: 100_000 };
    await expect(drain(inflateBody(decode, one(wide), limits))).rejects.toMatchObject({ status: 400 });
  });
});

async function* one(piece: Uint8Array): AsyncGenerator<Uint8Array> {
  yield piece;
}
async function drain(source: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of source);
}

describe('a body over the cap', () => {
  it('is refused before it is sent when its length is stated, else as it crosses the cap', async () => {
    const node = await startNode({
      limits: { maxBodyBytes: 100_000, maxForeignBodyBytes: 1000 },
      anonymous: ['read', 'write'],
    });
    const stated = await sendRaw(
      node.port,
      requestText('POST', '/o', {
        Authorization: bearer('writer'),
        'Content-Length': '100001',
        Expect: '100-continue',
      }),
    );
    expect(stated).toMatchObject({ status: 413, headers: { connection: 'close' } });
    expect((await post(node, streamed(noise(150_000)))).status).toBe(413);
    expect((await post(node, noise(100_000))).status).toBe(201);
    expect((await fetch(`${node.url}/o`, { method: 'POST', body: asBody(noise(1001)) })).status).toBe(413);
    expect((await fetch(`${node.url}/o`, { method: 'POST', body: asBody(noise(1000)) })).status).toBe(201);
    expect((await filesLeft(node)).length).toBe(2);
  });

  it('still sees its answer when it reads only after it has sent everything', async () => {
    const node = await startNode({ limits: { maxBodyBytes: 1000 } });
    const socket = (await openSocket(node.port)).pause();
    const body = 'x'.repeat(3_000_000);
    const sent = new Promise((resolve) => {
      socket.write(requestText('POST', '/o', { Authorization: bearer('writer') }, body), resolve);
    });
    expect(await sent).toBeFalsy();
    const pieces: Buffer[] = [];
    socket.on('data', (piece: Buffer) => pieces.push(piece)).resume();
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
    expect(parseAnswer(Buffer.concat(pieces)).status).toBe(413);
  });
});

describe('a length that lies', () => {
  it.each([
    ['taken whole', MIB, 0],
    ['streamed', 0, 1],
  ])('too long: nothing is stored when the rest never comes: %s', async (_, uploadBytes, temporary) => {
    const node = await startNode({ limits: { uploadBytes } });
    const socket = await openSocket(node.port);
    socket.write(
      requestText('POST', '/o', { Authorization: bearer('writer'), 'Content-Length': '1000' }, 'short'),
    );
    await expect.poll(() => node.metric('inflight')).toBe(1);
    await expect.poll(async () => (await readdir(join(node.root, 'tmp'))).length).toBe(temporary);
    socket.destroy();
    await expect.poll(() => node.metric('inflight')).toBe(0);
    await expect.poll(() => filesLeft(node)).toEqual([]);
  });

  it('too short: what is over is not taken for part of it', async () => {
    const node = await startNode();
    const text = requestText(
      'POST',
      '/o',
      { Authorization: bearer('writer'), 'Content-Length': '5' },
      'hello, and more\r\n\r\n',
    );
    const answer = await sendRaw(node.port, text);
    expect(JSON.parse(answer.body.toString().split('\n')[0]!)).toEqual({
      address: addressFor(Buffer.from('hello')),
      size: 5,
    });
    expect(answer.closed).toBe(true);
    expect(answer.raw).toContain('HTTP/1.1 400');
  });
});

describe('a client that is slow', () => {
  const limits = { headersMs: 300, graceMs: 300, idleMs: 1000, minBytesPerSecond: 1_000_000 };

  /** Everything that came until the server closed the connection. */
  async function untilClosed(
    node: TestNode,
    start: string,
    drip: string,
  ): Promise<ReturnType<typeof parseAnswer>> {
    const socket = await openSocket(node.port);
    const pieces: Buffer[] = [];
    socket.on('data', (piece) => pieces.push(piece));
    socket.write(start);
    const timer = setInterval(() => socket.write(drip), 50);
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
    clearInterval(timer);
    return parseAnswer(Buffer.concat(pieces));
  }

  it('with its header is told so and cut off', async () => {
    const node = await startNode({ limits });
    const answer = await untilClosed(node, 'GET /healthz HTTP/1.1\r\nHost: t\r\n', 'X: y\r\n');
    expect(answer.status).toBe(408);
  });

  it('a thousand times over, they hold up nobody else and are all cut off', async () => {
    const node = await startNode({ limits: { ...limits, headersMs: 2000, maxClientConnections: undefined } });
    const sockets = await Promise.all(Array.from({ length: 1000 }, () => openSocket(node.port)));
    const closed = sockets.map(
      (socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())),
    );
    for (const socket of sockets) socket.resume().write('GET /healthz HTTP/1.1\r\nX: ');
    for (let i = 0; i < 100; i++) {
      const response = await fetch(`${node.url}/o`, { method: 'POST', headers: AUTH, body: `blob ${i}` });
      expect(response.status).toBe(201);
      expect((await fetch(`${node.url}${response.headers.get('location')}`)).status).toBe(200);
    }
    await Promise.all(closed);
    expect(await node.metric('inflight')).toBe(0);
  });

  it('with its body is told so and cut off, and leaves nothing', async () => {
    const node = await startNode({ limits });
    const start = requestText('POST', '/o', { Authorization: bearer('writer'), 'Content-Length': '1000000' });
    const answer = await untilClosed(node, start, 'x');
    expect(answer.status).toBe(408);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ error: 'Timeout' });
    await expect.poll(() => filesLeft(node)).toEqual([]);
  });

  it.each([
    ['on disk', 0],
    ['in memory', 64 * MIB],
  ])('with reading what is %s is cut off', async (_, hotBlobBytes) => {
    // Only the rate can end it: nothing is idle for a minute.
    const rate = { idleMs: 60_000, minBytesPerSecond: 100_000_000 };
    const node = await startNode({ limits: { ...limits, ...rate, hotBlobBytes, hotBytes: hotBlobBytes } });
    const bytes = noise(32 * MIB);
    await node.adapter.store(addressFor(bytes), [bytes]);
    const socket = await openSocket(node.port);
    socket.pause();
    socket.write(requestText('GET', `/o/${addressFor(bytes)}`));
    await expect.poll(() => node.access.length).toBe(1);
    expect(node.access[0]).toMatchObject({ status: 200, cut: true });
    socket.destroy();
  });
});
