import { expect, test } from 'vitest';
import { wasmBlake3 as blake3 } from '../../src/core/b3/wasm.ts';
import { deriveGatewayKeys } from '../../src/keys/gateway.ts';
import { encodeBatch } from '../../src/receipts/log/batch.ts';
import { blake3Tree, type TreeHash, TreeRoot } from '../../src/receipts/merkle/tree.ts';
import { decodeReceipt, encodeReceipt, type ReadAck } from '../../src/receipts/records/records.ts';
import { decodeRoot, encodeRoot } from '../../src/receipts/records/root.ts';
import { closeHour, fileOf, flipped, longHour, reads, rootOf } from './hours.ts';
import { itemAt, recordsOf, statedByThePage } from './page-reader.ts';
import { auditOf, type CrashingFiles, EPOCH, ed25519, FOLDER, newWorld } from './world.ts';

const SLOW = process.env.SLOW === '1';

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

/** What a reader written from the page alone finds wrong in an hour of one file, without the signatures. */
function wrongByThePage(files: CrashingFiles): unknown {
  try {
    const stated = statedByThePage([recordsOf(files.get(fileOf(0)))]);
    expect(itemAt(rootOf(files), 0)[0]).toMatchObject(stated);
    return undefined;
  } catch (error) {
    return error;
  }
}

test('whichever bit of an hour is flipped, an audit names the file, and so does the page alone', async () => {
  const world = await newWorld();
  await reads(world.desk, 'p1', { signed: 2, unsigned: 1 });
  await closeHour(world);
  const { files } = world;
  expect([(await auditOf(files)).difference, wrongByThePage(files)]).toEqual([undefined, undefined]);
  const root = `${FOLDER}/read/${EPOCH}.root`;
  const found = { bits: 0, missed: 0 };
  for (const [path, name] of [
    [fileOf(0), `${EPOCH}/00000000.cbor`],
    [root, `${EPOCH}.root`],
  ] as const) {
    const whole = files.get(path);
    for (let bit = 0; bit < 8 * whole.length; bit += SLOW ? 1 : 61) {
      files.put(path, flipped(whole, bit));
      found.bits++;
      const { difference } = await auditOf(files);
      if (difference?.file !== name) found.missed++;
      if (path !== root && wrongByThePage(files) === undefined) found.missed++;
    }
    files.put(path, whole);
  }
  expect(found).toEqual({ bits: found.bits, missed: 0 });
  if (SLOW) console.log(`bits flipped one by one: ${found.bits}; not named: ${found.missed}`);
  expect(found.bits).toBeGreaterThan(SLOW ? 10_000 : 200);
});

test('of a long hour, sampled bits and each file that is missing or too much are named', async () => {
  const { files: original } = await longHour();
  const files = original.copy();
  const paths = files.paths().filter((path) => path.endsWith('.cbor'));
  expect(paths).toHaveLength(3);
  for (const path of paths) {
    const file = path.slice(`${FOLDER}/read/`.length);
    const whole = files.get(path);
    const bits = 8 * whole.length;
    for (let i = 0; i < (SLOW ? 100 : 1); i++) {
      const bit = Math.floor((i + 0.5) * (bits / (SLOW ? 100 : 1)));
      files.put(path, flipped(whole, bit));
      expect((await auditOf(files)).difference).toMatchObject({ file, byte: expect.any(Number) });
    }
    files.remove(path);
    expect((await auditOf(files)).difference).toMatchObject({ file, why: 'it is missing' });
    files.put(path, whole);
  }
  for (const name of ['00000003.cbor', '00000009.cbor', '1.cbor', 'x']) {
    files.put(`${FOLDER}/read/${EPOCH}/${name}`, original.get(paths[2]!));
    expect((await auditOf(files)).difference).toMatchObject({ file: `${EPOCH}/${name}` });
    files.remove(`${FOLDER}/read/${EPOCH}/${name}`);
  }
  expect((await auditOf(files)).difference).toBeUndefined();
});

test('a bit of a signed record in a batch that was sealed again is named by its record', async () => {
  const world = await newWorld();
  const { files, desk } = world;
  await reads(desk, 'p1', { signed: 5, unsigned: 0 });
  await closeHour(world);
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

test('an audit sees files that are not full though they are not the last, whatever the root says of them', async () => {
  const { files: original } = await longHour();
  const files = original.copy();
  const records = [0, 1, 2].flatMap((seq) =>
    recordsOf(original.get(fileOf(seq))).map((one) => Uint8Array.from(one)),
  );
  const hash = blake3Tree(blake3);
  // The gateway itself has put 4,000 records, 4,192 and the rest into its files, and signed what that comes to.
  const parts = [records.slice(0, 4_000), records.slice(4_000, 8_192), records.slice(8_192)];
  for (const [seq, part] of parts.entries()) files.put(fileOf(seq), batchesOf(part));
  const subtrees = parts.map((part) => treeOf(hash, part.map(hash.leaf)));
  const stated = { ...decodeRoot(rootOf(files)), subtrees, root: treeOf(hash, subtrees) };
  const { signingSeed } = deriveGatewayKeys(new Uint8Array(32).fill(7));
  files.put(`${FOLDER}/read/${EPOCH}.root`, encodeRoot(stated, ed25519.signer(signingSeed)));
  expect((await auditOf(files)).difference).toEqual({
    ...{ file: `${EPOCH}/00000000.cbor`, why: 'it has 4000 records, and is not the last' },
  });
});

const treeOf = (hash: TreeHash, leaves: readonly Uint8Array[]): Uint8Array => {
  const tree = new TreeRoot(hash);
  for (const leaf of leaves) tree.append(leaf);
  return tree.root();
};

const batchesOf = (records: readonly Uint8Array[]): Uint8Array =>
  Buffer.concat(
    Array.from({ length: Math.ceil(records.length / 1_000) }, (_, i) =>
      encodeBatch(blake3, records.slice(1_000 * i, 1_000 * (i + 1))),
    ),
  );

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
