import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { said, start } from '../helpers/cli.ts';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-history-'));
});
afterAll(() => rm(home, { recursive: true, force: true }));

const history = (...args: string[]) =>
  start(['repair-history', '--home', home, ...args], { cwd: home, input: new Uint8Array(0) }).outcome;
const manifest = `b3:${'4'.repeat(64)}`;

it('repair-history lists what was repaired, newest first, and needs no key', async () => {
  expect((await history()).stdout.toString()).toBe('Nothing was repaired of late.\n');
  await mkdir(join(home, 'logs'));
  await writeFile(join(home, 'storage.toml'), '[repair]\nlog_dir = "logs"\n', { mode: 0o600 });
  const lines = [
    { manifest, chunk: 4, status: 'success', bytes: 2048, ts: '2026-01-02T03:04:05.000Z' },
    { manifest, chunk: 5, status: 'skipped', bytes: 0, error: 'late', ts: '2026-01-02T03:04:06.000Z' },
  ].map((line) => JSON.stringify(line));
  const next = lines[1]!.replace('"ts"', '"next":"2026-01-02T04:00:00.000Z","ts"');
  await writeFile(join(home, 'logs', 'repair-2026-01-02.jsonl'), `${lines[0]}\n${next}\n`);

  const text = await history();
  expect(text.code, said(text)).toBe(0);
  expect(text.stdout.toString().split('\n')).toEqual([
    expect.stringMatching(/^ended +kind +status +stored +chunk +manifest +why$/),
    `2026-01-02T03:04:06Z  repair  skipped  0 B           5  ${manifest}  late; again at 2026-01-02T04:00:00Z`,
    `2026-01-02T03:04:05Z  repair  success  2.00 KiB      4  ${manifest}`,
    '',
  ]);
  const json = await history('--json', '--limit', '1');
  expect(JSON.parse(json.stdout.toString())).toEqual([
    expect.objectContaining({ chunk: 5, status: 'skipped', nextMs: Date.UTC(2026, 0, 2, 4) }),
  ]);
  expect(json.stderr.toString()).toContain('There are more');
});
