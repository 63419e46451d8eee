import { once } from 'node:events';
import { expect, it, onTestFinished } from 'vitest';
import { openSocket, requestText, startNode } from './harness.ts';

const HEALTH = requestText('GET', '/healthz', { Connection: 'keep-alive' });

/** A connection that was answered once and is kept. */
async function kept(port: number) {
  const socket = await openSocket(port);
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  socket.write(HEALTH);
  const [first] = (await once(socket, 'data')) as [Buffer];
  expect(first.toString()).toContain('HTTP/1.1 200');
  return socket;
}

it('no more connections are taken than may be, and again when one has gone', async () => {
  const node = await startNode({ limits: { maxConnections: 3 } });
  const [first] = [await kept(node.port), await kept(node.port), await kept(node.port)];
  const fourth = await openSocket(node.port);
  fourth.on('error', () => {});
  fourth.write(HEALTH);
  let answered = false;
  fourth.on('data', () => {
    answered = true;
  });
  await once(fourth, 'close');
  expect(answered).toBe(false);
  first!.destroy();
  await expect
    .poll(async () => {
      const socket = await openSocket(node.port);
      socket.on('error', () => {});
      socket.write(HEALTH);
      return Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)]);
    })
    .toBe(true);
  expect(await node.metric('rejected_total{reason="max_connections"}')).toBeGreaterThanOrEqual(1);
});

it('a connection that says nothing in the middle of a message is ended', async () => {
  const node = await startNode({ limits: { idleMs: 200, headersMs: 3_600_000, requestMs: 3_600_000 } });
  const socket = await openSocket(node.port);
  socket.on('error', () => {});
  socket.write('GET /healthz HTTP/1.1\r\nHost: te');
  await once(socket, 'close');
  expect(await node.metric('rejected_total{reason="idle_timeout"}')).toBe(1);
});
