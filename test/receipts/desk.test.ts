import { expect, test } from 'vitest';
import type { Refusal } from '../../src/receipts/desk.ts';
import { EPOCH_MS } from '../../src/receipts/records/grants.ts';
import {
  decodeReceipt,
  encodeReceipt,
  type ReadAck,
  type Receipt,
  signExecution,
} from '../../src/receipts/records/records.ts';
import { recordByThePage, recordsOf } from './page-reader.ts';
import {
  ackOf,
  type CrashingFiles,
  countingRandom,
  EPOCH,
  ed25519,
  FOLDER,
  grantOf,
  newWorld,
  openDesk,
  reader,
  requestOf,
} from './world.ts';

const SLOW = process.env.SLOW === '1';
const decoded = (ack: Uint8Array): ReadAck => decodeReceipt(ack) as ReadAck;

const recordsIn = (files: CrashingFiles): Uint8Array[] =>
  files
    .paths()
    .filter((path) => path.endsWith('.cbor'))
    .flatMap((path) => recordsOf(files.get(path)));

test('an acknowledgement is taken once: again, together, and after a restart it is a duplicate', async () => {
  const { files, clock, desk } = await newWorld();
  const ack = ackOf(grantOf(desk));
  const together = await Promise.all([desk.accept(ack), desk.accept(ack), desk.accept(ack)]);
  expect(together.filter((refusal) => refusal === undefined)).toHaveLength(1);
  expect(await desk.accept(ack)).toBe('duplicate');
  await desk.close();
  const again = await openDesk({ files, clock });
  expect(await again.accept(ack)).toBe('duplicate');
  expect(recordsIn(files).map((bytes) => Uint8Array.from(bytes))).toEqual([ack]);
});

test('a read that nobody acknowledged in time is not acknowledged after that', async () => {
  const { desk } = await newWorld();
  const grant = grantOf(desk);
  expect(await desk.unsigned(grant, 10)).toBeUndefined();
  expect(await desk.accept(ackOf(grant))).toBe('duplicate');
  expect(await desk.unsigned(grant, 10)).toBe('duplicate');
});

test('what another gateway issued is refused, with its own key or in its own name', async () => {
  const { desk } = await newWorld();
  const other = (await newWorld({ key: new Uint8Array(32).fill(8) })).desk;
  const grant = grantOf(other);
  expect(await desk.accept(ackOf(grant))).toBe('foreign');
  expect(await desk.accept(ackOf({ ...grant, gateway: desk.gateway }))).toBe('forged');
});

test('whoever changes what was granted, and signs that, is refused', async () => {
  const { desk } = await newWorld();
  const grant = grantOf(desk);
  const changes: Partial<typeof grant>[] = [
    { provider: 'p2' },
    { domain: 'example.com' },
    { length: grant.length + 1 },
    { issued: grant.issued + 1 },
    { manifest: new Uint8Array(32) },
    { pathHash: new Uint8Array(32) },
    { clientHash: new Uint8Array(32) },
    { readId: new Uint8Array(32) },
    { readId: grant.readId.map((byte, i) => (i === 31 ? byte ^ 1 : byte)) },
  ];
  for (const change of changes) expect(await desk.accept(ackOf({ ...grant, ...change }, 5))).toBe('forged');
  expect(await desk.accept(ackOf(grant, 5))).toBeUndefined();
});

test('what a reader signs is what it says: another signature, or no more than was sent', async () => {
  const { desk } = await newWorld();
  const grant = grantOf(desk);
  const ack = decoded(ackOf(grant, 900));
  const stolen = { ...ack, bytes: 901 };
  expect(await desk.accept(encodeReceipt(stolen))).toBe('signature');
  expect(await desk.accept(encodeReceipt({ ...ack, pk: ed25519.signer(new Uint8Array(32)).publicKey }))).toBe(
    'signature',
  );
  expect(await desk.accept(encodeReceipt(ack), 899)).toBe('forged');
  expect(await desk.accept(encodeReceipt(ack), 900)).toBeUndefined();
});

test('what is no acknowledgement is malformed', async () => {
  const { desk } = await newWorld();
  const { pk, sig, ...unsigned } = decoded(ackOf(grantOf(desk)));
  const denied: Receipt = { ...unsigned, bytes: 0, allowed: false, reason: 'rate_limited' };
  const denials: Receipt = { kind: 'denials', gateway: desk.gateway, reason: 'x', reads: 1, from: 0, to: 0 };
  for (const receipt of [unsigned, denied, denials])
    expect(await desk.accept(encodeReceipt(receipt))).toBe('malformed');
  for (const bytes of [[], [0xa0], [0xff], Array(5_000).fill(0)])
    expect(await desk.accept(Uint8Array.from(bytes))).toBe('malformed');
});

test('times are bounded: the future, the stale, and the grace after an hour', async () => {
  const { clock, desk } = await newWorld();
  const grant = grantOf(desk);
  const minute = 60_000;
  expect(await desk.accept(ackOf(grant, 1, grant.issued + 3 * minute))).toBe('future');
  expect(await desk.accept(ackOf(grant, 1, grant.issued - 3 * minute))).toBe('stale');
  const late = [grantOf(desk), grantOf(desk), grantOf(desk)];
  clock.jump += (EPOCH + 1) * EPOCH_MS + 5 * minute - clock.now();
  expect(await desk.accept(ackOf(late[0]!))).toBeUndefined();
  clock.jump += 1;
  expect(await desk.accept(ackOf(late[1]!))).toBe('stale');
  // Back in the hour, by a clock that was set: what is stale for the epoch that is written to stays stale.
  clock.jump += EPOCH_MS;
  expect(await desk.accept(ackOf(grantOf(desk)))).toBeUndefined();
  clock.jump -= EPOCH_MS + 2 * minute;
  expect(await desk.accept(ackOf(late[2]!))).toBe('stale');
});

test('a late acknowledgement is written to the hour in which it arrives', async () => {
  const { files, clock, desk } = await newWorld();
  const grant = grantOf(desk);
  clock.jump += (EPOCH + 1) * EPOCH_MS + 1 - clock.now();
  expect(await desk.accept(ackOf(grant))).toBeUndefined();
  expect(files.paths()).toEqual([`${FOLDER}/read/${EPOCH + 1}/00000000.cbor`]);
});

test('while the clock shows an hour long past nothing is written, and the next hour is never written to again', async () => {
  const { files, clock, desk } = await newWorld();
  clock.jump += 3 * EPOCH_MS;
  expect(await desk.accept(ackOf(grantOf(desk)))).toBeUndefined();
  clock.jump -= EPOCH_MS;
  const grant = grantOf(desk);
  expect(await desk.accept(ackOf(grant))).toBeUndefined();
  clock.jump -= EPOCH_MS;
  expect(await desk.unsigned(grantOf(desk), 1)).toBe('unwritten');
  expect(files.paths()).toEqual([`${FOLDER}/read/${EPOCH + 3}/00000000.cbor`]);
  const later = await openDesk({ files, clock, random: countingRandom(500) });
  expect(await later.unsigned(grantOf(later), 1)).toBe('unwritten');
});

test('replays, duplicates and forgeries in any order and over restarts are taken once', async () => {
  const rounds = SLOW ? 400 : 6;
  const each = SLOW ? 2_500 : 150;
  const { files, clock, desk: first } = await newWorld();
  let desk = first;
  const sent: Uint8Array[] = [];
  const taken = new Map<string, number>();
  const random = new DataView(countingRandom(77)(4 * 4_096).buffer);
  let drawn = 0;
  const draw = (below: number): number => random.getUint32(4 * (drawn++ % 4_096)) % below;
  let tries = 0;
  for (let round = 0; round < rounds; round++) {
    const fresh = Array.from({ length: 10 }, () => ackOf(grantOf(desk)));
    sent.push(...fresh);
    const work = Array.from({ length: each }, async (_, i) => {
      const ack = sent[draw(sent.length)]!;
      const kind = i % 5;
      tries++;
      if (kind === 4) {
        const changed = Uint8Array.from(ack);
        changed[draw(changed.length)]! ^= 1 << draw(8);
        expect(await desk.accept(changed)).not.toBeUndefined();
        return;
      }
      if ((await desk.accept(ack)) !== undefined) return;
      const key = Buffer.from(ack).toString('hex');
      taken.set(key, (taken.get(key) ?? 0) + 1);
    });
    await Promise.all(work);
    if (round % 3 === 2) {
      await desk.close();
      desk = await openDesk({ files, clock, random: countingRandom(1_000_000 * round) });
    }
  }
  await desk.close();
  expect(tries).toBe(rounds * each);
  const twice = [...taken.values()].filter((times) => times > 1);
  if (SLOW) console.log(`tries: ${tries}; taken: ${taken.size}; taken twice: ${twice.length}`);
  expect(twice).toEqual([]);
  const written = recordsIn(files).map((bytes) => Buffer.from(bytes).toString('hex'));
  expect(new Set(written)).toEqual(new Set(taken.keys()));
  expect(written.length).toBe(taken.size);
});

test('denied reads beyond a rate are counted, and written down together', async () => {
  const { files, clock, desk } = await newWorld({ denialsPerSecond: 5 });
  for (let i = 0; i < 100; i++) await desk.denied(requestOf(), i % 2 === 0 ? 'rate_limited' : 'no_such_path');
  await clock.advance(10_000);
  await desk.close();
  const receipts = recordsIn(files).map(recordByThePage);
  expect(receipts.filter(({ kind }) => kind === 'read')).toHaveLength(5);
  const denials = receipts.filter(({ kind }) => kind === 'denials');
  expect(denials.map(({ reason, reads }) => [reason, reads])).toEqual([
    ['no_such_path', 48],
    ['rate_limited', 47],
  ]);
});

test('whoever ends waits for the counts of denied reads that are being written down', async () => {
  const { files, clock, desk } = await newWorld({ denialsPerSecond: 1 });
  const reasons = ['rate_limited', 'forbidden', 'sealed'];
  for (const reason of ['first', ...reasons, ...reasons]) await desk.denied(requestOf(), reason);
  clock.move(10_000);
  await desk.close();
  const denials = recordsIn(files)
    .map(recordByThePage)
    .filter(({ kind }) => kind === 'denials');
  expect(denials.map(({ reason, reads }) => [reason, reads])).toEqual(reasons.map((one) => [one, 2]));
});

test('an execution is taken once, signed and of now', async () => {
  const { clock, desk } = await newWorld();
  const base = {
    ...{
      gateway: desk.gateway,
      manifest: new Uint8Array(32),
      provider: 'p1',
      domain: '',
      pathHash: new Uint8Array(32),
    },
    ...{
      executionId: new Uint8Array(16).fill(3),
      cpuUs: 7,
      diskRead: 8,
      diskWritten: 9,
      ts: Math.floor(clock.now()),
    },
  };
  const encoded = (change: object): Uint8Array =>
    encodeReceipt(signExecution({ ...base, ...change }, reader));
  const told: (Refusal | undefined)[] = [];
  const forged = { ...decodeReceipt(encoded({})), cpuUs: 8 } as Receipt;
  for (const bytes of [
    encoded({ ts: base.ts + 1e6 }),
    encoded({ ts: 5 }),
    encoded({ gateway: new Uint8Array(32) }),
    encodeReceipt(forged),
    encoded({}),
    encoded({}),
    ackOf(grantOf(desk)),
  ])
    told.push(await desk.executed(bytes));
  expect(told).toEqual(['future', 'stale', 'foreign', 'signature', undefined, 'duplicate', 'malformed']);
});

test('more than may wait, or than an hour has room for, is refused and may come again', async () => {
  const { desk } = await newWorld({ maxWaiting: 10 });
  const grants = Array.from({ length: 30 }, () => grantOf(desk));
  const told = await Promise.all(grants.map((grant) => desk.unsigned(grant, 1)));
  expect(told.filter((refusal) => refusal === 'overloaded')).toHaveLength(20);
  expect(await desk.unsigned(grants[29]!, 1)).toBeUndefined();

  const small = await newWorld({ maxRecords: 3 });
  const all: (Refusal | undefined)[] = [];
  for (let i = 0; i < 5; i++) all.push(await small.desk.unsigned(grantOf(small.desk), 1));
  expect(all).toEqual([undefined, undefined, undefined, 'overloaded', 'overloaded']);
  small.clock.jump += EPOCH_MS;
  expect(await small.desk.unsigned(grantOf(small.desk), 1)).toBeUndefined();
});

test('of hundreds that one flush served, few are answered in a turn, so that a read comes in between', async () => {
  const { desk } = await newWorld();
  let answered = 0;
  const grants = Array.from({ length: 300 }, () => grantOf(desk));
  const all = grants.map((grant) => desk.unsigned(grant, 1).then(() => void answered++));
  let most = 0;
  for (let turn = 0; turn < 1_000 && answered < 300; turn++) {
    const before = answered;
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, answered - before);
  }
  await Promise.all(all);
  expect(most).toBeLessThanOrEqual(32);
});

test.each(['append', 'flush'])(
  'a receipt whose %s failed may come again, and is then taken',
  async (failing) => {
    const { files, desk } = await newWorld();
    expect(await desk.unsigned(grantOf(desk), 1)).toBeUndefined();
    const ack = ackOf(grantOf(desk));
    let faults = 1;
    files.fault = (step) => (step === failing && faults-- > 0 ? new Error('I/O error') : undefined);
    expect(await desk.accept(ack)).toBe('unwritten');
    expect(recordsIn(files)).toHaveLength(1);
    expect(await desk.accept(ack)).toBeUndefined();
    expect(recordsIn(files)).toHaveLength(2);
  },
);
