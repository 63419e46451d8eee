import { expect, test } from 'vitest';
import { wasmBlake3 as blake3 } from '../../../src/core/b3/wasm.ts';
import { toHex, utf8Encode } from '../../../src/core/bytes.ts';
import { createMemoryEngine, type Engine } from '../../../src/engine/index.ts';
import { Ledger } from '../../../src/receipts/settlement/ledger.ts';
import { type LedgerRebuild, rebuildLedger } from '../../../src/receipts/settlement/rebuild.ts';
import { countingRandom } from '../world.ts';
import { epochOf, type LedgerWorld, MIB, newLedger, served, sumOf } from './world.ts';

const TABLES = ['ledger_entries', 'ledger_done', 'ledger_accounts', 'ledger_head'];

type Dump = Record<string, string>;

async function dump(engine: Engine): Promise<Dump> {
  const all: Dump = {};
  for (const table of TABLES)
    for await (const [key, bytes] of engine.table(table).entries()) all[`${table} ${key}`] = toHex(bytes);
  return all;
}

const rebuild = ({ clock }: LedgerWorld, engine: Engine, dryRun = false): Promise<LedgerRebuild> =>
  rebuildLedger(
    {
      ...{ engine, blake3, clock, random: countingRandom(clock.ms + 1) },
      funded: { pool: BigInt(100 * MIB), escrow: 0n },
    },
    { dryRun },
  );

/** One fund and five hours, of which the third pays nobody. */
async function filled(): Promise<LedgerWorld> {
  const world = newLedger();
  for (let epoch = 1; epoch <= 5; epoch++)
    await world.settlement.issueRead(
      epochOf(epoch, epoch === 3 ? [] : [served('p1', epoch * MIB), served('p2', 7)]),
    );
  return world;
}

const again = async (world: LedgerWorld): Promise<void> => {
  for (let epoch = 1; epoch <= 5; epoch++)
    await world
      .again()
      .issueRead(epochOf(epoch, epoch === 3 ? [] : [served('p1', epoch * MIB), served('p2', 7)]));
};

test('a ledger that is whole is left alone', async () => {
  const world = await filled();
  const before = await dump(world.engine);
  expect(await rebuild(world, world.engine)).toMatchObject({ isWhole: true });
  expect(await dump(world.engine)).toEqual(before);
});

test('whichever record is damaged, gone or made up: every balance and every hour is as it was', async () => {
  const whole = await filled();
  const records = await dump(whole.engine);
  const balances = await whole.balances();
  for (const record of Object.keys(records)) {
    const [table, key] = record.split(' ') as [string, string];
    for (const value of [undefined, utf8Encode('{"v":1}')]) {
      const world = await filled();
      await world.engine.batch([{ table, key, value }]);
      await expect(world.balances(), record).rejects.toMatchObject({ code: 'ledger_damaged' });
      const told = await rebuild(world, world.engine, true);
      await expect(world.balances(), record).rejects.toMatchObject({ code: 'ledger_damaged' });
      expect(await rebuild(world, world.engine)).toEqual(told);
      expect(await world.balances(), record).toEqual(balances);
      expect(told.lost, record).toEqual([]);
      // Where no entry is lost, nothing but what was damaged has changed.
      if (table !== 'ledger_entries') expect(await dump(world.engine), record).toEqual(records);
      else expect(told, record).toMatchObject({ recovered: [expect.any(String)], changed: [] });
      await again(world);
      expect(await world.balances(), record).toEqual(balances);
    }
  }
});

test('an entry that somebody changed is not believed, though it is whole in itself', async () => {
  const world = await filled();
  const table = world.engine.table('ledger_entries');
  const key = '0000000000000003';
  const text = new TextDecoder().decode(await table.get(key));
  const balances = await world.balances();
  await table.put(key, utf8Encode(text.replaceAll(String(2 * MIB), String(9 * MIB))));
  await world.engine.table('ledger_head').delete('head');
  expect(await rebuild(world, world.engine)).toMatchObject({ recovered: [expect.stringMatching(/\/2$/)] });
  expect(await world.balances()).toEqual(balances);
});

test('several entries that are lost come back as one sum, and no hour is paid again', async () => {
  const world = await filled();
  const balances = await world.balances();
  for (const seq of [1, 3, 6]) await world.engine.table('ledger_entries').delete(`${seq}`.padStart(16, '0'));
  expect((await rebuild(world, world.engine)).recovered).toHaveLength(3);
  expect(await world.balances()).toEqual(balances);
  await again(world);
  expect(await world.balances()).toEqual(balances);
});

test('where the balances are gone too, hours are booked again by their roots, each once', async () => {
  const world = await filled();
  const balances = await world.balances();
  for (const seq of [1, 3]) await world.engine.table('ledger_entries').delete(`${seq}`.padStart(16, '0'));
  await world.engine.table('ledger_accounts').delete('provider/p1');
  const told = await rebuild(world, world.engine);
  expect(told.lost.map((id) => id.replace(/\w{64}/, 'gateway'))).toEqual([
    `fund/pool/${100 * MIB}`,
    'read/gateway/2',
  ]);
  expect(sumOf(await world.balances())).toBe(0n);
  await again(world);
  expect(await world.balances()).toEqual(balances);
  // And where nothing at all is left.
  for (const record of Object.keys(await dump(world.engine))) {
    const [table, key] = record.split(' ') as [string, string];
    if (table !== 'ledger_accounts') await world.engine.table(table).delete(key);
  }
  expect(await rebuild(world, world.engine)).toMatchObject({ kept: 0, lost: [] });
  await again(world);
  expect(await world.balances()).toEqual(balances);
});

test('a ledger that paid more than anybody put in is not made up', async () => {
  const world = await filled();
  await world.engine.table('ledger_entries').delete(`${1}`.padStart(16, '0'));
  await world.engine.table('ledger_accounts').delete('pool');
  const { engine, clock } = world;
  const parts = { engine, blake3, clock, random: countingRandom(1), funded: { pool: 0n, escrow: 0n } };
  await expect(rebuildLedger(parts, { dryRun: true })).rejects.toMatchObject({
    code: 'ledger_damaged',
    message: expect.stringContaining('more than'),
  });
});

/** Stops at a batch, before or after it is written. */
function stopping(engine: Engine, steps: number): Engine {
  let left = steps;
  const step = (): void => {
    if (left-- <= 0) throw new Error('stopped');
  };
  return {
    name: engine.name,
    revision: () => engine.revision(),
    close: () => engine.close(),
    table: (name) => engine.table(name),
    async batch(...given) {
      step();
      const done = await engine.batch(...given);
      step();
      return done;
    },
  };
}

test.each(['recovered', 'lost'])(
  'stopped at any step it is gone on with, and comes to the same: entries are %s',
  async (how) => {
    const whole = newLedger();
    await whole.settlement.issueRead(epochOf(1, []));
    for (let n = 2; n < 640; n++)
      await whole.settlement.ledger.book(`read/x/${n}`, () => ({
        ...{ digest: '', unpaid: [] },
        postings: [
          { account: 'pool', amount: -3n },
          { account: 'provider/p1', amount: 3n },
        ],
      }));
    const start = await dump(whole.engine);
    const damaged = async (): Promise<Engine> => {
      const engine = createMemoryEngine();
      const put = Object.entries(start).map(([record, hex]) => {
        const [table, key] = record.split(' ') as [string, string];
        return { table, key, value: new Uint8Array(Buffer.from(hex, 'hex')) };
      });
      for (let at = 0; at < put.length; at += 4_000) await engine.batch(put.slice(at, at + 4_000));
      for (const seq of [7, 250, 600])
        await engine.table('ledger_entries').delete(`${seq}`.padStart(16, '0'));
      if (how === 'lost') await engine.table('ledger_accounts').delete('pool');
      return engine;
    };
    const once = await damaged();
    await rebuild(whole, once);
    const meant = await dump(once);
    for (let steps = 0; ; steps++) {
      const engine = await damaged();
      const isStopped = await rebuild(whole, stopping(engine, steps)).then(
        () => false,
        () => true,
      );
      if (!isStopped) {
        expect(steps).toBeGreaterThan(8);
        break;
      }
      await rebuild(whole, engine);
      expect(await dump(engine), `stopped at ${steps}`).toEqual(meant);
    }
  },
  120_000,
);

test('nobody books while it goes on, and who had checked the old one goes on with the new one', async () => {
  const world = await filled();
  const { engine, clock } = world;
  const cached = world.again();
  await cached.ledger.check();
  await engine.table('ledger_entries').delete(`${2}`.padStart(16, '0'));
  let tried = 0;
  const slow: Engine = {
    ...stopping(engine, Number.POSITIVE_INFINITY),
    async batch(...given) {
      tried++;
      for (const one of [cached, world.again()])
        await expect(one.issueRead(epochOf(9, [served('p1', 1)]))).rejects.toMatchObject({
          code: 'ledger_rebuilding',
        });
      return engine.batch(...given);
    },
  };
  await rebuild(world, slow);
  expect(tried).toBeGreaterThan(1);
  expect(await cached.issueRead(epochOf(9, [served('p1', 1)]))).toBe('credited');
  expect((await new Ledger({ engine, blake3, clock }).check()).seq).toBe(7);
});
