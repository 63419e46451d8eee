import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock as clock } from '../../src/core/clock.ts';
import { createLevelEngine, type Engine } from '../../src/engine/index.ts';

const BLOCK = 32 * 1024;
const COUNT = 90;
const MARK = { table: 'marks', key: 'incomplete', value: Uint8Array.of(1) };
const keyOf = (i: number): string => String(i).padStart(3, '0');

let folder: string;
/** A database whose log fills several blocks, as a process leaves it that is killed. */
let whole: string;
let log: string;
let bytes: Buffer;
/** Where each write begins in the log; those that go from one block to the next in the first of them. */
const records: { at: number; length: number }[] = [];

const open = (location: string): Engine =>
  createLevelEngine({ location, clock, lockWaitMs: 1000, idleReleaseMs: 60_000, ifIncomplete: MARK });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-gaps-'));
  whole = join(folder, 'whole');
  const first = open(join(folder, 'live'));
  await first.table('t').put('- of an earlier run', Uint8Array.of(1));
  await first.close();
  const engine = open(join(folder, 'live'));
  for (let i = 0; i < COUNT; i++) await engine.table('t').put(keyOf(i), new Uint8Array(900).fill(i));
  await cp(join(folder, 'live'), whole, { recursive: true });
  await engine.close();
  log = (await readdir(whole))
    .filter((name) => name.endsWith('.log'))
    .sort()
    .at(-1)!;
  bytes = await readFile(join(whole, log));
  for (let at = 0; at + 7 <= bytes.length; ) {
    const left = BLOCK - (at % BLOCK);
    const length = left < 7 ? left - 7 : bytes.readUInt16LE(at + 4);
    if (left >= 7) records.push({ at, length });
    at += 7 + length;
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What is found in a copy that was damaged, and whether the database says that it is incomplete. */
async function found(damage: (copy: string) => Promise<void>): Promise<{ keys: string[]; marked: boolean }> {
  const copy = join(folder, 'copy');
  await rm(copy, { recursive: true, force: true });
  await cp(whole, copy, { recursive: true });
  await damage(copy);
  const engine = open(copy);
  try {
    const keys: string[] = [];
    for await (const [key] of engine.table('t').entries()) keys.push(key);
    return { keys, marked: (await engine.table(MARK.table).get(MARK.key)) !== undefined };
  } finally {
    await engine.close();
  }
}

const all = ['- of an earlier run', ...Array.from({ length: COUNT }, (_, i) => keyOf(i))];
const flip = (at: number) => (copy: string) => {
  const damaged = Buffer.from(bytes);
  damaged[at]! ^= 1 << (at % 8);
  return writeFile(join(copy, log), damaged);
};

it('a database that lacks what others follow says so, whichever record of its log is damaged; one that lacks the end does not', async () => {
  expect(bytes.length).toBeGreaterThan(2 * BLOCK);
  expect(await found(async () => {})).toEqual({ keys: all, marked: false });
  let gaps = 0;
  for (const [i, { at, length }] of records.entries()) {
    if (i % 5 > 0) continue;
    for (const byte of [at, at + 4, at + 6, at + 7 + (length >> 1)]) {
      const { keys, marked } = await found(flip(byte));
      const isPrefix = keys.every((key, place) => key === all[place]);
      expect({ byte, marked }).toEqual({ byte, marked: !isPrefix });
      if (marked) gaps++;
    }
  }
  expect(gaps).toBeGreaterThan(10);
}, 120_000);

it('a log that is cut off ends where it was cut off', async () => {
  for (const { at } of records.filter((_, i) => i % 17 === 0)) {
    const { keys, marked } = await found((copy) => writeFile(join(copy, log), bytes.subarray(0, at + 5)));
    expect(marked).toBe(false);
    expect(keys).toEqual(all.slice(0, keys.length));
  }
});

it('a database whose tables were forgotten is not taken for a new one', async () => {
  const gone = found((copy) => rm(join(copy, 'CURRENT')));
  await expect(gone).rejects.toMatchObject({ kind: 'Corrupt', code: 'engine_corrupt' });
});

it('what was found to be missing is told also when the process dies before the database can tell', async () => {
  const { marked } = await found((copy) => writeFile(join(copy, 'INCOMPLETE'), ''));
  expect(marked).toBe(true);
  expect(await readdir(join(folder, 'copy'))).not.toContain('INCOMPLETE');
});
