import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { OpenReads } from '../../src/gateway/open-reads.ts';
import { Turns } from '../../src/gateway/turns.ts';
import { createTelemetry } from '../../src/telemetry/index.ts';
import { ackOf, grantOf, newClock, newWorld, requestOf } from '../receipts/world.ts';

test('a few begin in a turn of the loop, in their order, and others have their turns between', async () => {
  const turns = new Turns(3, 6);
  const log: (number | string)[] = [];
  const taken = Array.from({ length: 9 }, async (_, i) => {
    log.push((await turns.take()) ? i : 'never');
  });
  for (const other of ['a', 'b', 'c']) {
    await nextTurn();
    log.push(other);
  }
  await Promise.all(taken);
  expect(log).toEqual([0, 1, 2, 3, 4, 5, 'a', 6, 7, 8, 'b', 'c']);
});

test('more than may wait are told at once, and later there is room again', async () => {
  const turns = new Turns(1, 2);
  const taken = await Promise.all(Array.from({ length: 5 }, () => turns.take()));
  expect(taken).toEqual([true, true, true, false, false]);
  expect(await turns.take()).toBe(true);
});

test('hundreds of acknowledgements at once do not keep a read waiting', async () => {
  const { desk } = await newWorld();
  const acks = Array.from({ length: 256 }, () => ackOf(grantOf(desk), 10));
  let looked = 0;
  const counting = {
    ...{ issue: desk.issue.bind(desk), unsigned: desk.unsigned.bind(desk), failure: undefined },
    accept: async () => void looked++,
  };
  const reads = new OpenReads({
    ...{ desk: counting, clock: newClock(), metrics: (await createTelemetry()).receipts },
    ...{ log: { event() {} }, ackMs: 1_000, maxOpen: 10 },
  });
  const answers = Promise.all(acks.map((ack) => reads.accept(ack)));
  const perTurn: number[] = [];
  while (looked < acks.length) {
    const before = looked;
    await nextTurn();
    perTurn.push(looked - before);
  }
  // Those of the turn in which they come, and of the next.
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(2 * 16);
  expect(await answers).toEqual(acks.map(() => undefined));
});

test('hundreds of reads that nobody acknowledged are written down a few in a turn of the loop', async () => {
  const { desk } = await newWorld();
  const clock = newClock();
  let written = 0;
  const counting = {
    ...{ issue: desk.issue.bind(desk), accept: desk.accept.bind(desk), failure: undefined },
    unsigned: async () => void written++,
  };
  const reads = new OpenReads({
    ...{ desk: counting, clock, metrics: (await createTelemetry()).receipts },
    ...{ log: { event() {} }, ackMs: 10, maxOpen: 300 },
  });
  for (let i = 0; i < 256; i++) reads.begin(requestOf(), () => 10).end();
  const advanced = clock.advance(1_000);
  const perTurn: number[] = [];
  while (written < 256) {
    const before = written;
    await nextTurn();
    perTurn.push(written - before);
  }
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(2 * 16);
  await advanced;
  await reads.close();
  expect(written).toBe(256);
});
