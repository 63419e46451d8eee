import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { wasmBlake3 as blake3 } from '../../src/core/b3/wasm.ts';
import { loadRoot } from '../../src/receipts/close.ts';
import { readsSince, viewEpochs } from '../../src/receipts/epoch-view.ts';
import { listStates } from '../../src/receipts/inspect.ts';
import { diskFiles } from '../../src/receipts/log/disk.ts';
import { timelyFiles } from '../../src/receipts/log/files.ts';
import {
  auditReceipts,
  encodeGrant,
  openReceiptReader,
  openReceipts,
  verifyReceiptProof,
} from '../../src/receipts.ts';
import { receiptParts } from '../../src/vault/open-receipts.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { recordsOf } from './page-reader.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hf-receipts-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const request = {
  ...{ manifest: new Uint8Array(32), provider: 'p1', domain: '', path: '/', client: 'c', length: 100 },
};

/** The files of records, whatever hour it is. */
async function recordFiles(): Promise<string[]> {
  const names = await readdir(join(folder, 'read'), { recursive: true });
  return names.filter((name) => name.endsWith('.cbor')).sort();
}

test('a gateway of the library takes what a reader of the library acknowledges, once', async () => {
  const desk = await openReceipts({ folder });
  const reader = await openReceiptReader();
  const ack = reader.begin(encodeGrant(desk.issue(request)))(77);
  expect(await desk.accept(ack)).toBeUndefined();
  expect(await desk.accept(ack)).toBe('duplicate');
  expect(() => reader.begin(encodeGrant(desk.issue(request)))(101)).toThrow(TypeError);
  const gateway = desk.gateway;
  await desk.close();
  const again = await openReceipts({ folder });
  expect(again.gateway).toEqual(gateway);
  expect(await again.accept(ack)).toBe('duplicate');
  expect(await again.closeDue()).toEqual([]);
  await again.close();
  const [file] = (await recordFiles()) as [string];
  expect(recordsOf(await readFile(join(folder, 'read', file)))).toHaveLength(1);
  expect((await stat(join(folder, 'gateway.key'))).mode & 0o777).toBe(0o600);
});

test('a reader has another key for each gateway, and one for an hour of one', async () => {
  const reader = await openReceiptReader();
  const desk = await openReceipts({ folder });
  const other = await openReceipts({ folder: join(folder, 'other') });
  const keyIn = (grant: Uint8Array): string => {
    const ack = Buffer.from(reader.begin(grant)(1));
    const at = ack.indexOf(Buffer.from('62706b5820', 'hex')) + 5;
    return ack.subarray(at, at + 32).toString('hex');
  };
  const keys = [desk, desk, other].map((one) => keyIn(encodeGrant(one.issue(request))));
  expect(keys[0]).toBe(keys[1]);
  expect(keys[2]).not.toBe(keys[0]);
  await Promise.all([desk.close(), other.close()]);
});

test('one process has a folder of receipts, until it lets go of it', async () => {
  const desk = await openReceipts({ folder });
  await expect(openReceipts({ folder })).rejects.toMatchObject({ kind: 'Conflict', code: 'receipts_shared' });
  await desk.close();
  await (await openReceipts({ folder })).close();
});

test('a folder that cannot be written to is named, and not taken for a database', async () => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  const given = openReceipts({ folder: join(file, 'receipts') });
  await expect(given).rejects.toMatchObject({ message: expect.stringContaining(join(file, 'receipts')) });
});

test('a key file that is none of ours is refused and left as it is', async () => {
  await writeFile(join(folder, 'gateway.key'), 'x');
  await expect(openReceipts({ folder })).rejects.toMatchObject({ code: 'bad_key_file' });
  expect(await readFile(join(folder, 'gateway.key'), 'utf8')).toBe('x');
  await rm(join(folder, 'gateway.key'));
  await (await openReceipts({ folder })).close();
});

test('the key of a folder that has receipts is not made anew', async () => {
  const desk = await openReceipts({ folder });
  await desk.unsigned(desk.issue(request), 1);
  await desk.close();
  const path = join(folder, 'gateway.key');
  const key = await readFile(path);
  await rm(path);
  await expect(openReceipts({ folder })).rejects.toMatchObject({ code: 'bad_key_file' });
  expect(await readdir(folder)).not.toContain('gateway.key');
  await writeFile(path, key);
  const again = await openReceipts({ folder });
  expect(again.gateway).toEqual(desk.gateway);
  await again.close();
});

test('what goes to a folder that was deleted or has another owner is not said to be written down', async () => {
  const desk = await openReceipts({ folder });
  const write = () => desk.unsigned(desk.issue(request), 1);
  expect(await write()).toBeUndefined();
  const reader = await openReceiptReader();
  const ack = reader.begin(encodeGrant(desk.issue(request)))(77);
  await rm(join(folder, 'read'), { recursive: true });
  expect(await desk.accept(ack)).toBe('unwritten');
  // It goes on where it can, and nothing is taken for written before.
  expect(await desk.accept(ack)).toBeUndefined();
  const [file] = (await recordFiles()) as [string];
  expect(recordsOf(await readFile(join(folder, 'read', file)))).toHaveLength(1);

  await rename(folder, `${folder}-away`);
  expect(await write()).toBe('unwritten');
  await mkdir(folder);
  await writeFile(join(folder, 'gateway.key'), `${'ab'.repeat(32)}\n`);
  expect(await write()).toBe('unwritten');
  expect(await readdir(folder)).toEqual(['gateway.key']);
  await rm(folder, { recursive: true });
  await rename(`${folder}-away`, folder);
  expect(await write()).toBeUndefined();
  await desk.close();
});

test('what a killed process left half written is cut off at the next start', async () => {
  const desk = await openReceipts({ folder });
  await desk.unsigned(desk.issue(request), 1);
  await desk.unsigned(desk.issue(request), 2);
  await desk.close();
  const [file] = (await recordFiles()) as [string];
  const path = join(folder, 'read', file);
  const whole = await readFile(path);
  await writeFile(path, Buffer.concat([whole, whole.subarray(0, whole.length / 2 - 5)]));
  const again = await openReceipts({ folder });
  expect(await readFile(path)).toEqual(whole);
  expect(await again.unsigned(again.issue(request), 3)).toBeUndefined();
  await again.close();
  const all = await Promise.all((await recordFiles()).map((name) => readFile(join(folder, 'read', name))));
  expect(all.flatMap(recordsOf)).toHaveLength(3);
});

test('a file is placed whole and once, and links are not followed', async () => {
  const path = join(folder, 'a', 'b');
  expect(await diskFiles.place(path, Uint8Array.of(1, 2))).toBe(true);
  expect(await diskFiles.place(path, Uint8Array.of(3))).toBe(false);
  expect(await diskFiles.read(path, 2)).toEqual(Uint8Array.of(1, 2));
  await expect(diskFiles.read(path, 1)).rejects.toMatchObject({ code: 'access_denied' });
  expect(await diskFiles.read(join(folder, 'none', 'x'), 1)).toBeUndefined();
  expect(await readdir(join(folder, 'a'))).toEqual(['b']);
  await symlink(path, join(folder, 'link'));
  await expect(diskFiles.read(join(folder, 'link'), 9)).rejects.toMatchObject({ code: 'access_denied' });
  await expect(diskFiles.open(join(folder, 'link'))).rejects.toMatchObject({ code: 'access_denied' });
  await expect(diskFiles.open(join(folder, 'a'))).rejects.toMatchObject({ code: 'access_denied' });
});

test('an hour whose root is a link hides none of the others', async () => {
  await mkdir(join(folder, 'read', '7'), { recursive: true });
  await symlink('/dev/zero', join(folder, 'read', '8.root'));
  const states = await listStates(await receiptParts(folder, {}));
  expect(states.map(({ epoch, state }) => [epoch, state])).toEqual([
    [7, 'void'],
    [8, 'damaged'],
  ]);
});

test('an audit of a folder without receipts, and a proof that is none, say so', async () => {
  await expect(auditReceipts(folder, 1)).rejects.toMatchObject({ code: 'no_such_epoch' });
  await expect(verifyReceiptProof(Uint8Array.of(1))).rejects.toMatchObject({ code: 'receipt_malformed' });
});

test('a disk that does not answer keeps nobody waiting who reads or places', async () => {
  const clock = new FakeClock();
  const never = <T>(): Promise<T> => new Promise<T>(() => undefined);
  const files = timelyFiles({ list: never, read: never, open: never, place: never }, clock);
  const place = { files, folder, blake3 };
  const waiting = [
    viewEpochs(place, { limit: 1 }),
    readsSince(place, { epoch: 0, file: 0 }),
    loadRoot(place, 1),
    files.place(join(folder, '1.root'), new Uint8Array(1)),
  ];
  const outcomes = Promise.allSettled(waiting);
  await clock.advance(30_000);
  for (const outcome of await outcomes)
    expect(outcome).toMatchObject({ status: 'rejected', reason: { kind: 'Timeout' } });
});
