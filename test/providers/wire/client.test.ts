import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createWireClient, type WireClient } from '../../../src/providers/wire/client.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function facing(
  answer: Answer,
): Promise<{ client: WireClient; server: Server; connections: number[] }> {
  const server = createServer(answer);
  const connections: number[] = [];
  server.on('connection', () => connections.push(connections.length));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUps.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const client = createWireClient({ origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  cleanUps.push(() => client.close());
  return { client, server, connections };
}

const bodyOf = async (request: IncomingMessage): Promise<Buffer> => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
};

describe('a request', () => {
  it.each([1, 3, 40])('sends %i parts of shared memory in order', async (count) => {
    let received: Buffer | undefined;
    const { client } = await facing(async (request, response) => {
      received = await bodyOf(request);
      response.end();
    });
    const memory = new Uint8Array(new SharedArrayBuffer(count * 100_003));
    for (let i = 0; i < memory.length; i++) memory[i] = (i * 31) >> 3;
    const parts = Array.from({ length: count }, (_, i) => memory.subarray(i * 100_003, (i + 1) * 100_003));
    const headers = { 'content-length': String(memory.length) };
    const answer = await client.send({ method: 'PUT', path: '/a', headers, body: parts });
    await answer.discard();
    expect(received!.equals(Buffer.from(memory.slice()))).toBe(true);
  });

  it('is settled at once by an abort in mid-body', async () => {
    const { client, server } = await facing(() => {}); // takes nothing beyond what sockets hold
    server.on('connection', (socket) => socket.pause());
    const abort = new AbortController();
    const body = Array.from({ length: 64 }, () => new Uint8Array(1024 * 1024));
    const headers = { 'content-length': String(64 * 1024 * 1024) };
    const sent = client.send({ method: 'PUT', path: '/a', headers, body, signal: abort.signal });
    await new Promise((resolve) => setTimeout(resolve, 50));
    abort.abort();
    await expect(sent).rejects.toMatchObject({ kind: 'Aborted' });
  });

  it('is aborted at once while there is no connection yet', async () => {
    const client = createWireClient({ origin: 'http://127.0.0.1:9' });
    const abort = new AbortController();
    const sent = client.send({ method: 'GET', path: '/', signal: abort.signal });
    abort.abort();
    await expect(sent).rejects.toMatchObject({ kind: 'Aborted' });
    await expect(client.send({ method: 'GET', path: '/', signal: abort.signal })).rejects.toMatchObject({
      kind: 'Aborted',
    });
    await client.close();
  });
});

describe('an answer', () => {
  it('passes over an informational one', async () => {
    const { client } = await facing((_, response) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      response.writeHead(200).end('final');
    });
    const answer = await client.send({ method: 'GET', path: '/' });
    expect([answer.status, await answer.text()]).toEqual([200, 'final']);
  });

  it('leaves its connection to the next request once it is read or let go of', async () => {
    const { client, connections } = await facing((_, response) => response.end(Buffer.alloc(50_000)));
    for (let i = 0; i < 3; i++) {
      await (await client.send({ method: 'GET', path: '/' })).discard();
      await (await client.send({ method: 'GET', path: '/' })).drain(() => true);
      for await (const _ of (await client.send({ method: 'GET', path: '/' })).body);
    }
    // The client rests each for a turn of the event loop, so there may be another beside it.
    expect(connections.length).toBeLessThanOrEqual(2);
  });

  it('that goes on for too long is let go of with its connection', async () => {
    let closed = 0;
    const { client } = await facing((request, response) => {
      request.socket.once('close', () => closed++);
      const more = (): void => void (response.destroyed || response.write(Buffer.alloc(65_536), more));
      more();
    });
    await (await client.send({ method: 'GET', path: '/' })).discard();
    const text = await (await client.send({ method: 'GET', path: '/' })).text(1000);
    expect(text).toHaveLength(1000);
    while (closed < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('is not read from the socket faster than it is taken', async () => {
    const limit = 32 * 1024 * 1024; // far over what the sockets of both sides hold, and our quarter of a megabyte
    let sent = 0;
    const { client } = await facing((_, response) => {
      const more = (): void => {
        if (response.destroyed) return;
        sent += 65_536;
        response.write(Buffer.alloc(65_536), more);
      };
      more();
    });
    const answer = await client.send({ method: 'GET', path: '/' });
    for (let before = 0; sent !== before && sent < limit; ) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(sent).toBeLessThan(limit);
    let size = 0;
    await answer.drain((piece) => {
      size += piece.length;
      return size < limit;
    });
    expect(size).toBeGreaterThanOrEqual(limit);
  });

  it('takes nothing more once an abort in mid-body has settled it', async () => {
    const { client } = await facing((_, response) => {
      const more = (): void => void (response.destroyed || response.write(Buffer.alloc(65_536), more));
      more();
    });
    const abort = new AbortController();
    const answer = await client.send({ method: 'GET', path: '/', signal: abort.signal });
    let taken = 0;
    const drained = answer.drain(() => {
      if (++taken === 5) abort.abort();
      return true;
    });
    await expect(drained).rejects.toMatchObject({ kind: 'Aborted' });
    const then = taken;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(taken).toBe(then);
    expect(then).toBe(5);
  });
});
