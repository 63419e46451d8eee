import fc from 'fast-check';
import { expect, test } from 'vitest';
import { utf8Encode } from '../../../src/core/bytes.ts';
import { createMemoryEngine, type Engine } from '../../../src/engine/index.ts';
import { epochOf, GATEWAY, MIB, newLedger, served, sumOf } from './world.ts';

const provider = (id: string, credits?: number) => ({ id, credits }) as never;

test('an hour is credited from the pool once, a byte for a byte, and every entry comes to zero', async () => {
  const { settlement, balances } = newLedger();
  const hour = epochOf(7, [served('p1', 5 * MIB + 3), served('p2', MIB)]);
  expect(await settlement.bookedRead(GATEWAY, 7)).toBeUndefined();
  expect(await settlement.issueRead(hour)).toBe('credited');
  expect(await settlement.issueRead(hour)).toBe('already');
  expect(await settlement.bookedRead(GATEWAY, 7)).toEqual(hour.digest);
  expect(await balances()).toEqual({
    'owner/pool': BigInt(-100 * MIB),
    pool: BigInt(94 * MIB - 3),
    'provider/p1': BigInt(5 * MIB + 3),
    'provider/p2': BigInt(MIB),
  });
});

test('bytes below a credit are kept until they are one', async () => {
  const { settlement } = newLedger();
  await settlement.issueRead(epochOf(1, [served('p1', MIB - 1)]));
  expect(await settlement.balanceSplit(provider('p1', 8))).toEqual({ configured: 8, earned: 0 });
  await settlement.issueRead(epochOf(2, [served('p1', 1)]));
  expect(await settlement.balanceSplit(provider('p1', 8))).toEqual({ configured: 8, earned: 1 });
});

test('many processes that credit the same hours at once credit each of them once', async () => {
  const { again, balances } = newLedger();
  const processes = Array.from({ length: 6 }, () => again());
  const hours = Array.from({ length: 12 }, (_, i) => epochOf(i, [served('p1', MIB), served('p2', 2 * MIB)]));
  const told = await Promise.all(
    processes.flatMap((one, i) =>
      [...hours.slice(i), ...hours.slice(0, i)].map((hour) => one.issueRead(hour)),
    ),
  );
  expect(told.filter((one) => one === 'credited')).toHaveLength(hours.length);
  const all = await balances();
  expect(all).toMatchObject({ 'provider/p1': BigInt(12 * MIB), 'provider/p2': BigInt(24 * MIB) });
  expect(sumOf(all)).toBe(0n);
});

test('the same hour of two gateways is two; another root of one hour is refused and pays nothing', async () => {
  const { settlement, balances } = newLedger();
  await settlement.issueRead(epochOf(1, [served('p1', MIB)]));
  await settlement.issueRead(epochOf(1, [served('p1', MIB)], { gateway: new Uint8Array(32).fill(9) }));
  const other = epochOf(1, [served('p1', 9 * MIB)], { digest: new Uint8Array(32).fill(0xee) });
  await expect(settlement.issueRead(other)).rejects.toMatchObject({ code: 'settled_otherwise' });
  expect(await balances()).toMatchObject({ 'provider/p1': BigInt(2 * MIB) });
});

test('an empty pool credits nothing and says so, the hour is booked, and a refill pays no old hour', async () => {
  const { settlement, again, balances, told } = newLedger({ poolCredits: 3 });
  await settlement.issueRead(epochOf(1, [served('p1', 2 * MIB)]));
  expect(told).toEqual([]);
  await settlement.issueRead(epochOf(2, [served('p1', 3 * MIB), served('p2', MIB)]));
  expect(await balances()).toMatchObject({ pool: 0n, 'provider/p1': BigInt(2 * MIB) + 786_432n });
  await settlement.issueRead(epochOf(3, [served('p1', MIB)]));
  expect(told.map(({ fields: { epoch, provider: id, reason } }) => [epoch, id, reason])).toEqual([
    [2, 'p1', 'pool_empty'],
    [2, 'p2', 'pool_empty'],
    [3, 'p1', 'pool_empty'],
  ]);
  const before = await balances();
  const refilled = again({ poolCredits: 10 });
  for (const epoch of [1, 2, 3]) expect(await refilled.issueRead(epochOf(epoch, []))).toBe('already');
  expect(await balances()).toEqual({
    ...before,
    'owner/pool': BigInt(-10 * MIB),
    pool: before.pool! + BigInt(7 * MIB),
  });
  // A configuration that says less takes nothing out.
  await again({ poolCredits: 5 }).issueRead(epochOf(4, [served('p1', MIB)]));
  expect(await balances()).toMatchObject({ 'owner/pool': BigInt(-10 * MIB) });
});

test('what an hour and a provider may earn is bounded, and so are keys of readers that a provider needs', async () => {
  const { settlement, balances, told } = newLedger({
    ...{ poolCredits: 1_000, epochShare: 100, providerShare: 500, minReaders: 3 },
  });
  await settlement.issueRead(epochOf(1, [served('p1', 900 * MIB), served('p2', 40 * MIB)]));
  // 100 for the hour, 50 for each.
  expect(await balances()).toMatchObject({
    'provider/p1': BigInt(50 * MIB),
    'provider/p2': BigInt(40 * MIB),
  });
  await settlement.issueRead(
    epochOf(2, [
      served('p1', 100 * MIB),
      served('p2', 50 * MIB),
      served('p3', 50 * MIB),
      served('p4', MIB, { readers: 2 }),
      served('p5', MIB, { reads: 101, signed: 10 }),
      served('p6', MIB, { reads: 101, credited: 0, reason: 'few_signed' }),
      served('not\0an id', MIB),
    ]),
  );
  const third = BigInt((100 * MIB) / 3 - 1 / 3);
  expect(await balances()).toMatchObject({
    'provider/p1': BigInt(50 * MIB) + third,
    'provider/p2': BigInt(40 * MIB) + third,
    'provider/p3': third,
  });
  expect(told.map(({ fields }) => [fields.epoch, fields.provider, fields.reason])).toEqual([
    [1, 'p1', 'provider_cap'],
    [2, 'p4', 'few_readers'],
    [2, 'p5', 'few_signed'],
    [2, 'p6', 'few_signed'],
    [2, 'not\0an id', 'unknown_provider'],
    [2, 'p1', 'epoch_cap'],
    [2, 'p2', 'epoch_cap'],
    [2, 'p3', 'epoch_cap'],
  ]);
});

test('a root that contradicts itself pays nothing', async () => {
  const { settlement, balances } = newLedger();
  for (const more of [{ signed: 11 }, { readers: 11 }, { signedBytes: 2 * MIB }, { credited: MIB - 1 }]) {
    const hour = epochOf(1, [served('p1', MIB, more)]);
    await expect(settlement.issueRead(hour)).rejects.toMatchObject({ code: 'receipt_malformed' });
  }
  const twice = epochOf(1, [served('p1', MIB), served('p1', MIB)]);
  await expect(settlement.issueRead(twice)).rejects.toMatchObject({ code: 'receipt_malformed' });
  expect(await balances()).toEqual({});
});

const TABLES = ['ledger_accounts', 'ledger_entries', 'ledger_done', 'ledger_head'];

test('any record of the ledger that is damaged, gone or made up stops every payment', async () => {
  const { settlement, engine, again } = newLedger();
  for (const epoch of [1, 2, 3])
    await settlement.issueRead(epochOf(epoch, [served('p1', MIB), served('p2', 3)]));
  let tried = 0;
  for (const table of TABLES) {
    for await (const [key, value] of engine.table(table).entries()) {
      const text = new TextDecoder().decode(value);
      for (const damaged of [
        undefined,
        value.subarray(0, value.length - 1),
        utf8Encode(text.replace(/\d(?=\D*$)/, (digit) => `${(Number(digit) + 1) % 10}`)),
        utf8Encode(text.replace('{', '{ ')),
      ]) {
        if (damaged !== undefined && new TextDecoder().decode(damaged) === text) continue;
        await engine.batch([{ table, key, value: damaged }]);
        await expect(
          again().issueRead(epochOf(9, [served('p1', MIB)])),
          `${table} ${key}`,
        ).rejects.toMatchObject({
          code: 'ledger_damaged',
        });
        await engine.batch([{ table, key, value }]);
        tried++;
      }
    }
  }
  expect(tried).toBeGreaterThan(40);
  const mark = 'read/made-up/9';
  await engine.table('ledger_done').put(mark, utf8Encode(`{"v":1,"seq":2,"digest":""}`));
  await expect(again().ledger.check()).rejects.toMatchObject({ code: 'ledger_damaged' });
  await engine.table('ledger_done').delete(mark);
  await engine.table('ledger_accounts').put('provider/p3', utf8Encode('{"v":1,"balance":"5"}'));
  await expect(again().ledger.check()).rejects.toMatchObject({ code: 'ledger_damaged' });
});

test('rent is paid from the escrow for every stored MiB and hour, once, and up to a week later', async () => {
  const { settlement, again, balances, told } = newLedger({ rentBytesPerMib: 10, escrowCredits: 1 });
  const stored = new Map([
    ['p1', 5 * MIB + 7],
    ['p2', MIB - 1],
  ]);
  expect(await settlement.payRent(stored, { epoch: 100 })).toBe(1);
  expect(await settlement.payRent(stored, { epoch: 100 })).toBe(0);
  expect(await again().payRent(stored, { epoch: 103 })).toBe(3);
  expect(await balances()).toMatchObject({ 'provider/p1': 200n, escrow: BigInt(MIB - 200) });
  // A clock that was wrong, or a year without a settlement: one hour.
  expect(await settlement.payRent(stored, { epoch: 10_000 })).toBe(1);
  const rich = new Map([
    ['p1', 300_000 * MIB],
    ['p3', 100_000 * MIB],
  ]);
  await settlement.payRent(rich, { epoch: 10_001 });
  expect(told.map(({ fields }) => fields.reason)).toEqual(['escrow_empty', 'escrow_empty']);
  const all = await balances();
  expect(all.escrow).toBeLessThan(2n);
  expect(sumOf(all)).toBe(0n);
  expect(await newLedger().settlement.payRent(stored, { epoch: 5 })).toBe(0);
});

/** Fails some calls before, and some after they took effect. */
function unreliable(engine: Engine, next: () => number): Engine {
  const lost = (): Error => Object.assign(new Error('lost'), { name: 'lost' });
  return {
    name: engine.name,
    revision: () => engine.revision(),
    close: () => engine.close(),
    table: (name) => engine.table(name),
    async batch(...given) {
      const fate = next();
      if (fate === 1) throw lost();
      const done = await engine.batch(...given);
      if (fate === 2) throw lost();
      return done;
    },
  };
}

test('whatever is interrupted and in whatever order, an hour is credited once and all accounts come to zero', async () => {
  const step = fc.record({
    process: fc.nat(2),
    epoch: fc.nat(4),
    fate: fc.nat(3),
    restart: fc.boolean(),
    refill: fc.nat(3),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { engine, again, balances } = newLedger({ poolCredits: 12 });
      let fate = 0;
      const on = unreliable(engine, () => fate);
      const processes = [again({}, on), again({}, on), again({}, on)];
      const credited = new Map<number, number>();
      for (const { process, epoch, fate: next, restart, refill } of steps) {
        fate = next;
        if (restart) processes[process] = again({ poolCredits: 12 + refill }, on);
        const hour = epochOf(epoch, [served('p1', 2 * MIB + epoch), served('p2', 7)]);
        const told = await processes[process]!.issueRead(hour).catch(() => 'failed');
        if (told === 'credited') credited.set(epoch, (credited.get(epoch) ?? 0) + 1);
        expect(sumOf(await balances())).toBe(0n);
      }
      expect([...credited.values()].every((times) => times === 1)).toBe(true);
      const booked = [];
      for (const epoch of [0, 1, 2, 3, 4])
        if ((await again().bookedRead(GATEWAY, epoch)) !== undefined) booked.push(epoch);
      expect(booked).toEqual(expect.arrayContaining([...credited.keys()]));
      const { 'provider/p2': earned = 0n } = await balances();
      expect(earned).toBe(BigInt(7 * booked.length));
    }),
    { numRuns: process.env.SLOW === '1' ? 2_000 : 60 },
  );
});

test('a ledger that grows while it is checked is not taken for damaged', async () => {
  const { engine, again, balances } = newLedger({}, createMemoryEngine());
  const writer = again({}, engine);
  await Promise.all([
    (async () => {
      for (let epoch = 0; epoch < 30; epoch++)
        await writer.issueRead(epochOf(epoch, [served(`p${epoch % 4}`, 9)]));
    })(),
    (async () => {
      for (let i = 0; i < 30; i++) await again().ledger.check();
    })(),
  ]);
  expect(sumOf(await balances())).toBe(0n);
});
