import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import { type AdapterEntry, openAdapter } from '../../../src/providers/registry.ts';
import { startUnreachable } from '../../helpers/unreachable.ts';
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
const KINDS = ['http', 'webdav', 'ipfs', 's3', 'sftp'] as const;

function open(kind: (typeof KINDS)[number], at: number): Promise<BlobAdapter> {
  const url = `http://127.0.0.1:${at}`;
  const login = { username: 'u', root: '/r', hostKeys: ['SHA256:x'], credentials };
  const entries: Record<(typeof KINDS)[number], AdapterEntry> = {
    http: { adapter: 'http', url },
    webdav: { adapter: 'webdav', url },
    ipfs: { adapter: 'ipfs', api: url },
    s3: { adapter: 's3', endpoint: url, region: 'r', bucket: 'b', pathStyle: true, credentials },
    sftp: { adapter: 'sftp', host: '127.0.0.1', port: at, ...login },
  };
  return openAdapter({ id: kind, ...entries[kind] }, { ...deps, env });
}

const outcomeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'answered',
    () => 'failed',
  );

describe('an adapter whose server never answers', () => {
  for (const kind of KINDS) {
    it(`leaves no connection behind when it is closed: ${kind}`, async () => {
      const adapter = await open(kind, port);
      const probing = outcomeOf(adapter.probe());
      await expect.poll(() => sockets.size, { timeout: 5_000 }).toBe(1);
      await adapter.close();
      await expect.poll(() => sockets.size, { timeout: 5_000 }).toBe(0);
      expect(await probing).toBe('failed');
    });
  }
});

describe('an adapter whose server does not even take connections', () => {
  const connecting = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === 'ConnectWrap').length;

  it('leaves no attempt at one behind when it is closed', async () => {
    const nowhere = await startUnreachable();
    if (nowhere === undefined)
      return console.log('SKIPPED: this system takes connections that nobody accepts');
    const before = connecting();
    for (const kind of KINDS) {
      const adapter = await open(kind, nowhere.port);
      const stop = new AbortController();
      const probing = outcomeOf(adapter.probe({ signal: stop.signal }));
      await expect.poll(connecting, { timeout: 5_000 }).toBe(before + 1);
      stop.abort();
      await adapter.close();
      expect(await probing, kind).toBe('failed');
      await expect.poll(connecting, { timeout: 5_000 }).toBe(before);
    }
    nowhere.close();
  });
});
