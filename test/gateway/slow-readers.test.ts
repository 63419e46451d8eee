import { expect, it } from 'vitest';
import type { MemoryGate } from '../../src/gateway/memory-gate.ts';
import { createMemoryGate } from '../../src/gateway/memory-gate.ts';
import { parkableRead } from '../../src/gateway/object-read.ts';
import { createSlowReaders } from '../../src/gateway/slow-readers.ts';
import type { Exchange } from '../../src/http/exchange.ts';
import { createSlowWatch } from '../../src/http/slow-peers.ts';
import { FakeClock } from '../helpers/fake-clock.ts';

const never = new AbortController().signal;

function setUp() {
  const clock = new FakeClock();
  const slowReaders = createSlowReaders(clock);
  const slow = createSlowWatch(clock, () => {});
  /** A client that takes one piece and does not come for the next. */
  const client = async (pieceBytes: number) => {
    const ends: (() => void)[] = [];
    const state = { left: 0, end: () => ends.forEach((work) => void work()) };
    const exchange = {
      slow,
      atEnd: (work: () => void) => void ends.push(work),
      leave: () => void state.left++,
    } as unknown as Exchange;
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (;;) yield new Uint8Array(pieceBytes);
    }
    await slowReaders.watch(exchange, pieces())[Symbol.asyncIterator]().next();
    return state;
  };
  return { clock, client };
}

it('1024 clients that do not read give up their places, the next one keeps its until one of them has gone', async () => {
  const { clock, client } = setUp();
  const clients = [];
  for (let i = 0; i < 1025; i++) clients.push(await client(1));
  await clock.advance(400);
  expect(clients.some(({ left }) => left > 0)).toBe(false);
  await clock.advance(2000);
  expect(clients.map(({ left }) => left)).toEqual([...Array(1024).fill(1), 0]);
  clients[0]!.end();
  const [first, second] = [await client(1), await client(1)];
  await clock.advance(2000);
  expect([first.left, second.left]).toEqual([1, 0]);
});

it('a client that holds more than 64 KiB keeps its place, however slow', async () => {
  const { clock, client } = setUp();
  const [small, large] = [await client(64 * 1024), await client(64 * 1024 + 1)];
  await clock.advance(10_000);
  expect([small.left, large.left]).toEqual([1, 0]);
});

it('a read waits as long for memory as it is told to, and not longer', async () => {
  const clock = new FakeClock();
  const gate = createMemoryGate({ clock, capacityBytes: 10, maxWaiting: 8, parkAfterMs: 250 });
  await gate.enter(10, 1, never);
  let outcome = 'waiting';
  gate.enter(1, 10_000, never).catch((error: { code: string }) => {
    outcome = error.code;
  });
  await clock.advance(9_999);
  expect(outcome).toBe('waiting');
  await clock.advance(1);
  expect(outcome).toBe('gateway_busy');
});

it('before its first byte a read waits ten seconds for memory, later thirty', async () => {
  const waits: number[] = [];
  let park = (): void => {};
  const gate: MemoryGate = {
    waiting: 0,
    async enter(_bytes, maxWaitMs) {
      waits.push(maxWaitMs);
      return {
        idle: (parks) => {
          park = parks;
        },
        busy() {},
        release() {},
      };
    },
  };
  const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251);
  async function* open({ start, end }: { start: number; end: number }): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(start, end);
  }
  const read = parkableRead({ start: 0, end: 200_000 }, { gate, memoryFor: () => 1, open, signal: never });
  const got: Uint8Array[] = [];
  for await (const piece of read) {
    if (got.push(piece) === 1) park();
  }
  expect(Buffer.compare(Buffer.concat(got), bytes)).toBe(0);
  expect(waits).toEqual([10_000, 30_000]);
});
