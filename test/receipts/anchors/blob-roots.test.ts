import { expect, test } from 'vitest';
import { addressOf } from '../../../src/core/address.ts';
import { HoldfastError } from '../../../src/core/errors.ts';
import { createMemoryEngine, type Engine } from '../../../src/engine/index.ts';
import type { Anchor, AnchorItem, AnchorState } from '../../../src/receipts/anchors/anchor.ts';
import {
  BlobScheduler,
  blobRootsStatus,
  type OlderRoots,
  rootDue,
} from '../../../src/receipts/blob-roots.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { CrashingFiles, openLog } from './world.ts';

const GIB = 2 ** 30;

const stored = (number: number, size = 1000 + number) => ({
  ...{ address: addressOf(new Uint8Array(32).fill(number & 255).fill(number >> 8, 0, 2)), size },
});

/** A chain of one's own: what is submitted is included once a block comes. */
class FakeChain implements Anchor {
  readonly name = 'evm';
  readonly confirmations = 3;
  readonly submitted: AnchorItem[][] = [];
  readonly blocks = new Map<string, number>();
  height = 0;
  fault: HoldfastError | undefined;
  readonly #waiting = new Set<string>();

  async submit(items: readonly AnchorItem[]): Promise<void> {
    if (this.fault !== undefined) throw this.fault;
    this.submitted.push([...items]);
    for (const { key } of items) this.#waiting.add(key);
  }

  async look(items: readonly AnchorItem[]): Promise<AnchorState[]> {
    return items.map(({ key }) => {
      const block = this.blocks.get(key);
      if (block !== undefined) return { state: 'included', depth: this.height - block + 1, where: '' };
      return { state: this.#waiting.has(key) ? 'pending' : 'absent' };
    });
  }

  mine(blocks = 1): void {
    this.height++;
    for (const key of this.#waiting) this.blocks.set(key, this.height);
    this.#waiting.clear();
    this.height += blocks - 1;
  }

  reorganise(): void {
    this.blocks.clear();
  }

  async close(): Promise<void> {}
}

async function world(older?: OlderRoots) {
  const engine = createMemoryEngine();
  const clock = new FakeClock();
  const chain = new FakeChain();
  const events: string[] = [];
  const log = (_: string, event: string): void => void events.push(event);
  const scheduler = new BlobScheduler({ engine, anchor: chain, clock, log, older });
  const end = new AbortController();
  const ended = scheduler.run(end.signal);
  const due = async (): Promise<string[]> => {
    const keys: string[] = [];
    for await (const [key] of engine.table('anchor_due').entries({ prefix: 'L' })) keys.push(key);
    return keys;
  };
  /** Rounds of several calls need more turns than the clock gives. */
  const pass = async (ms: number): Promise<void> => {
    await clock.advance(ms);
    for (let turn = 0; turn < 20; turn++) await clock.advance(0);
  };
  const put = (...objects: readonly ReturnType<typeof stored>[]) => engine.batch(objects.map(rootDue));
  const stop = async (): Promise<void> => {
    end.abort();
    await ended;
  };
  return { engine, clock, chain, events, due, put, stop, pass };
}

test('small objects are anchored every four seconds, large ones every sixteen, together', async () => {
  const { clock, chain, put, stop } = await world();
  await put(stored(1), stored(2, 4 * GIB), stored(3, 4 * GIB + 1), stored(4, 100 * GIB));
  await clock.advance(3_999);
  expect(chain.submitted).toEqual([]);
  await clock.advance(1);
  expect(chain.submitted.map((items) => items.map(({ total }) => total))).toEqual([[1001, 4 * GIB]]);
  await clock.advance(11_999);
  expect(chain.submitted).toHaveLength(1);
  await clock.advance(1);
  expect(chain.submitted[1]!.map(({ total }) => total)).toEqual([4 * GIB + 1, 100 * GIB]);
  expect(chain.submitted[1]![0]).toMatchObject({ kind: 'blob', key: stored(3).address });
  await stop();
});

test('a root stays due until it is as deep as counts, and over a reorganisation', async () => {
  const { clock, chain, put, due, stop } = await world();
  await put(stored(1));
  await clock.advance(4_000);
  chain.mine(2);
  await clock.advance(4_000);
  expect(await due()).toHaveLength(1);
  chain.reorganise();
  await clock.advance(4_000);
  expect(chain.submitted).toHaveLength(2);
  chain.mine(3);
  await clock.advance(4_000);
  expect(await due()).toEqual([]);
  expect(chain.submitted).toHaveLength(2);
  await stop();
});

test('more roots than one call takes all come in one round, though the first still wait for blocks', async () => {
  const { pass, chain, put, due, stop } = await world();
  await put(...Array.from({ length: 300 }, (_, i) => stored(i)));
  await pass(4_000);
  expect(chain.submitted.map((items) => items.length)).toEqual([64, 64, 64, 64, 44]);
  await pass(8_000);
  expect(chain.submitted).toHaveLength(5);
  chain.mine(3);
  await pass(4_000);
  expect(await due()).toEqual([]);
  await stop();
});

/** A vault with so many objects from before the anchor. */
function olderOf(count: number, anchor = 'evm 1') {
  const pages: string[] = [];
  const page: OlderRoots['page'] = async (after, limit) => {
    pages.push(after);
    const from = after === '' ? 0 : Number(after) + 1;
    const objects = Array.from({ length: Math.min(limit, count - from) }, (_, i) => stored(from + i));
    const next = from + objects.length;
    return { objects, last: next < count ? String(next - 1) : undefined };
  };
  return { anchor, page, pages };
}

test('objects from before the anchor are anchored, so many a round, and none twice', async () => {
  const older = olderOf(200);
  const { engine, pass, chain, due, put, stop } = await world(older);
  const status = () => blobRootsStatus(engine, 'evm 1', {});
  expect(await status()).toEqual({ due: 0, older: 'unknown' });
  await put(stored(3));
  await pass(4_000);
  expect(chain.submitted.flat()).toHaveLength(1);
  expect(await status()).toEqual({ due: 64, older: 'under way' });
  for (let round = 0; round < 6; round++) {
    await pass(4_000);
    chain.mine(3);
  }
  await pass(4_000);
  expect(await due()).toEqual([]);
  const keys = chain.submitted.flat().map(({ key }) => key);
  expect(new Set(keys).size).toBe(200);
  expect(keys).toHaveLength(200);
  expect(await status()).toEqual({ due: 0, older: 'done' });
  expect(older.pages).toHaveLength(4);
  await stop();
  // Nobody looks again, but in another anchor.
  const next = olderOf(200);
  const log = (): void => undefined;
  const clock = new FakeClock();
  await new BlobScheduler({ engine, anchor: chain, clock, log, older: next }).drain(1_000);
  expect(next.pages).toEqual([]);
  expect(await blobRootsStatus(engine, 'evm 2', {})).toEqual({ due: 0, older: 'unknown' });
  const other = olderOf(3, 'evm 2');
  const empty = new FakeChain();
  await new BlobScheduler({ engine, anchor: empty, clock, log, older: other }).drain(1_000);
  await new BlobScheduler({ engine, anchor: empty, clock, log, older: other }).drain(1_000);
  expect(empty.submitted.flat()).toHaveLength(3);
});

test('older objects wait while much is due, and two processes that look through them count none twice', async () => {
  const older = olderOf(100);
  const { engine, pass, chain, clock, put, stop } = await world(older);
  await put(...Array.from({ length: 600 }, (_, i) => stored(1_000 + i)));
  await pass(4_000);
  expect(older.pages).toEqual([]);
  chain.mine(3);
  const log = (): void => undefined;
  const other = new BlobScheduler({ engine, anchor: chain, clock, log, older });
  for (let round = 0; round < 5; round++) {
    await Promise.all([other.drain(60_000), pass(4_000)]);
    chain.mine(3);
  }
  await pass(4_000);
  const keys = chain.submitted.flat().map(({ key }) => key);
  expect(keys.length).toBe(new Set(keys).size);
  expect(new Set(keys).size).toBe(700);
  await stop();
});

test('an anchor that is away is told of once, and gets all when it is back', async () => {
  const { clock, chain, events, put, due, stop } = await world();
  chain.fault = new HoldfastError('Unavailable', 'away', { code: 'anchor_node_down' });
  await put(stored(1));
  await clock.advance(40_000);
  expect(events).toEqual(['anchor_failed']);
  chain.fault = undefined;
  await put(stored(2));
  await clock.advance(4_000);
  chain.mine(3);
  await clock.advance(4_000);
  expect(await due()).toEqual([]);
  expect(events).toEqual(['anchor_failed', 'anchor_recovered']);
  await stop();
});

test('an anchor that never answers holds up nobody who ends', async () => {
  const { engine, clock } = await world();
  const anchor = { ...new FakeChain(), look: () => new Promise<never>(() => undefined) } as unknown as Anchor;
  const events: unknown[] = [];
  const scheduler = new BlobScheduler({ engine, anchor, clock, log: (...told) => void events.push(told) });
  await engine.batch([rootDue(stored(1))]);
  const drained = scheduler.drain(10_000);
  await clock.advance(10_000);
  await drained;
  expect(events).toMatchObject([['warn', 'anchor_failed', { code: 'Timeout' }]]);
});

test('an entry that cannot be read is told of, and stops no other', async () => {
  const { engine, pass, chain, events, put, stop } = await world();
  await put(...Array.from({ length: 70 }, (_, i) => stored(i)));
  await engine.table('anchor_due').put(`L2/${stored(0).address}`, new Uint8Array([255, 254]));
  await pass(4_000);
  expect(chain.submitted.flat()).toHaveLength(69);
  expect(events).toEqual(['anchor_due_damaged']);
  await stop();
});

/** Fails at its n-th call, as a killed process does. */
function stopping(engine: Engine, steps: { left: number }): Engine {
  const step = (): void => {
    if (steps.left-- <= 0) throw new Error('stopped');
  };
  return {
    ...{ name: engine.name, revision: () => engine.revision(), close: () => engine.close() },
    table: (name) => engine.table(name),
    async batch(...call) {
      step();
      const done = await engine.batch(...call);
      step();
      return done;
    },
  };
}

test('a process that ends at any step loses no root and leaves none in the log twice', async () => {
  for (let files = 0; files < 16; files++) {
    for (let left = 0; left < 4; left++) {
      const engine = createMemoryEngine();
      const clock = new FakeClock();
      let disk = new CrashingFiles();
      const objects = Array.from({ length: 70 }, (_, i) => stored(i));
      await engine.batch(objects.map(rootDue));
      const log = (): void => undefined;
      disk.steps = files;
      const dying = await openLog(disk, { clock });
      await new BlobScheduler({ engine: stopping(engine, { left }), anchor: dying, clock, log }).drain(
        10_000,
      );
      disk = disk.afterCrash(() => 0.4);
      const anchor = await openLog(disk, { clock });
      await new BlobScheduler({ engine, anchor, clock, log }).drain(10_000);
      const items = objects.map(({ address, size }, i): AnchorItem => {
        const digest = new Uint8Array(32).fill(i & 255).fill(i >> 8, 0, 2);
        return { kind: 'blob', key: address, digest, total: size };
      });
      const places = (await anchor.look(items)).map((one) =>
        one.state === 'included' ? one.where : one.state,
      );
      expect(new Set(places).size).toBe(70);
      expect(places).not.toContain('absent');
      for await (const [key] of engine.table('anchor_due').entries()) expect.fail(`${key} is due still`);
      const size = Buffer.from(disk.get('/log/public/checkpoint')).toString().split('\n')[1];
      expect(size).toBe('70');
    }
  }
});
