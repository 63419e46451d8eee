import { expect, test } from 'vitest';
import { EPOCH_MS } from '../../src/receipts/records/grants.ts';
import { recordsOf } from './page-reader.ts';
import { ackOf, type CrashingFiles, countingRandom, grantOf, newWorld, openDesk } from './world.ts';

const recordsIn = (files: CrashingFiles): Uint8Array[] =>
  files
    .paths()
    .filter((path) => path.endsWith('.cbor'))
    .flatMap((path) => recordsOf(files.get(path)));

test('where a failed write cannot be taken back either, its end is looked for before anything follows', async () => {
  const { files, desk } = await newWorld();
  expect(await desk.unsigned(grantOf(desk), 1)).toBeUndefined();
  const ack = ackOf(grantOf(desk));
  files.fault = () => new Error('I/O error');
  expect(await desk.accept(ack)).toBe('unwritten');
  files.fault = undefined;
  expect(await desk.unsigned(grantOf(desk), 2)).toBeUndefined();
  expect(recordsIn(files)).toHaveLength(2);
  // Nobody knew whether it was written: it is not taken again.
  expect(await desk.accept(ack)).toBe('duplicate');
});

test('a disk that does not answer has nobody wait for ever, and its records count when it does', async () => {
  const { files, clock, desk } = await newWorld();
  expect(await desk.unsigned(grantOf(desk), 1)).toBeUndefined();
  let answer = (): void => undefined;
  const open = files.open.bind(files);
  files.open = async (path) => {
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    return open(path);
  };
  clock.jump += EPOCH_MS;
  const grant = grantOf(desk);
  const waiting = desk.unsigned(grant, 1);
  await clock.advance(10_000);
  expect(await waiting).toBe('unwritten');
  expect(await desk.unsigned(grantOf(desk), 1)).toBe('unwritten');
  answer();
  await clock.advance(0);
  files.open = open;
  expect(await desk.unsigned(grantOf(desk), 1)).toBeUndefined();
});

test('another process that writes to the same folder is noticed before it does harm', async () => {
  const { files, clock, desk } = await newWorld();
  const other = await openDesk({ files, clock, random: countingRandom(500) });
  expect(await desk.unsigned(grantOf(desk), 1)).toBeUndefined();
  expect(await other.unsigned(grantOf(other), 1)).toBeUndefined();
  expect(await desk.unsigned(grantOf(desk), 1)).toBe('unwritten');
  expect(await desk.unsigned(grantOf(desk), 1)).toBe('unwritten');
  expect(recordsIn(files)).toHaveLength(2);
});

test('a damaged file is not taken for one whose writing did not end', async () => {
  const { files, clock, desk } = await newWorld();
  for (let i = 0; i < 3; i++) await desk.unsigned(grantOf(desk), 1);
  await desk.close();
  const [path] = files.paths() as [string];
  const whole = files.get(path);
  for (const at of [0, 2, 40, 100, Math.floor(whole.length / 2)]) {
    const changed = Uint8Array.from(whole);
    changed[at]! ^= 0x10;
    files.put(path, changed);
    await expect(openDesk({ files, clock })).rejects.toMatchObject({ code: 'receipts_damaged' });
    expect(files.get(path)).toEqual(changed);
  }
  files.put(path, whole.slice(0, -1));
  await (await openDesk({ files, clock })).close();
  expect(recordsOf(files.get(path))).toHaveLength(2);
});
