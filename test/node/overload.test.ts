import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createAdmission } from '../../src/http/admission.ts';
import { peerOf } from '../../src/http/exchange.ts';
import { HttpProblem } from '../../src/http/problem.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { silentMetrics } from '../../src/telemetry/index.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import {
  addressFor,
  bearer,
  deps,
  openSocket,
  requestText,
  sendRaw,
  startNode,
  type TestNode,
} from './harness.ts';

const bytes = Buffer.from('a blob');
const A = addressFor(bytes);
const AUTH = { Authorization: bearer('writer') };

function outcome(work: () => unknown): { status: number; retryAfter?: number } {
  try {
    work();
    return { status: 200 };
  } catch (error) {
    if (!(error instanceof HttpProblem)) throw error;
    return { status: error.status, retryAfter: Number(error.headers['retry-after']) };
  }
}

describe('admission', () => {
  const unlimited = { maxInflight: 100, maxRps: undefined, maxClientRps: undefined };
  const metrics = silentMetrics.services;

  it('keeps a quarter of what may be in flight for reads', () => {
    const admission = createAdmission({ ...unlimited, maxInflight: 8 }, { clock: new FakeClock(), metrics });
    const leave = Array.from({ length: 6 }, () => admission.enter('write', 'c'));
    expect(outcome(() => admission.enter('write', 'c'))).toEqual({ status: 503, retryAfter: 1 });
    leave.push(admission.enter('read', 'c'), admission.enter('read', 'c'));
    expect(outcome(() => admission.enter('read', 'c'))).toEqual({ status: 503, retryAfter: 1 });
    expect(outcome(() => admission.enter('control', 'c'))).toEqual({ status: 200 });
    for (const done of leave) done();
    expect(admission.inflight).toBe(0);
    expect(outcome(() => admission.enter('write', 'c'))).toEqual({ status: 200 });
  });

  it('takes so many requests a second, and says when to come back', () => {
    const clock = new FakeClock();
    const admission = createAdmission({ ...unlimited, maxRps: 4 }, { clock, metrics });
    const read = () => outcome(() => admission.enter('read', 'c')()).status;
    const write = () => outcome(() => admission.enter('write', 'c')()).status;
    expect([write(), write(), write(), write(), read(), read()]).toEqual([200, 200, 200, 429, 200, 429]);
    expect(outcome(() => admission.enter('read', 'c'))).toEqual({ status: 429, retryAfter: 1 });
    clock.move(250);
    expect([read(), read()]).toEqual([200, 429]);
    clock.move(3_600_000);
    expect(Array.from({ length: 6 }, read)).toEqual([200, 200, 200, 200, 429, 429]);
  });

  it('counts each client address by itself', () => {
    const admission = createAdmission({ ...unlimited, maxClientRps: 2 }, { clock: new FakeClock(), metrics });
    const read = (client: string) => outcome(() => admission.enter('read', client)()).status;
    expect([read('a'), read('a'), read('a'), read('b')]).toEqual([200, 200, 429, 200]);
    // A flood of addresses pushes out the oldest, and nothing grows without bound.
    for (let i = 0; i < 20_000; i++) read(`c${i}`);
    expect(read('a')).toBe(200);
  });

  it('shows for a while that writes were turned away', () => {
    const clock = new FakeClock();
    const admission = createAdmission({ ...unlimited, maxInflight: 2 }, { clock, metrics });
    const leave = admission.enter('write', 'c');
    outcome(() => admission.enter('write', 'c'));
    leave();
    expect(admission.takesWrites('c')).toBe(false);
    clock.move(10_000);
    expect(admission.takesWrites('c')).toBe(true);
  });

  it('takes a /64 of IPv6 for one client', () => {
    const clientOf = (remoteAddress: string): string => peerOf({ remoteAddress } as Socket, 'tcp').client;
    expect(clientOf('2001:db8:1:2:3:4:5:6')).toBe(clientOf('2001:db8:1:2::9'));
    expect(clientOf('2001:db8:1:2::9')).not.toBe(clientOf('2001:db8:1:3::9'));
    expect(clientOf('::1')).toBe(clientOf('::2'));
    expect(clientOf('::ffff:10.0.0.1')).toBe('10.0.0.1');
  });
});

/** Opens a PUT whose body never ends. */
async function stuckPut(node: TestNode): Promise<() => void> {
  const socket = await openSocket(node.port);
  socket.write(requestText('PUT', `/o/${A}`, { ...AUTH, 'Content-Length': '6' }));
  return () => socket.destroy();
}

const readyz = (node: TestNode, query = ''): Promise<Response> => fetch(`${node.url}/readyz${query}`);

describe('a node that is asked for too much', () => {
  it('turns writes away first, says so, goes on reading, and recovers', async () => {
    const events: string[] = [];
    const log = { event: (_: string, event: string) => void events.push(event) };
    const node = await startNode({ limits: { maxInflight: 4 }, log });
    await node.adapter.store(A, [bytes]);
    const release = await Promise.all([stuckPut(node), stuckPut(node), stuckPut(node)]);
    await expect.poll(() => node.metric('inflight')).toBe(3);
    const refused = await fetch(`${node.url}/o`, { method: 'POST', headers: AUTH, body: 'x' });
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toMatchObject({ error: 'Unavailable' });
    // Counted, not told of one by one: there may be thousands a second.
    expect(events).not.toContain('request_failed');
    expect((await readyz(node)).status).toBe(503);
    expect(await (await readyz(node)).json()).toMatchObject({
      reads: true,
      writes: false,
      reasons: ['overloaded'],
      shut: ['writes'],
    });
    expect((await readyz(node, '?plane=read')).status).toBe(200);
    expect((await fetch(`${node.url}/o/${A}`)).status).toBe(200);
    for (const done of release) done();
    await expect.poll(async () => (await readyz(node)).status).toBe(200);
    expect((await fetch(`${node.url}/o`, { method: 'POST', headers: AUTH, body: 'x' })).status).toBe(201);
    expect(await node.metric('inflight')).toBe(0);
  });

  it('at five times its rate answers with nothing but success and 429, and always with Retry-After', async () => {
    const node = await startNode({ limits: { maxRps: 40, maxInflight: 16 } });
    await node.adapter.store(A, [bytes]);
    const counts: Record<number, number> = {};
    const answers = await Promise.all(Array.from({ length: 200 }, () => fetch(`${node.url}/o/${A}`)));
    for (const answer of answers) {
      counts[answer.status] = (counts[answer.status] ?? 0) + 1;
      if (answer.status === 200) expect(await answer.text()).toBe('a blob');
      else expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    }
    expect(Object.keys(counts).every((status) => ['200', '429', '503'].includes(status))).toBe(true);
    expect(counts[200]).toBeGreaterThanOrEqual(40 - 24);
    expect((counts[429] ?? 0) + (counts[503] ?? 0)).toBeGreaterThan(0);
    expect((await fetch(`${node.url}/healthz`)).status).toBe(200);
  });

  it('is not ready without its folder, or without room', async () => {
    const full = await startNode({ limits: { minFreeBytes: Number.MAX_SAFE_INTEGER } });
    expect(await (await readyz(full)).json()).toMatchObject({
      reads: true,
      writes: false,
      reasons: ['storage_full'],
      shut: ['room'],
    });
    const put = await fetch(`${full.url}/o`, { method: 'POST', headers: AUTH, body: 'x' });
    expect(put.status).toBe(507);
    const gone = await startNode();
    await gone.adapter.close();
    expect(await (await readyz(gone)).json()).toMatchObject({
      reads: false,
      writes: false,
      reasons: ['storage_unreachable'],
      shut: ['engine'],
    });
  });

  it('says when a memory node is full', async () => {
    const node = await startNode({
      adapter: createMemoryAdapter({ id: 'm', capacityBytes: 10, ...deps }),
      amnesia: true,
      limits: { minFreeBytes: 0 },
    });
    const put = (body: string) => fetch(`${node.url}/o`, { method: 'POST', headers: AUTH, body });
    expect((await put('12345678')).status).toBe(201);
    const refused = await put('abc');
    expect(refused.status).toBe(507);
    expect(await refused.json()).toMatchObject({ error: 'QuotaExceeded' });
  });
});

describe('a node that is told to stop', () => {
  it('finishes what it has begun, takes nothing new, and ends idle connections', async () => {
    const node = await startNode();
    const idle = await openSocket(node.port);
    idle.write(requestText('GET', '/healthz'));
    await once(idle, 'data');
    const busy = await openSocket(node.port);
    busy.write(
      requestText('PUT', `/o/${A}`, { ...AUTH, 'Content-Length': '6' }, bytes.toString('latin1').slice(0, 3)),
    );
    await expect.poll(() => node.metric('inflight')).toBe(1);
    const drained = node.node.drain();
    await once(idle, 'close');
    await expect(fetch(`${node.url}/healthz`)).rejects.toThrow();
    busy.write(bytes.subarray(3));
    const [answer] = (await once(busy, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 201 /);
    await drained;
    expect(await node.adapter.exists(A)).toBe(true);
  });

  it('cuts what does not end in time', async () => {
    const node = await startNode({ limits: { drainMs: 100 } });
    const busy = await openSocket(node.port);
    busy.write(requestText('PUT', `/o/${A}`, { ...AUTH, 'Content-Length': '6' }, 'a b'));
    await expect.poll(() => node.metric('inflight')).toBe(1);
    await Promise.all([node.node.drain(), once(busy, 'close')]);
    expect(await node.adapter.exists(A)).toBe(false);
  });

  it('closes twice without harm, and does not listen again', async () => {
    const node = await startNode();
    await node.node.close();
    await node.node.close();
    await node.node.drain();
    await expect(node.node.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 })).rejects.toMatchObject({
      kind: 'Unavailable',
    });
  });
});

describe('amnesia', () => {
  it('is refused to what keeps anything', async () => {
    await expect(startNode({ amnesia: true })).rejects.toMatchObject({
      kind: 'ConfigInvalid',
      code: 'amnesia_refused',
    });
  });
});

it('an answer that cannot be given is still one', async () => {
  const node = await startNode();
  await node.adapter.close();
  const answer = await sendRaw(node.port, requestText('GET', `/o/${A}`));
  expect(answer.status).toBe(503);
  expect(answer.headers['retry-after']).toBe('1');
});
