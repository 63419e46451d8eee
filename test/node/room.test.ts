import { describe, expect, it } from 'vitest';
import { createAdmission } from '../../src/http/admission.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { silentMetrics } from '../../src/telemetry/index.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import {
  asBody,
  bearer,
  deps,
  openSocket,
  parseAnswer,
  requestText,
  startNode,
  type TestNode,
} from './harness.ts';

const AUTH = { Authorization: bearer('writer') };
const KIB = 1024;
const MIB = 1024 * KIB;

const post = async (node: TestNode, body: NonNullable<RequestInit['body']>): Promise<number> =>
  (await fetch(`${node.url}/o`, { method: 'POST', headers: AUTH, body, duplex: 'half' } as RequestInit))
    .status;
const bytes = (size: number, fill: number) => asBody(new Uint8Array(size).fill(fill));

/** The same without a stated length. */
function chunked(size: number, fill: number): ReadableStream<Uint8Array> {
  let left = size;
  return new ReadableStream({
    pull(to) {
      if (left <= 0) return to.close();
      to.enqueue(new Uint8Array(Math.min(left, 10 * KIB)).fill(fill));
      left -= 10 * KIB;
    },
  });
}

describe('free space that is to stay free', () => {
  const start = (capacityBytes: number, minFreeBytes: number) =>
    startNode({
      adapter: createMemoryAdapter({ id: 'm', capacityBytes, ...deps }),
      amnesia: true,
      limits: { minFreeBytes },
    });

  it('is kept by the write itself, whether or not anyone asked how it stands', async () => {
    const node = await start(100 * KIB, 200 * KIB);
    expect(await post(node, bytes(1, 1))).toBe(507);
  });

  it('is kept from one look to the next, by bodies of stated length and by others', async () => {
    const node = await start(400 * KIB, 100 * KIB);
    const sent = await Promise.all([1, 2, 3, 4, 5, 6].map((i) => post(node, bytes(90 * KIB, i))));
    expect(sent.filter((status) => status === 201)).toHaveLength(3);
    expect(sent.filter((status) => status === 507)).toHaveLength(3);
    expect(await post(node, chunked(60 * KIB, 9))).toBe(507);
    expect(await post(node, chunked(10 * KIB, 9))).toBe(201);
  });

  it('is kept while a body comes in and others fill the disk', async () => {
    const disk = { freeBytes: 64 * MIB };
    const memory = createMemoryAdapter({ id: 'm', ...deps });
    const probe: BlobAdapter['probe'] = async (options) => ({ ...(await memory.probe(options)), ...disk });
    const node = await startNode({
      adapter: { ...memory, probe },
      amnesia: true,
      limits: { minFreeBytes: 16 * MIB },
    });
    const socket = await openSocket(node.port);
    const [all, piece] = [48 * MIB, Buffer.alloc(256 * KIB, 7)];
    socket.write(requestText('POST', '/o', { ...AUTH, 'Content-Length': String(all) }));
    const answers: Buffer[] = [];
    socket.on('data', (answer: Buffer) => answers.push(answer)).on('error', () => {});
    for (let sent = 0; sent < all && answers.length === 0; sent += piece.length) {
      if (sent === 2 * MIB) disk.freeBytes = 20 * MIB;
      socket.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await expect.poll(() => answers.length).toBeGreaterThan(0);
    expect(parseAnswer(Buffer.concat(answers)).status).toBe(507);
    socket.destroy();
    expect(await (await fetch(`${node.url}/o`)).json()).toEqual({ addresses: [] });
  });
});

describe('readiness', () => {
  it('says that a write would be turned away before one is', async () => {
    const clock = new FakeClock();
    const metrics = silentMetrics.services;
    const limits = { maxInflight: 100, maxRps: 4, maxClientRps: 3 };
    const admission = createAdmission(limits, { clock, metrics });
    expect(admission.takesWrites('a')).toBe(true);
    for (let i = 0; i < 3; i++) admission.enter('read', 'a')();
    // Its own rate shows to the client alone; and of the rate of all a part is kept for reads.
    expect([admission.takesWrites('a'), admission.takesWrites('b')]).toEqual([false, false]);
    await clock.advance(1000);
    expect([admission.takesWrites('a'), admission.takesWrites('b')]).toEqual([true, true]);
    for (let i = 0; i < 3; i++) admission.enter('read', 'a')();
    await clock.advance(260);
    expect([admission.takesWrites('a'), admission.takesWrites('b')]).toEqual([false, true]);
  });

  it('is not taken from all by what one client brings upon itself', async () => {
    const clock = new FakeClock();
    const limits = { maxInflight: 100, maxRps: undefined, maxClientRps: 2 };
    const admission = createAdmission(limits, { clock, metrics: silentMetrics.services });
    for (let i = 0; i < 2; i++) admission.enter('write', 'a')();
    expect(() => admission.enter('write', 'a')).toThrow();
    expect(admission.takesWrites('b')).toBe(true);
  });

  it('shows it at the running node', async () => {
    const node = await startNode({ limits: { maxRps: 3 } });
    const ready = async (): Promise<unknown> => (await fetch(`${node.url}/readyz`)).json();
    expect(await ready()).toMatchObject({ writes: true });
    for (let i = 0; i < 3; i++) await fetch(`${node.url}/o?limit=1&prefix=00`);
    expect(await ready()).toMatchObject({ reads: true, writes: false, reasons: ['overloaded'] });
  });
});
