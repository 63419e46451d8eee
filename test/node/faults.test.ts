import { expect, it, onTestFinished } from 'vitest';
import type { ServiceLog } from '../../src/http/log.ts';
import { addressFor, bearer, openSocket, requestText, sendRaw, startNode } from './harness.ts';

const A = addressFor(Buffer.from('hello'));
const AUTH = { Authorization: bearer('admin') };

/** Whatever nobody caught, which would end the program. */
function uncaught(): unknown[] {
  const seen: unknown[] = [];
  const note = (error: unknown): void => void seen.push(error);
  process.on('uncaughtException', note).on('unhandledRejection', note);
  onTestFinished(() => void process.off('uncaughtException', note).off('unhandledRejection', note));
  return seen;
}

it('an adapter that throws where it should reject costs the one request', async () => {
  const seen = uncaught();
  const node = await startNode({ peekStat: undefined });
  const broken = (): never => {
    throw new Error('thrown, not rejected');
  };
  Object.assign(node.adapter, {
    stat: broken,
    store: broken,
    storeStream: broken,
    list: broken,
    delete: broken,
  });
  for (const [method, target, body] of [
    ['GET', `/o/${A}`],
    ['GET', '/o'],
    ['POST', '/o', 'short'],
    ['POST', '/o', 'l'.repeat(3_000_000)],
    ['PUT', `/o/${A}`, 'hello'],
    ['DELETE', `/o/${A}`],
  ] as const) {
    expect((await sendRaw(node.port, requestText(method, target, AUTH, body))).status, target).toBe(500);
  }
  expect(await node.metric('inflight')).toBe(0);
  expect(seen).toEqual([]);
});

it('a log that fails costs nothing but its lines', async () => {
  const seen = uncaught();
  const fail = (): never => {
    throw new Error('the log is broken');
  };
  const log: ServiceLog = { access: fail, event: fail };
  const node = await startNode({ peekStat: undefined });
  const logging = await startNode({ log: { access: fail, event: () => {} }, adapter: node.adapter });
  expect((await sendRaw(logging.port, requestText('GET', `/o/${A}`))).status).toBe(404);
  const reset = await openSocket(logging.port);
  reset.write(requestText('PUT', `/o/${A}`, { ...AUTH, 'Content-Length': '5' }, 'he'));
  await expect.poll(() => logging.metric('inflight')).toBe(1);
  reset.resetAndDestroy();
  await expect.poll(() => logging.metric('inflight')).toBe(0);
  await expect(startNode({ log })).rejects.toThrow('the log is broken');
  expect(seen).toEqual([]);
});
