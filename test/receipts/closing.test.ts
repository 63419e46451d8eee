import { expect, test } from 'vitest';
import { wasmBlake3 as blake3 } from '../../src/core/b3/wasm.ts';
import { toHex } from '../../src/core/bytes.ts';
import type { ReceiptDesk } from '../../src/receipts/desk.ts';
import { findReceipt, groupReads, proveReceipt, verifyProof } from '../../src/receipts/inspect.ts';
import { EPOCH_MS } from '../../src/receipts/records/grants.ts';
import { decodeReceipt, encodeReceipt, type ReadAck } from '../../src/receipts/records/records.ts';
import { decodeProof, decodeRoot, encodeProof } from '../../src/receipts/records/root.ts';
import { itemAt, recordsOf, statedByThePage } from './page-reader.ts';
import {
  ackOf,
  auditOf,
  type CrashingFiles,
  EPOCH,
  ed25519,
  FOLDER,
  grantOf,
  newWorld,
  openDesk,
  type World,
} from './world.ts';

const rootOf = (files: CrashingFiles, epoch = EPOCH): Uint8Array => files.get(`${FOLDER}/read/${epoch}.root`);
const fileOf = (seq: number, epoch = EPOCH): string =>
  `${FOLDER}/read/${epoch}/${`${seq}`.padStart(8, '0')}.cbor`;

/** Five minutes after the end of the epoch that it is in. */
async function closeHour({ clock, desk }: Pick<World, 'clock' | 'desk'>): Promise<number[]> {
  clock.jump += EPOCH_MS - (clock.now() % EPOCH_MS) + 5 * 60_000;
  return (await desk.closeDue()).map(({ epoch }) => epoch);
}

async function reads(
  desk: ReceiptDesk,
  provider: string,
  { signed, unsigned }: { signed: number; unsigned: number },
): Promise<void> {
  await Promise.all([
    ...Array.from({ length: signed }, (_, i) => {
      const signer = ed25519.signer(new Uint8Array(32).fill(i % 3));
      return desk.accept(ackOf(grantOf(desk, provider), 10, undefined, signer));
    }),
    ...Array.from({ length: unsigned }, () => desk.unsigned(grantOf(desk, provider), 1_000)),
  ]);
}

test('an epoch gets one root five minutes after its end, and never another', async () => {
  const world = await newWorld();
  const { files, clock, desk } = world;
  await reads(desk, 'p1', { signed: 2, unsigned: 1 });
  clock.jump += EPOCH_MS - (clock.now() % EPOCH_MS) + 5 * 60_000 - 1;
  expect(await desk.closeDue()).toEqual([]);
  clock.jump += 1;
  const together = await Promise.all([desk.closeDue(), desk.closeDue()]);
  expect(together.flat().map(({ epoch }) => epoch)).toEqual([EPOCH]);
  const root = rootOf(files);
  expect(await desk.closeDue()).toEqual([]);
  await desk.close();
  const again = await openDesk({ files, clock });
  expect(await again.closeDue()).toEqual([]);
  expect(rootOf(files)).toBe(root);
  // Nothing is written to it any more, though the clock goes back into it.
  clock.jump -= 6 * 60_000;
  expect(await again.unsigned(grantOf(again, 'p2'), 1)).toBe('duplicate');
  for (let i = 0; i < 3; i++) grantOf(again);
  expect(await again.unsigned(grantOf(again), 1)).toBeUndefined();
  expect(files.paths().filter((path) => path.endsWith('.cbor'))).toEqual([fileOf(0), fileOf(0, EPOCH + 1)]);
});

test('after an hour is closed nothing is written to it, though the clock goes back into it', async () => {
  const world = await newWorld();
  const { files, clock, desk } = world;
  await reads(desk, 'p1', { signed: 1, unsigned: 0 });
  expect(await closeHour(world)).toEqual([EPOCH]);
  clock.jump -= 10 * 60_000;
  expect(await desk.unsigned(grantOf(desk), 1)).toBeUndefined();
  expect(files.paths().filter((path) => path.endsWith('.cbor'))).toEqual([fileOf(0), fileOf(0, EPOCH + 1)]);
  expect((await auditOf(files)).difference).toBeUndefined();
});

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

test('an hour is closed while reads of the next go on and on', async () => {
  const { files, clock, desk } = await newWorld();
  await reads(desk, 'p1', { signed: 1, unsigned: 0 });
  // A disk that is slower than the reads: something always waits for it.
  const open = files.open.bind(files);
  files.open = async (path) => {
    const file = await open(path);
    return { ...file, flush: () => turns(5).then(file.flush) };
  };
  clock.jump += EPOCH_MS + 5 * 60_000;
  let isClosed = false;
  const written: Promise<unknown>[] = [];
  const client = async (): Promise<void> => {
    for (let i = 0; i < 1_000 && !isClosed; i++) {
      written.push(desk.unsigned(grantOf(desk), 1));
      await turns(1);
    }
  };
  const going = client();
  await turns(20);
  const roots = await desk.closeDue();
  expect(written.length).toBeLessThan(1_000);
  isClosed = true;
  expect(roots.map(({ epoch }) => epoch)).toEqual([EPOCH]);
  await going;
  expect(new Set(await Promise.all(written))).toEqual(new Set([undefined]));
  expect((await auditOf(files)).difference).toBeUndefined();
});

test('hours without a read have no root, and each root names the one before it', async () => {
  const world = await newWorld();
  const { files, clock, desk } = world;
  await reads(desk, 'p1', { signed: 1, unsigned: 0 });
  expect(await closeHour(world)).toEqual([EPOCH]);
  clock.jump += 3 * EPOCH_MS;
  await reads(desk, 'p1', { signed: 1, unsigned: 0 });
  expect(await closeHour(world)).toEqual([EPOCH + 4]);
  expect(decodeRoot(rootOf(files)).previous).toBeUndefined();
  expect(decodeRoot(rootOf(files, EPOCH + 4)).previous).toEqual({
    epoch: EPOCH,
    digest: blake3.hash(rootOf(files)),
  });
});

test('a provider of whose allowed reads under a tenth are signed is not credited, and voids no other', async () => {
  const world = await newWorld({ denialsPerSecond: 1 });
  const { files, desk } = world;
  await reads(desk, 'few', { signed: 1, unsigned: 10 });
  await reads(desk, 'just', { signed: 1, unsigned: 9 });
  await reads(desk, 'all', { signed: 7, unsigned: 0 });
  await reads(desk, 'none', { signed: 0, unsigned: 3 });
  for (let i = 0; i < 50; i++) await desk.denied(grantOf(desk, 'just'), 'rate_limited');
  await world.clock.advance(10_000);
  expect(await closeHour(world)).toEqual([EPOCH]);
  const root = decodeRoot(rootOf(files));
  const found = root.providers.map(({ provider, credited, readers, reason }) => [
    provider,
    credited,
    readers,
    reason,
  ]);
  expect(found).toEqual([
    ['all', 70, 3, undefined],
    ['few', 0, 1, 'few_signed'],
    ['just', 10, 1, undefined],
    ['none', 0, 0, 'few_signed'],
  ]);
  expect([root.credited, root.denied, root.bytes]).toEqual([80, 50, 70 + 10 + 10 + 22_000]);
});

test('an epoch of which nothing is credited gets its root all the same', async () => {
  const world = await newWorld();
  await reads(world.desk, 'p1', { signed: 1, unsigned: 30 });
  expect(await closeHour(world)).toEqual([EPOCH]);
  expect(decodeRoot(rootOf(world.files))).toMatchObject({ credited: 0, count: 31 });
  expect((await auditOf(world.files)).difference).toBeUndefined();
});

let hour: Promise<World> | undefined;
/** More than two files of records, some of each kind; nobody changes it. */
const longHour = (): Promise<World> => {
  hour ??= makeLongHour();
  return hour;
};

async function makeLongHour(): Promise<World> {
  const world = await newWorld({ denialsPerSecond: 1 });
  await reads(world.desk, 'zwölf', { signed: 12, unsigned: 4_090 });
  await reads(world.desk, 'p2', { signed: 5, unsigned: 4_100 });
  for (let i = 0; i < 5; i++) await world.desk.denied(grantOf(world.desk), 'no_such_path');
  await world.clock.advance(10_000);
  expect(await closeHour(world)).toEqual([EPOCH]);
  return world;
}

test('a reader written from the page alone finds what the root of a long hour states', async () => {
  const { files } = await longHour();
  const records = [0, 1, 2].map((seq) => recordsOf(files.get(fileOf(seq))));
  expect(records.map(({ length }) => length)).toEqual([4_096, 4_096, 17]);
  expect(itemAt(rootOf(files), 0)[0]).toMatchObject(statedByThePage(records));
});

test('every receipt of a long hour has a proof, which holds as it is and not with a bit changed', async () => {
  const { files, desk } = await longHour();
  const place = { files, folder: FOLDER, blake3 };
  const check = { blake3, ed25519, gateway: desk.gateway };
  for (const [seq, index] of [
    [0, 0],
    [0, 4_095],
    [1, 77],
    [2, 0],
    [2, 15],
  ] as const) {
    const { readId } = decodeReceipt(recordsOf(files.get(fileOf(seq)))[index]!) as ReadAck;
    const found = await findReceipt(place, toHex(readId));
    expect([found.seq, found.index]).toEqual([seq, index]);
    const proof = decodeProof(await proveReceipt(place, found));
    expect(await verifyProof(proof, check)).toMatchObject({ holds: true, why: undefined });
    const off = [
      { ...proof, index: proof.index ^ 1 },
      { ...proof, path: proof.path.slice(1) },
      {
        ...proof,
        path: proof.path.map((hash, i) =>
          i === 3 ? hash.map((byte, k) => (k === 9 ? byte ^ 4 : byte)) : hash,
        ),
      },
      { ...proof, record: encodeReceipt({ ...(found.receipt as ReadAck), ts: 1 }) },
      { ...proof, root: flipped(proof.root, proof.root.length * 4) },
    ];
    for (const changed of off) {
      const verdict = await verifyProof(changed, check).catch(() => undefined);
      expect(verdict?.holds ?? false).toBe(false);
    }
    const other = await verifyProof(proof, { ...check, gateway: new Uint8Array(32) });
    expect(other).toMatchObject({ holds: false, why: 'the root is of another gateway' });
    expect(decodeProof(encodeProof(proof))).toEqual(proof);
  }
  await expect(findReceipt(place, '00'.repeat(32))).rejects.toMatchObject({ code: 'no_such_receipt' });
});

function flipped(bytes: Uint8Array, bit: number): Uint8Array<ArrayBuffer> {
  const changed = Uint8Array.from(bytes);
  changed[bit >> 3]! ^= 1 << (bit & 7);
  return changed;
}

test('an audit of a copy gives the same totals, or names the first difference and where it is', async () => {
  const { files: original } = await longHour();
  const stated = decodeRoot(rootOf(original));
  const whole = await auditOf(original.copy());
  expect(whole).toMatchObject({ difference: undefined, signatures: 17, previous: 'none' });
  expect(whole.totals).toEqual({ ...whole.totals, count: stated.count, providers: stated.providers });

  const changed = async (change: (files: CrashingFiles) => void): Promise<unknown> => {
    const files = original.copy();
    change(files);
    return (await auditOf(files)).difference;
  };
  const file = `${EPOCH}/00000001.cbor`;
  const path = fileOf(1);
  // In the signature of its first record, in that of a batch, and at the end of the last file.
  const bytes = original.get(path);
  const flip = (at: string, byte: number) => (files: CrashingFiles) =>
    files.put(at, flipped(files.get(at), 8 * byte));
  expect(await changed(flip(path, 10))).toEqual({ file, byte: 0, why: 'a batch that is not whole' });
  expect(await changed(flip(path, bytes.length >> 1))).toMatchObject({ file, byte: expect.any(Number) });
  expect(await changed(flip(fileOf(2), original.get(fileOf(2)).length - 1))).toMatchObject({
    file: `${EPOCH}/00000002.cbor`,
  });
  expect(await changed((files) => files.remove(path))).toEqual({ file, why: 'it is missing' });
  expect(await changed((files) => files.remove(fileOf(2)))).toEqual({
    file: `${EPOCH}/00000002.cbor`,
    why: 'it is missing',
  });
  expect(await changed((files) => files.put(fileOf(3), original.get(fileOf(2))))).toMatchObject({
    file: `${EPOCH}/00000003.cbor`,
  });
  expect(await changed((files) => files.put(`${FOLDER}/read/${EPOCH}/x`, bytes))).toMatchObject({
    file: `${EPOCH}/x`,
  });
  expect(await changed((files) => files.put(fileOf(2), original.get(fileOf(0))))).toMatchObject({
    ...{ file: `${EPOCH}/00000002.cbor`, record: 0, why: 'its id was there before' },
  });
  expect(await changed((files) => files.put(fileOf(2), new Uint8Array(0)))).toEqual({
    ...{ file: `${EPOCH}/00000002.cbor`, why: 'its records are not those that the root was made of' },
  });
  for (let byte = 0; byte < rootOf(original).length; byte += 37)
    expect(await changed(flip(`${FOLDER}/read/${EPOCH}.root`, byte))).toMatchObject({
      file: `${EPOCH}.root`,
    });
}, 60_000);

test('a bit of a signed record in a batch that was sealed again is named by its record', async () => {
  const world = await newWorld();
  const { files, desk } = world;
  await reads(desk, 'p1', { signed: 5, unsigned: 0 });
  await closeHour(world);
  const { encodeBatch } = await import('../../src/receipts/log/batch.ts');
  const records: Uint8Array[] = recordsOf(files.get(fileOf(0))).map((bytes) => Uint8Array.from(bytes));
  const ack = decodeReceipt(records[3]!) as ReadAck;
  records[3] = encodeReceipt({ ...ack, bytes: ack.bytes + 1 });
  files.put(fileOf(0), encodeBatch(blake3, records));
  expect((await auditOf(files)).difference).toEqual({
    ...{ file: `${EPOCH}/00000000.cbor`, record: 3, why: 'its signature is not valid' },
  });
  // Without its seal being right, the record is found too.
  const one = files.get(fileOf(0));
  files.put(fileOf(0), flipped(one, 8 * 20));
  expect((await auditOf(files)).difference).toMatchObject({ byte: 0, record: 3 });
});

test('an audit sees an id that the hour before has, and a root that does not follow the one there is', async () => {
  const world = await newWorld();
  const { files, clock, desk } = world;
  await reads(desk, 'p1', { signed: 3, unsigned: 0 });
  await closeHour(world);
  await reads(desk, 'p1', { signed: 3, unsigned: 0 });
  expect(await closeHour(world)).toEqual([EPOCH + 1]);
  expect(await auditOf(files, EPOCH + 1)).toMatchObject({ previous: 'right', difference: undefined });
  const before = files.copy();
  before.put(fileOf(0, EPOCH), files.get(fileOf(0, EPOCH + 1)));
  expect((await auditOf(before, EPOCH + 1)).difference).toMatchObject({
    record: 0,
    why: 'its id was there before',
  });
  const absent = files.copy();
  absent.remove(`${FOLDER}/read/${EPOCH}.root`);
  expect(await auditOf(absent, EPOCH + 1)).toMatchObject({ previous: 'absent', difference: undefined });
  const other = await newWorld({ key: new Uint8Array(32).fill(1) });
  await reads(other.desk, 'p1', { signed: 1, unsigned: 0 });
  await closeHour(other);
  absent.put(`${FOLDER}/read/${EPOCH}.root`, rootOf(other.files));
  expect((await auditOf(absent, EPOCH + 1)).difference).toMatchObject({ file: `${EPOCH}.root` });
  expect(clock.now()).toBeGreaterThan(0);
});

test('reads of an epoch are summed up by provider, manifest and domain', async () => {
  const { files, desk } = await newWorld();
  await reads(desk, 'p1', { signed: 2, unsigned: 1 });
  await reads(desk, 'p2', { signed: 1, unsigned: 0 });
  await desk.denied(grantOf(desk, 'p3'), 'rate_limited');
  const place = { files, folder: FOLDER, blake3 };
  expect(await groupReads(place, EPOCH, 'provider')).toEqual([
    { name: 'p1', reads: 3, signed: 2, bytes: 1_020, signedBytes: 20 },
    { name: 'p2', reads: 1, signed: 1, bytes: 10, signedBytes: 10 },
  ]);
  const all = { reads: 4, signed: 3, bytes: 1_030, signedBytes: 30 };
  expect(await groupReads(place, EPOCH, 'domain')).toEqual([{ name: 'example.org', ...all }]);
  expect(await groupReads(place, EPOCH, 'manifest')).toEqual([{ name: `b3:${'11'.repeat(32)}`, ...all }]);
});

test('a damaged hour is not closed, says where, and lets the next be closed once it is moved away', async () => {
  const world = await newWorld();
  const { files, clock, desk } = world;
  await reads(desk, 'p1', { signed: 3, unsigned: 0 });
  const path = fileOf(0);
  const bytes = files.get(path);
  files.put(path, Buffer.concat([flipped(bytes, 8 * 60), bytes]));
  await expect(closeHour(world)).rejects.toMatchObject({
    code: 'receipts_damaged',
    context: { file: '00000000.cbor' },
  });
  await reads(desk, 'p1', { signed: 1, unsigned: 0 });
  files.remove(path);
  expect(await closeHour({ clock, desk })).toEqual([EPOCH + 1]);
  // Brought back after that, it has no place in the order of roots any more.
  files.put(path, bytes);
  expect(await desk.closeDue()).toEqual([]);
  expect(files.paths()).not.toContain(`${FOLDER}/read/${EPOCH}.root`);
});
