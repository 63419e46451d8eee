import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { gatherBody } from '../../src/http/body.ts';
import type { Exchange } from '../../src/http/exchange.ts';
import { HttpProblem } from '../../src/http/problem.ts';
import { createSlowWatch } from '../../src/http/slow-peers.ts';
import { FakeClock } from '../helpers/fake-clock.ts';

async function gathered(stated: number, pieces: readonly number[]): Promise<number | undefined> {
  const clock = new FakeClock();
  const request = Object.assign(Readable.from(pieces.map((size) => Buffer.alloc(size, 7))), {
    complete: true,
  });
  const slow = createSlowWatch(clock, () => {});
  const exchange = { request, slow, bytesIn: 0, invite() {} } as unknown as Exchange;
  const into = new Uint8Array(stated);
  try {
    await gatherBody(exchange, into, { clock, allowance: { graceMs: 1000, minBytesPerSecond: 1 } });
    expect(into.every((byte) => byte === 7)).toBe(true);
    return undefined;
  } catch (error) {
    expect(request.listenerCount('data')).toBe(0);
    return error instanceof HttpProblem ? error.status : -1;
  }
}

it('a body of another length than was stated is refused, whatever the parser let through', async () => {
  expect(await gathered(5, [5])).toBeUndefined();
  expect(await gathered(5, [2, 3])).toBeUndefined();
  expect(await gathered(0, [5])).toBe(400);
  expect(await gathered(4, [5])).toBe(400);
  expect(await gathered(4, [2, 3])).toBe(400);
  expect(await gathered(6, [2, 3])).toBe(400);
});
