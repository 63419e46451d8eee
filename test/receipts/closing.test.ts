import { expect, test } from 'vitest';
import { wasmBlake3 as blake3 } from '../../src/core/b3/wasm.ts';
import { toHex } from '../../src/core/bytes.ts';
import { findReceipt, groupReads, proveReceipt, verifyProof } from '../../src/receipts/inspect.ts';
import { EPOCH_MS } from '../../src/receipts/records/grants.ts';
import {
  decodeReceipt,
  encodeReceipt,
  type ReadAck,
  signExecution,
} from '../../src/receipts/records/records.ts';
import { decodeProof, decodeRoot, encodeProof } from '../../src/receipts/records/root.ts';
import { closeHour, fileOf, flipped, longHour, reads, rootOf } from './hours.ts';
import { itemAt, recordsOf, statedByThePage } from './page-reader.ts';
import { auditOf, EPOCH, ed25519, FOLDER, grantOf, newWorld, openDesk, reader, requestOf } from './world.ts';

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
  for (let i = 0; i < 50; i++) await desk.denied(requestOf('just'), 'rate_limited');
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

test('costs that no number can hold keep no hour from its root', async () => {
  const world = await newWorld();
  const { files, clock, desk } = world;
  const cost = { cpuUs: Number.MAX_SAFE_INTEGER, diskRead: 0, diskWritten: 0, ts: Math.floor(clock.now()) };
  const hash = new Uint8Array(32);
  for (const id of [1, 2, 3]) {
    const execution = { ...cost, gateway: desk.gateway, manifest: hash, pathHash: hash, domain: '' };
    const executionId = new Uint8Array(16).fill(id);
    const signed = signExecution({ ...execution, provider: 'p1', executionId }, reader);
    expect(await desk.executed(encodeReceipt(signed))).toBeUndefined();
  }
  expect(await closeHour(world)).toEqual([EPOCH]);
  const [provider] = decodeRoot(rootOf(files)).providers;
  expect(provider).toMatchObject({ executions: 3, cpuUs: Number.MAX_SAFE_INTEGER });
  expect((await auditOf(files)).difference).toBeUndefined();
});

test('an epoch of which nothing is credited gets its root all the same', async () => {
  const world = await newWorld();
  await reads(world.desk, 'p1', { signed: 1, unsigned: 30 });
  expect(await closeHour(world)).toEqual([EPOCH]);
  expect(decodeRoot(rootOf(world.files))).toMatchObject({ credited: 0, count: 31 });
  expect((await auditOf(world.files)).difference).toBeUndefined();
});

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

test('reads of an epoch are summed up by provider, manifest and domain', async () => {
  const { files, desk } = await newWorld();
  await reads(desk, 'p1', { signed: 2, unsigned: 1 });
  await reads(desk, 'p2', { signed: 1, unsigned: 0 });
  await desk.denied(requestOf('p3'), 'rate_limited');
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
