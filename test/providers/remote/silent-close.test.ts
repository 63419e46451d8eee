import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AdapterEntry, createAdapter } from '../../../src/providers/factory.ts';
import { deps } from '../deps.ts';

/** Takes connections and says nothing, not even that it ends them, as a stopped process does. */
const sockets = new Set<Socket>();
const silent = createServer({ allowHalfOpen: true }, (socket) => {
  sockets.add(socket);
  socket.on('error', () => {});
  // Whether the other side is gone or only says no more shows when something is sent.
  const knocking = setInterval(() => socket.readableEnded && socket.write('\n'), 20);
  socket.on('close', () => {
    clearInterval(knocking);
    sockets.delete(socket);
  });
  socket.resume();
});
let port = 0;

beforeAll(async () => {
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  port = (silent.address() as { port: number }).port;
});
afterAll(() => void silent.close());

const credentials = { env: { access_key_id: 'A', secret_access_key: 'B', password: 'C' } };
const env = { A: 'a', B: 'b', C: 'c' };
const entries = (): AdapterEntry[] => {
  const url = `http://127.0.0.1:${port}`;
  return [
    { adapter: 'http', url },
    { adapter: 'webdav', url },
    { adapter: 'ipfs', api: url },
    { adapter: 's3', endpoint: url, region: 'r', bucket: 'b', pathStyle: true, credentials },
    {
      adapter: 'sftp',
      host: '127.0.0.1',
      port,
      username: 'u',
      root: '/r',
      hostKeys: ['SHA256:x'],
      credentials,
    },
  ];
};

describe('an adapter whose server never answers', () => {
  for (const kind of ['http', 'webdav', 'ipfs', 's3', 'sftp']) {
    it(`leaves no connection behind when it is closed: ${kind}`, async () => {
      const entry = entries().find(({ adapter }) => adapter === kind)!;
      const adapter = await createAdapter({ id: kind, ...entry }, { ...deps, env, onAttempt() {}, log() {} });
      const probing = adapter.probe().then(
        () => 'answered',
        () => 'failed',
      );
      await expect.poll(() => sockets.size, { timeout: 5_000 }).toBe(1);
      await adapter.close();
      await expect.poll(() => sockets.size, { timeout: 5_000 }).toBe(0);
      expect(await probing).toBe('failed');
    });
  }
});
