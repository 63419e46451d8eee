import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { HoldfastError } from '../../src/core/errors.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createHttpAdapter } from '../../src/providers/http/driver.ts';
import { withLayers } from '../../src/providers/layers/index.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { noise } from '../helpers/vault.ts';
import { addressFor, deps, startNode, type TestNode } from '../node/harness.ts';

const MIB = 1024 * 1024;

interface Far {
  readonly adapter: BlobAdapter;
  readonly backend: TestNode;
  /** Made so far. */
  connections(): number;
}

/** A provider that is a node behind a way on which connections are counted. */
async function startFar(): Promise<Far> {
  const backend = await startNode();
  let connections = 0;
  const way = createServer((near) => {
    connections++;
    const far = connect(backend.port, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const)
      one.on('error', () => {}).on('close', () => other.destroy());
    near.pipe(far).pipe(near);
  });
  way.listen(0, '127.0.0.1');
  await once(way, 'listening');
  const { port } = way.address() as AddressInfo;
  const bare = createHttpAdapter({
    ...deps,
    id: 'far',
    url: `http://127.0.0.1:${port}`,
    credentials: async () => ({}),
  });
  const adapter = withLayers(bare, { ...deps, maxConcurrency: 64, onAttempt() {}, log() {} });
  onTestFinished(async () => {
    await adapter.close();
    way.close();
  });
  return { adapter, backend, connections: () => connections };
}

const askedOf = ({ backend }: Far): string[] => backend.access.splice(0).map(({ method }) => method);

describe('a node whose backend is far away', () => {
  it.each([
    ['kept in memory', 64 * MIB, 300_000],
    ['too long for that', 0, 3 * MIB],
    ['empty', 64 * MIB, 0],
  ])('reads a blob for the first time in one round trip: %s', async (_, hotBytes, size) => {
    const far = await startFar();
    const { adapter, backend } = far;
    const node = await startNode({ adapter, backends: [adapter], limits: { hotBytes } });
    const bytes = noise(size, 5);
    await backend.adapter.store(addressFor(bytes), [bytes]);
    const url = `${node.url}/o/${addressFor(bytes)}`;
    expect((await fetch(url, { method: 'HEAD' })).headers.get('content-length')).toBe(String(size));
    expect(askedOf(far)).toEqual(['GET']);
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes)).toBe(true);
    // It is known now, and whether it is still there is asked all the same.
    expect(askedOf(far)[0]).toBe('HEAD');
    // A request right behind an answer may find the connection not yet free.
    expect(far.connections()).toBeLessThanOrEqual(2);
  });

  it('asks once for what sixteen readers want at the same time, and once each for what they know', async () => {
    const far = await startFar();
    const { adapter, backend } = far;
    const node = await startNode({ adapter, backends: [adapter] });
    const bytes = noise(200_000, 6);
    await backend.adapter.store(addressFor(bytes), [bytes]);
    const read = async (): Promise<number> =>
      (await fetch(`${node.url}/o/${addressFor(bytes)}`)).arrayBuffer().then((all) => all.byteLength);
    const readers = Array.from({ length: 16 }, () => read());
    expect(new Set(await Promise.all(readers))).toEqual(new Set([200_000]));
    expect(askedOf(far).filter((method) => method === 'GET')).toEqual(['GET']);
    expect(await read()).toBe(200_000);
    expect(askedOf(far)).toEqual(['HEAD']);
  });

  it('finds out that a blob is not there, is wrong or has another length than is said', async () => {
    const bytes = noise(100_000, 7);
    const inner = createMemoryAdapter({ id: 'lying', ...deps });
    const lying = (size: number, sent: Uint8Array): BlobAdapter => ({
      ...inner,
      capabilities: { ...inner.capabilities, statesSize: true },
      async *fetchStream(_, options) {
        options?.onSize?.(size);
        yield sent;
      },
    });
    const statusOf = async (adapter: BlobAdapter): Promise<number> => {
      const node = await startNode({ adapter, backends: [adapter] });
      return (await fetch(`${node.url}/o/${addressFor(bytes)}`)).status;
    };
    expect(await statusOf((await startFar()).adapter)).toBe(404);
    expect(await statusOf(lying(bytes.length, noise(100_000, 8)))).toBe(500);
    expect(await statusOf(lying(bytes.length + 1, bytes))).toBe(500);
    expect(await statusOf(lying(bytes.length - 1, bytes))).toBeGreaterThanOrEqual(400);
    expect(await statusOf(lying(bytes.length, bytes))).toBe(200);
  });

  it('reads again what broke off in the middle', async () => {
    const inner = createMemoryAdapter({ id: 'breaking', ...deps });
    const bytes = noise(300_000, 8);
    await inner.store(addressFor(bytes), [bytes]);
    const adapter: BlobAdapter = {
      ...inner,
      capabilities: { ...inner.capabilities, statesSize: true },
      async *fetchStream(_, options) {
        options?.onSize?.(bytes.length);
        yield bytes.subarray(0, 100_000);
        throw new HoldfastError('Unavailable', 'the connection broke');
      },
    };
    const node = await startNode({ adapter, backends: [adapter] });
    const answer = await fetch(`${node.url}/o/${addressFor(bytes)}`);
    expect([answer.status, Buffer.from(await answer.arrayBuffer()).equals(bytes)]).toEqual([200, true]);
  });
});
