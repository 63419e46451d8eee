import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { noise } from '../helpers/vault.ts';
import { requestText } from '../node/harness.ts';
import { startGateway, type TestGateway } from './harness.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const MANY = 1000;

/** Connections that have been opened; what they get is counted and not kept. */
async function openMany(port: number, count: number): Promise<{ sockets: Socket[]; answers: string[] }> {
  const answers: string[] = [];
  const sockets = Array.from({ length: count }, () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.once('data', (piece: Buffer) => answers.push(piece.toString('latin1').slice(0, 12)));
    return socket;
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  return { sockets, answers };
}

/** Reads the object as an honest client, which is told to come back when there is no room. */
async function readPatiently({ url }: TestGateway, manifest: string, bytes: Uint8Array): Promise<void> {
  for (;;) {
    const answer = await fetch(`${url}/m/${manifest}`);
    const body = Buffer.from(await answer.arrayBuffer());
    if (answer.status === 200) return void expect(body.equals(bytes)).toBe(true);
    expect([503, answer.headers.get('retry-after')]).toEqual([
      answer.status,
      expect.stringMatching(/^[1-9]/),
    ]);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('a thousand connections', () => {
  it('that send their headers a byte at a time keep nobody else waiting, and are cut off', async () => {
    const gateway = await startGateway({ limits: { headersMs: 1500, maxClientConnections: undefined } });
    const bytes = noise(100_000);
    const manifest = await gateway.put(bytes);
    const { sockets, answers } = await openMany(gateway.port, MANY);
    const closed = Promise.all(sockets.map((socket) => once(socket, 'close')));
    const text = requestText('GET', `/m/${manifest}`);
    let at = 0;
    const dripping = setInterval(() => {
      if (at < 20) for (const socket of sockets) if (socket.writable) socket.write(text[at]!);
      at++;
    }, 100);
    onTestFinished(() => clearInterval(dripping));
    for (let i = 0; i < 10; i++) {
      const answer = await fetch(`${gateway.url}/m/${manifest}`);
      expect([answer.status, Buffer.from(await answer.arrayBuffer()).equals(bytes)]).toEqual([200, true]);
    }
    await closed;
    clearInterval(dripping);
    expect(new Set(answers)).toEqual(new Set(['HTTP/1.1 408']));
    expect(await gateway.metric('rejected_total{reason="request_timeout"}')).toBe(MANY);
    expect(await gateway.metric('inflight')).toBe(0);
  }, 60_000);

  it('that ask and do not read keep nobody out, and hold no more than was granted', async () => {
    const gateway = await startGateway({
      // Nobody is cut off while the test runs.
      limits: { graceMs: 600_000, idleMs: 600_000, maxClientConnections: undefined },
      vault: { arenaBytes: 16 * MIB },
      // The large object fits, so that it is its clients alone that it waits for.
      caches: { chunkBytes: 72 * MIB },
    });
    const large = await gateway.put(noise(8 * MIB));
    await (await fetch(`${gateway.url}/m/${large}`)).arrayBuffer();
    const bytes = noise(100_000, 3);
    const small = await gateway.put(bytes);
    const { sockets } = await openMany(gateway.port, MANY);
    for (const socket of sockets) {
      socket.pause();
      socket.write(requestText('GET', `/m/${large}`));
    }
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
    // They give their places back, so that others are served while they are still there.
    await readPatiently(gateway, small, bytes);
    await expect.poll(() => gateway.metric('inflight')).toBeLessThan(128);
    expect(
      sockets.filter((socket) => !socket.destroyed && socket.readyState === 'open').length,
    ).toBeGreaterThan(0);
    await readPatiently(gateway, small, bytes);
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => gateway.metric('inflight')).toBe(0);
    expect(await gateway.metric('cache_bytes{cache="chunks"}')).toBeLessThanOrEqual(72 * MIB);
    const { arena } = gateway.vault.context;
    const isFree = (): boolean => {
      const all = arena.tryAllocate(arena.capacity);
      if (all !== undefined) arena.release(all);
      return all !== undefined;
    };
    await expect.poll(isFree).toBe(true);
  }, 90_000);
});

it('under five times the load it takes, answers are right or say when to come back', async () => {
  const gateway = await startGateway({ limits: { maxInflight: 8 }, vault: { arenaBytes: 16 * MIB } });
  const bytes = noise(600_000);
  const manifest = await gateway.put(bytes);
  // Providers that take their time, so that requests meet each other.
  gateway.traffic.before = () => new Promise((resolve) => setTimeout(resolve, 10));
  let stop = false;
  let [served, turnedAway] = [0, 0];
  const client = async (): Promise<void> => {
    while (!stop) {
      const answer = await fetch(`${gateway.url}/m/${manifest}`);
      const body = Buffer.from(await answer.arrayBuffer());
      if (answer.status === 200) {
        expect(body.equals(bytes)).toBe(true);
        served++;
      } else {
        expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
        expect(JSON.parse(body.toString())).toMatchObject({ error: 'Unavailable' });
        turnedAway++;
        // Clients and gateway share this process: those turned away must leave it some time.
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      stop ||= served >= 50 && turnedAway >= 50;
    }
  };
  await Promise.all(Array.from({ length: 40 }, client));
  expect(await gateway.metric('rejected_total{reason="max_inflight"}')).toBe(turnedAway);
  expect(await gateway.metric('read_denied_total{reason="max_inflight"}')).toBe(turnedAway);
  expect(await gateway.metric('requests_total{route="/m/{address}",code="200"}')).toBe(served);
  await expect.poll(() => gateway.metric('inflight')).toBe(0);
  expect((await fetch(`${gateway.url}/m/${manifest}`)).status).toBe(200);
}, 60_000);
