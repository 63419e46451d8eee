import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { noise } from '../helpers/vault.ts';
import { requestText, sendRaw } from '../node/harness.ts';
import { startGateway } from './harness.ts';

const CHUNK = 256 * 1024;

describe('what a read touches', () => {
  it('fetches only the chunks that a range overlaps', async () => {
    const { put, url, traffic } = await startGateway();
    const bytes = noise(12 * CHUNK);
    const manifest = await put(bytes);
    traffic.bytes = 0;
    const range = { range: `bytes=${5 * CHUNK + 7}-${5 * CHUNK + 1006}` };
    const answer = await fetch(`${url}/m/${manifest}`, { headers: range });
    expect(answer.status).toBe(206);
    expect(
      Buffer.from(await answer.arrayBuffer()).equals(bytes.subarray(5 * CHUNK + 7, 5 * CHUNK + 1007)),
    ).toBe(true);
    // One chunk is sixteen data shards, each a little longer than its share.
    expect(traffic.bytes).toBeGreaterThanOrEqual(CHUNK);
    expect(traffic.bytes).toBeLessThan(1.2 * CHUNK);

    traffic.bytes = 0;
    const border = { range: `bytes=${6 * CHUNK - 1}-${6 * CHUNK}` };
    const two = await fetch(`${url}/m/${manifest}`, { headers: border });
    expect((await two.arrayBuffer()).byteLength).toBe(2);
    expect(traffic.bytes).toBeGreaterThanOrEqual(2 * CHUNK);
    expect(traffic.bytes).toBeLessThan(2.4 * CHUNK);
  });

  it('fetches nothing for HEAD, 304, 412 and 416', async () => {
    const { put, url, traffic } = await startGateway();
    const manifest = await put(noise(3 * CHUNK), { name: 'a' });
    traffic.fetches = 0;
    const etag = `"${manifest}"`;
    const asked: [string, Record<string, string>, number][] = [
      ['HEAD', {}, 200],
      ['GET', { 'if-none-match': etag }, 304],
      ['GET', { 'if-match': '"x"' }, 412],
      ['GET', { range: 'bytes=99999999-' }, 416],
    ];
    for (const [method, headers, status] of asked) {
      const answer = await fetch(`${url}/n/a`, { method, headers });
      await answer.arrayBuffer();
      expect(answer.status).toBe(status);
    }
    expect(traffic.fetches).toBe(0);
  });
});

describe('damage at the providers', () => {
  it('serves the right bytes when providers lie', async () => {
    const { put, url, traffic, metric } = await startGateway();
    const bytes = noise(5 * CHUNK + 11);
    const manifest = await put(bytes);
    let spoiled = 0;
    traffic.tamper = (part, provider) => {
      if (provider > 1) return;
      part[3]! ^= 1;
      spoiled++;
    };
    const answer = await fetch(`${url}/m/${manifest}`);
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
    expect(spoiled).toBeGreaterThan(0);
    expect(await metric('integrity_fail_total{reason="shard"}')).toBeGreaterThan(0);
  });

  it('says 503 with a typed body when too many providers are gone', async () => {
    const { put, vault, url } = await startGateway();
    const manifest = await put(noise(2 * CHUNK));
    for (const id of ['p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7']) vault.gone.add(id);
    const answer = await fetch(`${url}/m/${manifest}`, { headers: { 'x-corr-id': 'lost-1' } });
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(await answer.json()).toMatchObject({ error: 'Unavailable', corr_id: 'lost-1' });
  });

  it('says 500 when every copy is spoiled, never the wrong bytes', async () => {
    const { put, url, traffic } = await startGateway();
    const manifest = await put(noise(CHUNK));
    traffic.tamper = (part) => part.fill(0);
    const answer = await fetch(`${url}/m/${manifest}`);
    expect(answer.status).toBe(500);
    expect(await answer.json()).toMatchObject({ error: 'Corrupt' });
  });

  it('cuts the connection when the bytes end before their length', async () => {
    const { put, port, vault, traffic, metric } = await startGateway({
      vault: { arenaBytes: 16 * 1024 * 1024 },
    });
    const manifest = await put(noise(24 * CHUNK));
    // What the first windows need is there; then seven of nine providers vanish.
    let reads = 0;
    traffic.before = async () => {
      if (++reads > 40) for (const id of ['p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7']) vault.gone.add(id);
    };
    const answer = await sendRaw(port, requestText('GET', `/m/${manifest}`, { connection: 'close' }));
    expect(answer.status).toBe(200);
    expect(answer.headers['content-length']).toBe(String(24 * CHUNK));
    expect(answer.body.length).toBeGreaterThan(0);
    expect(answer.body.length).toBeLessThan(24 * CHUNK);
    expect(answer.closed).toBe(true);
    expect(await metric('requests_total')).toBe(1);
  });
});

describe('blobs as they are kept', () => {
  it('come from a provider that has them whole, and never spoiled', async () => {
    const { put, url, vault, metric } = await startGateway();
    const manifest = await put(noise(CHUNK));
    const whole = Buffer.from(await (await fetch(`${url}/o/${manifest}`)).arrayBuffer());
    const holders: { readonly id: string; readonly adapter: BlobAdapter }[] = [];
    for (const { id, adapter } of vault.providers)
      if (await adapter.exists(manifest)) holders.push({ id, adapter });
    expect(holders.length).toBeGreaterThan(2);
    const spoil = ({ adapter }: (typeof holders)[number]): void => {
      const { fetchStream } = adapter;
      adapter.fetchStream = async function* (address, options) {
        for await (const piece of fetchStream.call(adapter, address, options))
          yield piece.map((byte) => byte ^ 1);
      };
    };
    for (const holder of holders.slice(1)) spoil(holder);
    const again = Buffer.from(await (await fetch(`${url}/o/${manifest}`)).arrayBuffer());
    expect(again.equals(whole)).toBe(true);
    spoil(holders[0]!);
    const answer = await fetch(`${url}/o/${manifest}`);
    expect(answer.status).toBeGreaterThanOrEqual(500);
    expect(await answer.json()).toMatchObject({ error: expect.stringMatching(/HashMismatch|Unavailable/) });
    expect(await metric('integrity_fail_total')).toBeGreaterThan(0);
  });
});

describe('clients that are slow or leave', () => {
  it('serves others while as many clients as the memory holds do not read', async () => {
    const gateway = await startGateway({ vault: { arenaBytes: 16 * 1024 * 1024 } });
    const bytes = noise(64 * CHUNK);
    const manifest = await gateway.put(bytes);
    const stalled = Array.from({ length: 12 }, () => {
      const socket = connect(gateway.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.pause();
      socket.write(requestText('GET', `/m/${manifest}`));
      return socket;
    });
    await Promise.all(stalled.map((socket) => once(socket, 'connect')));
    for (let i = 0; i < 3; i++) {
      const answer = await fetch(`${gateway.url}/m/${manifest}`);
      expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
    }
    // One that comes back gets all of its bytes, in order.
    const pieces: Buffer[] = [];
    stalled[0]!.on('data', (piece: Buffer) => pieces.push(piece)).resume();
    while (Buffer.concat(pieces).length < bytes.length) await once(stalled[0]!, 'data');
    const all = Buffer.concat(pieces);
    expect(
      all
        .subarray(all.indexOf('\r\n\r\n') + 4)
        .equals(bytes.subarray(0, all.length - all.indexOf('\r\n\r\n') - 4)),
    ).toBe(true);
    for (const socket of stalled) socket.destroy();
  });

  it('gives all memory back when clients leave in the middle', async () => {
    const { vault, put, port, metric } = await startGateway({ vault: { arenaBytes: 16 * 1024 * 1024 } });
    const manifest = await put(noise(64 * CHUNK));
    for (let i = 0; i < 6; i++) {
      const socket = connect(port, '127.0.0.1');
      socket.write(requestText('GET', `/m/${manifest}`));
      await once(socket, 'data');
      socket.destroy();
    }
    await expect.poll(() => metric('inflight')).toBe(0);
    await expect.poll(() => freed(vault.context.arena)).toBe(true);
  });

  it('stops the reads of a client that has gone', async () => {
    const { put, port, traffic } = await startGateway();
    const manifest = await put(noise(8 * CHUNK));
    let aborted = 0;
    traffic.before = (signal) =>
      new Promise((_, reject) => {
        signal?.addEventListener('abort', () => {
          aborted++;
          reject(signal.reason);
        });
      });
    const socket = connect(port, '127.0.0.1');
    socket.write(requestText('GET', `/m/${manifest}`));
    await once(socket, 'connect');
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    await expect.poll(() => aborted).toBeGreaterThan(0);
  });
});

/** Whether all of the arena can be had at once. */
function freed(arena: {
  tryAllocate(length: number): unknown;
  release(slab: never): void;
  capacity: number;
}): boolean {
  const slab = arena.tryAllocate(arena.capacity);
  if (slab === undefined) return false;
  arena.release(slab as never);
  return true;
}
