import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import type { Driver } from '../../src/providers/driver.ts';
import { adapterFromDriver } from '../../src/providers/from-driver.ts';
import { createHttpAdapter } from '../../src/providers/http/driver.ts';
import { MemoryDriver } from '../../src/providers/memory/driver.ts';
import { noise } from '../helpers/vault.ts';
import { blake3 } from '../providers/conform.ts';
import { deps } from '../providers/deps.ts';
import { serveNode } from './node.ts';

const KIB = 1024;
/** What may be on its way unread: socket buffers of both ends. */
const SLACK = 16 * 1024 * KIB;

/** A server whose answers to a GET never end. */
async function endlessServer(): Promise<{ readonly port: number; sent(): number }> {
  let sent = 0;
  const server = createServer((request, response) => {
    const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '');
    if (range === null) response.writeHead(200);
    else response.writeHead(206, { 'content-range': `bytes ${range[1]}-${range[2]}/*` });
    const pour = (): void => {
      while (!response.destroyed) {
        sent += 64 * KIB;
        if (!response.write(Buffer.alloc(64 * KIB))) return void response.once('drain', pour);
      }
    };
    pour();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sent: () => sent };
}

it('a body that never ends is cut off at what was asked for', async () => {
  const { port, sent } = await endlessServer();
  const adapter = createHttpAdapter({
    id: 'endless',
    url: `http://127.0.0.1:${port}`,
    credentials: async () => ({}),
    ...deps,
  });
  const address = addressOf(blake3.hash(noise(1000)));
  const typed = { name: 'HoldfastError', provider: 'endless' };
  await expect(adapter.fetch(address, { maxBytes: 256 * KIB })).rejects.toMatchObject(typed);
  const afterFetch = sent();
  const into = new Uint8Array(64 * KIB);
  // What an answer has beyond the range is left unread; whether the range is right, its hash tells.
  const outcome = await adapter.fetchRange(address, 0, [into]).catch((error: unknown) => error);
  if (outcome !== undefined) expect(outcome).toMatchObject(typed);
  await adapter.close();
  expect(afterFetch).toBeGreaterThan(256 * KIB);
  expect(afterFetch).toBeLessThan(SLACK);
  expect(sent()).toBeLessThan(2 * SLACK);
  console.log(`endless bodies: ${afterFetch / KIB} KiB left the server for a fetch of at most 256 KiB`);
});

it('a page of slots, or of blobs, reads no more of them than it shows', async () => {
  let seen = 0;
  const names = async function* (after: string, width: number) {
    for (let n = after === '' ? 0 : Number.parseInt(after.replace('b3:', ''), 16) + 1; ; n++) {
      seen++;
      yield n.toString(16).padStart(width, '0');
    }
  };
  const driver = Object.assign(new MemoryDriver({ id: 'behind' }, deps), {
    listSlots: (after: string) => names(after, 16),
    async *list(_prefix: string, after: string) {
      for await (const name of names(after, 64)) yield { address: `b3:${name}` as BlobAddress };
    },
  } satisfies Partial<Driver>);
  const node = await serveNode(adapterFromDriver(driver, { blake3 }));
  onTestFinished(() => node.close());
  const ask = async (path: string) => (await fetch(`http://127.0.0.1:${node.port}${path}`)).json();
  const slot = '0'.repeat(15);
  expect(await ask('/slots?limit=1')).toEqual({ names: [`${slot}0`], next: `${slot}0` });
  expect(await ask(`/slots?limit=2&after=${slot}4`)).toEqual({
    names: [`${slot}5`, `${slot}6`],
    next: `${slot}6`,
  });
  expect(await ask('/o?limit=1')).toMatchObject({ next: `b3:${'0'.repeat(64)}` });
  expect(seen).toBeLessThan(12);
});
