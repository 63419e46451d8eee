import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CliVault, type Outcome, said } from '../helpers/cli.ts';

/** Commands on many objects at once. */

let folder: string;
let cli: CliVault;
const run = (args: readonly string[]): Promise<Outcome> => cli.run(args, { cwd: folder });
const lines = ({ stdout }: Outcome): string[] => stdout.toString().split('\n').filter(Boolean);
// biome-ignore lint/suspicious/noExplicitAny: what the program prints
const json = (outcome: Outcome): any[] => lines(outcome).map((line) => JSON.parse(line));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hf-many-'));
  cli = await CliVault.create();
  for (const [name, size] of [
    ['x.txt', 2048],
    ['y.txt', 3],
    ['d/x.txt', 100_000],
    ['d/e/z.md', 10],
    ['d/empty', 0],
  ] as const) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), Buffer.alloc(size, name));
  }
});
afterAll(async () => {
  await cli.remove();
  await rm(folder, { recursive: true });
});

it('puts the files that words and patterns stand for, and names them predictably', async () => {
  const other = await run(['put', 'y.txt', 'd/**', '--json', '--prefix', 'p/']);
  const [results, { summary }] = [json(other).slice(0, -1), json(other).at(-1)];
  expect(results.map(({ file, name, size }) => [file, name, size])).toEqual([
    ['y.txt', 'p/y.txt', 3],
    ['d/e/z.md', 'p/e/z.md', 10],
    ['d/empty', 'p/empty', 0],
    ['d/x.txt', 'p/x.txt', 100_000],
  ]);
  expect(other.code).toBe(0);
  expect(summary).toMatchObject({ stored: 4, failed: 0, untried: 0, size: 100_013 });
});

it('stores the others when one fails, says which, and exits as the worst did', async () => {
  const put = await run(['put', 'x.txt', 'absent', 'd', 'no*']);
  expect(put.code).toBe(3);
  expect(lines(put)).toHaveLength(2);
  expect(lines(put)[0]).toMatch(/2\.00 KiB {2}any 3 of \d may vanish {2}x\.txt$/);
  expect(lines(put)[1]).toMatch(/^1 file stored; 3 failed; 2\.00 KiB/);
  expect(put.stderr).toMatch(/no\* was not stored: no file matches/);
  expect(put.stderr).toMatch(/absent was not stored: .*no such file/);
  expect(put.stderr).toMatch(/ d was not stored: .*it is a folder\n.*'d\/\*\*'/);
  const named = json(await run(['put', 'absent', 'y.txt', '--json']));
  expect(named[0]).toMatchObject({ file: 'absent', error: { code: 'source_unreadable' } });
});

it('stores nothing when two would have one name, and takes no name for several', async () => {
  const before = await cli.blobs();
  for (const args of [
    ['x.txt', 'd/x.txt'],
    ['x.txt', 'y.txt', '--name', 'n'],
    ['x.txt', '-'],
  ]) {
    const put = await run(['put', ...args]);
    expect(`${args}: ${said(put)}`).toContain(': 2: ');
  }
  expect(await cli.blobs()).toEqual(before);
});

it('lists names, or what they stand for, and sums it up', async () => {
  expect(lines(await run(['ls', 'p/e']))).toEqual(['p/e/z.md', 'p/empty']);
  const long = lines(await run(['ls', '-l', 'p/']));
  expect(long[0]).toMatch(/^ +size {2}created +version {2}name$/);
  expect(long).toContainEqual(expect.stringMatching(/^97\.7 KiB {2}2\S+Z +1 {2}p\/x\.txt$/));
  expect(long.at(-1)).toBe('4 objects, 97.7 KiB');
  expect(lines(await run(['ls', '--bytes', 'p/x'])).at(-1)).toBe('1 object, 100000');
  expect((await run(['ls', 'nothing'])).stdout.toString()).toBe('');
  const [usage] = json(await run(['du', '--json', 'p/']));
  expect(usage).toMatchObject({ prefix: 'p/', objects: 4, size: 100_013 });
  expect(usage.groups.map((group: { prefix: string; size: number }) => [group.prefix, group.size])).toEqual([
    ['p/x.txt', 100_000],
    ['p/e/', 10],
    ['p/y.txt', 3],
    ['p/empty', 0],
  ]);
  expect(lines(await run(['du'])).at(-1)).toMatch(/^\S+ KiB +6 {2}in all$/);
});

it('sums up what each provider holds, also what it was never given by this vault', async () => {
  const held = async () => json(await run(['du', '--at-providers', '--json']))[0].providers;
  const before = await held();
  const sum = before.reduce((total: number, { blobs }: { blobs: number }) => total + blobs, 0);
  expect(sum).toBe((await cli.blobs()).length);
  for (const { bytes, usedBytes, untold } of before) expect([usedBytes <= bytes, untold]).toEqual([true, 0]);
  const [{ provider, bytes, blobs }] = before;
  const stray = join(cli.providerRoot(provider), 'blobs', 'ff');
  await mkdir(stray, { recursive: true });
  await writeFile(join(stray, 'e'.repeat(62)), 'x'.repeat(77));
  const [after] = await held();
  expect(after).toMatchObject({ blobs: blobs + 1, bytes: bytes + 77, usedBytes: before[0].usedBytes });
  expect(Math.abs(Date.now() - after.youngestUnixMs)).toBeLessThan(60_000);
  await rm(join(stray, 'e'.repeat(62)));
  expect((await run(['du', '--at-providers', 'p/'])).code).toBe(2);
});

it('verifies every name, and exits as the worst was', async () => {
  const whole = await run(['verify', '--all', '--deep']);
  expect(whole.code).toBe(0);
  expect(lines(whole)).toHaveLength(7);
  expect(lines(whole).at(-1)).toMatch(
    /^6 objects: 6 intact, 0 damaged but readable, 0 NOT readable, .* read$/,
  );
  const root = cli.providerRoot('p3');
  await rename(root, `${root}.away`);
  const damaged = await run(['verify', '--all', 'p/', '--json']);
  await rename(`${root}.away`, root);
  expect(damaged.code).toBe(4);
  const results = json(damaged);
  expect(results.find(({ name }) => name === 'p/x.txt')).toMatchObject({
    intact: false,
    readable: true,
    chunks: 1,
  });
  expect(results.at(-1).summary).toMatchObject({ unreadable: 0, untried: 0 });
  expect(results.at(-1).summary.damaged).toBeGreaterThan(0);
  expect((await run(['verify'])).code).toBe(2);
});
