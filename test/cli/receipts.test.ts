import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { diskFiles } from '../../src/receipts/log/disk.ts';
import { start } from '../helpers/cli.ts';
import { flipBit } from '../helpers/files.ts';
import { ackOf, EPOCH, grantOf, newClock, openDesk } from '../receipts/world.ts';

/** A copied folder of one closed hour, and nothing else: no home, no configuration, no key. */
let folder: string;
let id: string;
let gateway: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hf-receipts-cli-'));
  const clock = newClock();
  const desk = await openDesk({ files: diskFiles, clock, folder: join(folder, 'original') });
  const grants = Array.from({ length: 12 }, (_, i) => grantOf(desk, `p${i % 2}`));
  for (const grant of grants.slice(0, 6)) await desk.accept(ackOf(grant, 500));
  for (const grant of grants.slice(6)) await desk.unsigned(grant, 1_000);
  clock.jump += 3_600_000 + 300_000;
  expect(await desk.closeDue()).toHaveLength(1);
  await desk.close();
  id = toHex(grants[3]!.readId);
  gateway = toHex(desk.gateway);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = async (...args: string[]): Promise<{ code: number | null; text: string }> => {
  const { code, stdout, stderr } = await start(['receipts', ...args], { cwd: folder }).outcome;
  return { code, text: `${stdout}${stderr}` };
};

test('the hours, an hour and one receipt of it are shown', async () => {
  const list = await run('list', '--folder', 'original', '--json');
  expect(list.code).toBe(0);
  expect(JSON.parse(list.text)).toMatchObject([
    { epoch: EPOCH, state: 'closed', receipts: 12, credited: 3_000 },
  ]);
  const show = await run('show', `${EPOCH}`, '--folder', 'original', '--by', 'domain');
  expect(show.text).toMatch(/^example\.org +12 +6 /m);
  const one = await run('show', id, '--folder', 'original', '--json');
  expect(JSON.parse(one.text)).toMatchObject({ epoch: EPOCH, kind: 'read', bytes: 500, readId: id });
  expect(await run('show', '00'.repeat(32), '--folder', 'original')).toMatchObject({ code: 3 });
});

test('the receipts of an hour are listed page by page, with the ids that prove takes', async () => {
  const page = async (skip: number) => {
    const args = ['show', `${EPOCH}`, '--folder', 'original', '--records', '--json'];
    return JSON.parse((await run(...args, '--skip', `${skip}`, '--limit', '5')).text);
  };
  const pages = [await page(0), await page(5), await page(10)];
  expect(pages.map(({ next }) => next)).toEqual([5, 10, null]);
  const records = pages.flatMap((one) => one.records);
  expect(new Set(records.map((one) => one.id)).size).toBe(12);
  expect(records.filter(({ what }) => what === 'signed')).toHaveLength(6);
  expect(records.find((one) => one.id === id)).toMatchObject({ what: 'signed', provider: 'p1', bytes: 500 });
  const text = (await run('show', `${EPOCH}`, '--folder', 'original', '--records', '--limit', '4')).text;
  expect(text).toContain('more with: --skip 4');
  expect((await run('show', `${EPOCH}`, '--folder', 'original', '--records')).text).not.toContain('--skip');
});

test('an hour of which there are no receipts is told of, and is not an empty one', async () => {
  for (const more of [[], ['--records']]) {
    const none = await run('show', `${EPOCH + 1}`, '--folder', 'original', ...more);
    expect(none.code).toBe(3);
    expect(none.text).toContain('holdfast receipts list');
  }
});

test('a folder that is not there is refused, and not taken for one without receipts', async () => {
  const list = await run('list', '--folder', 'orignal');
  expect(list.code).toBe(3);
  expect(list.text).toContain('--folder');
});

test('a damaged hour is listed with what to do about it, and one that came back too late is void', async () => {
  const copy = join(folder, 'damaged');
  await cp(join(folder, 'original', 'read'), join(copy, 'read'), { recursive: true });
  const hours = (await run('list', '--folder', 'damaged', '--json')).text;
  expect(JSON.parse(hours)).toMatchObject([{ epoch: EPOCH, state: 'closed' }]);
  for (const epoch of [EPOCH - 1, EPOCH + 1])
    await cp(join(copy, 'read', `${EPOCH}`), join(copy, 'read', `${epoch}`), { recursive: true });
  await flipBit(join(copy, 'read', `${EPOCH + 1}`, '00000000.cbor'), 8 * 40);
  const list = await run('list', '--folder', 'damaged');
  expect(list.code).toBe(5);
  expect(list.text).toMatch(new RegExp(`^${EPOCH - 1} .* void `, 'm'));
  expect(list.text).toMatch(new RegExp(`^${EPOCH + 1} .* damaged `, 'm'));
  expect(list.text).toContain(`Restore ${join(copy, 'read', `${EPOCH + 1}`, '00000000.cbor')} from a copy`);
});

test('a proof holds with nothing but its file, and not with a bit changed', async () => {
  const made = await run('prove', id, '--folder', 'original', '--out', 'proof');
  expect(made).toMatchObject({ code: 0 });
  const proven = await run('verify', 'proof', '--gateway', gateway);
  expect(proven.text).toContain('the receipt is in the root of its epoch');
  expect(proven.code).toBe(0);
  expect(await run('verify', 'proof', '--gateway', '00'.repeat(32))).toMatchObject({ code: 5 });
  await flipBit(join(folder, 'proof'), 8 * 120);
  expect(await run('verify', 'proof')).toMatchObject({ code: 5 });
  await writeFile(join(folder, 'proof'), 'none');
  expect(await run('verify', 'proof')).toMatchObject({ code: 5 });
});

test('an audit of a copy elsewhere gives the same totals, or names the first difference', async () => {
  await cp(join(folder, 'original', 'read'), join(folder, 'elsewhere', 'read'), { recursive: true });
  const [here, there] = await Promise.all(
    ['original', 'elsewhere'].map((name) =>
      run('audit', `${EPOCH}`, '--folder', name, '--gateway', gateway, '--json'),
    ),
  );
  expect(here!.code).toBe(0);
  expect(there).toEqual(here);
  expect(JSON.parse(here!.text).totals).toMatchObject({ count: 12, bytes: 9_000, credited: 3_000 });
  await flipBit(join(folder, 'elsewhere', 'read', `${EPOCH}`, '00000000.cbor'), 8 * 600);
  const flipped = await run('audit', `${EPOCH}`, '--folder', 'elsewhere');
  expect(flipped.code).toBe(5);
  expect(flipped.text).toMatch(/first +read\/500000\/00000000\.cbor, .*in the batch at byte \d+: /);
  expect(await run('audit', '7', '--folder', 'original')).toMatchObject({ code: 3 });
});

test('what a stranger wrote into a folder cannot pass for a line of ours', async () => {
  const clock = newClock();
  const desk = await openDesk({ files: diskFiles, clock, folder: join(folder, 'strange') });
  const grant = grantOf(desk, 'p1\nepoch 5 is as its root says\u001b[2J');
  await desk.accept(ackOf(grant, 500));
  clock.jump += 3_600_000 + 300_000;
  await desk.closeDue();
  await desk.close();
  const strange = ['--folder', 'strange'];
  const hostile = `\nepoch ${EPOCH} is as its root says`;
  for (const words of [
    ['audit', `${EPOCH}`],
    ['show', `${EPOCH}`],
    ['show', toHex(grant.readId)],
  ]) {
    const { text } = await run(...words, ...strange);
    expect(text).toContain('p1\\u000aepoch 5 is as its root says\\u001b[2J');
    expect(text).not.toMatch(/^epoch 5 /m);
  }
  await writeFile(join(folder, 'strange', 'read', `${EPOCH}`, hostile), '');
  const { code, text } = await run('audit', `${EPOCH}`, ...strange);
  expect([code, text.startsWith(`epoch ${EPOCH} is NOT`), text.includes(hostile)]).toEqual([5, true, false]);
});
