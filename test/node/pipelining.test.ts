import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../helpers/fake-clock.ts';
import { openSocket, requestText, sendRaw, startNode, type TestNode } from './harness.ts';

const LIST = requestText('GET', '/o?limit=1&prefix=ab');
const HEALTH = requestText('GET', '/healthz');

/** Everything until the server closes the connection. */
async function untilClosed(node: TestNode, text: string): Promise<string> {
  const socket = await openSocket(node.port);
  let all = '';
  socket.on('data', (piece) => {
    all += piece;
  });
  socket.write(text);
  await once(socket, 'close');
  return all;
}

const statuses = (raw: string): string[] => [...raw.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, s]) => s!);

describe('requests that a connection leaves behind', () => {
  it('give back their places when it is reset', async () => {
    const node = await startNode({ limits: { maxPipelined: 100 } });
    for (let i = 0; i < 10; i++) {
      const socket = await openSocket(node.port);
      socket.write(requestText('GET', '/readyz') + LIST.repeat(60));
      await new Promise((resolve) => setTimeout(resolve, 2));
      socket.resetAndDestroy();
    }
    await expect.poll(() => node.metric('inflight')).toBe(0);
    expect((await sendRaw(node.port, LIST)).status).toBe(200);
  });

  it('are logged as of the client that sent them, and as never answered', async () => {
    const node = await startNode();
    let asked = (): void => {};
    const listing = new Promise<void>((resolve) => {
      asked = resolve;
    });
    let go = (): void => {};
    const wait = new Promise<void>((resolve) => {
      go = resolve;
    });
    node.adapter.list = async function* () {
      asked();
      await wait;
      yield* [];
    };
    const socket = await openSocket(node.port);
    socket.write(LIST);
    await listing;
    socket.resetAndDestroy();
    await expect.poll(() => node.access.length).toBe(1);
    go();
    expect(node.access[0]).toMatchObject({ client: '127.0.0.1', status: 499, cut: true });
    expect(await node.metric('requests_total{route="/o",code="499"}')).toBe(1);
  });
});

describe('requests sent one behind the other', () => {
  it('are served one at a time, whoever else asks', async () => {
    const node = await startNode();
    let running = 0;
    let most = 0;
    const { list } = node.adapter;
    node.adapter.list = async function* (options) {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      yield* list(options);
      running--;
    };
    const sent = LIST.repeat(8) + requestText('GET', '/healthz', { Connection: 'close' });
    expect(statuses(await untilClosed(node, sent))).toEqual(Array(9).fill('200'));
    expect(most).toBe(1);
  });

  it('wait up to a number; one more ends the connection in its turn, and no other is served', async () => {
    const node = await startNode({ limits: { maxPipelined: 3 } });
    const raw = await untilClosed(node, HEALTH.repeat(500));
    expect(statuses(raw)).toEqual(['200', '200', '200', '200', '503']);
    expect(raw).toContain('"error":"Unavailable"');
    expect(await node.metric('rejected_total{reason="pipelined"}')).toBe(1);
    expect(node.access.length).toBeLessThanOrEqual(6);
  });

  it('are not served behind one that ends the connection', async () => {
    const node = await startNode();
    const last = requestText('GET', '/healthz', { Connection: 'close' });
    expect(statuses(await untilClosed(node, last + LIST))).toEqual(['200']);
    expect(node.access.map(({ route }) => route)).toEqual(['/healthz']);
  });
});

describe('connections of one client', () => {
  it('are bounded, told so, and taken again when one has gone', async () => {
    const node = await startNode({ limits: { maxClientConnections: 2 } });
    const [one, two] = [await openSocket(node.port), await openSocket(node.port)];
    const third = await sendRaw(node.port, HEALTH);
    expect([third.status, third.headers['retry-after'], third.closed]).toEqual([503, '1', true]);
    expect(JSON.parse(third.body.toString())).toMatchObject({ error: 'Unavailable' });
    one.destroy();
    await expect.poll(async () => (await sendRaw(node.port, HEALTH)).status).toBe(200);
    two.destroy();
    expect(await node.metric('rejected_total{reason="client_connections"}')).toBeGreaterThanOrEqual(1);
  });
});

describe('whoever shows a wrong token', () => {
  it('takes no place, and cannot guess faster than others may ask', async () => {
    const clock = { ...new FakeClock(), now: () => 0 };
    const node = await startNode({ clock, limits: { maxClientRps: 3, maxInflight: 1 } });
    const guess = async (): Promise<number> =>
      (await sendRaw(node.port, requestText('GET', '/o', { Authorization: 'Bearer wrong' }))).status;
    expect([await guess(), await guess(), await guess(), await guess()]).toEqual([401, 401, 401, 429]);
    expect(await node.metric('inflight')).toBe(0);
  });
});
