import { stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliVault, IDS, SMALL_PIECES, said } from '../helpers/cli.ts';
import { filesBelow } from '../helpers/files.ts';
import { noise } from '../helpers/vault.ts';

const bytes = noise(24 * 1024 * 1024, 5);

describe('a put of a file that was cut off', () => {
  let cli: CliVault;
  let file: string;
  beforeEach(async () => {
    cli = await CliVault.create(SMALL_PIECES);
    file = join(cli.home, 'film');
    await writeFile(file, bytes);
  });
  afterEach(() => cli.remove());

  /** Files of the providers' blobs, with what tells whether they were written again. */
  async function stored(): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const id of IDS) {
      const files = await filesBelow(join(cli.providerRoot(id), 'blobs')).catch(() => []);
      for (const path of files) {
        const at = await stat(path).catch(() => undefined);
        if (at !== undefined) found.set(path, `${at.ino} ${at.mtimeMs}`);
      }
    }
    return found;
  }

  /** Ends a put once so many blobs are there. */
  async function cutOff(signal: 'SIGKILL' | 'SIGINT'): Promise<{ code: number | null; stderr: string }> {
    const { child, outcome } = cli.start(['put', file]);
    while (child.exitCode === null && (await cli.blobs()).length < 400) await sleep(5);
    child.kill(signal);
    return outcome;
  }

  for (const signal of ['SIGKILL', 'SIGINT'] as const) {
    it(`by ${signal} goes on: what is finished is not sent again`, async () => {
      const first = await cutOff(signal);
      if (signal === 'SIGINT') {
        expect(first.code, first.stderr).toBe(7);
        expect(first.stderr).toMatch(/% of it is stored\n.*Put the same file under the same name again/);
      }
      // Housekeeping of other commands leaves it.
      await cli.run(['put', '-', '--name', 'other'], { input: noise(10) });
      const before = await stored();
      const put = await cli.run(['put', file, '--json']);
      expect(put.code, said(put)).toBe(0);
      const { resumedBytes, certificate } = JSON.parse(put.stdout.toString());
      expect(put.stderr).toMatch(/^resumed: [\d.]+ MiB of [\d.]+ MiB were stored already/m);
      expect(resumedBytes).toBeGreaterThan(1_000_000);
      expect(certificate.tolerates).toBeGreaterThanOrEqual(1);
      const after = await stored();
      let kept = 0;
      for (const [path, mark] of before) {
        if (!after.has(path)) continue;
        expect(after.get(path)).toBe(mark);
        kept++;
      }
      expect(kept).toBeGreaterThan(100);
      expect(Buffer.compare((await cli.run(['get', 'film'])).stdout, bytes)).toBe(0);
      expect((await cli.run(['verify', 'film', '--deep'])).code).toBe(0);
      await cli.run(['rm', 'film']);
      await cli.run(['rm', 'other']);
      await cli.run(['gc', '--min-age', '0']);
      expect(await cli.blobs()).toEqual([]);
    });
  }

  it('begins anew where the file has changed, and with --no-resume', async () => {
    await cutOff('SIGKILL');
    await utimes(file, 1, 1);
    const put = await cli.run(['put', file]);
    expect(put.code, said(put)).toBe(0);
    expect(put.stderr).toContain('begun anew, not resumed: the file is another one, or has changed since');
    const { child, outcome } = cli.start(['put', file, '--no-resume', '--name', 'second']);
    while (child.exitCode === null && (await cli.blobs()).length < 2_000) await sleep(5);
    child.kill('SIGINT');
    expect((await outcome).stderr).not.toMatch(/are stored/);
  });

  it('is ended by gc, and left by gc --keep-unfinished', async () => {
    await cutOff('SIGKILL');
    const left = (await cli.blobs()).length;
    await cli.run(['gc', '--keep-unfinished', '--min-age', '0']);
    expect((await cli.blobs()).length).toBe(left);
    const gc = await cli.run(['gc', '--min-age', '0']);
    expect(gc.code, said(gc)).toBe(0);
    expect(await cli.blobs()).toEqual([]);
  });

  it('standard input says why it cannot go on', async () => {
    const input = (async function* () {
      for (let at = 0; at < bytes.length; at += 1024 * 1024) yield bytes.subarray(at, at + 1024 * 1024);
      await sleep(60_000);
    })();
    const { child, outcome } = cli.start(['put', '-', '--name', 'film'], { input });
    while (child.exitCode === null && (await cli.blobs()).length < 200) await sleep(5);
    child.kill('SIGINT');
    const put = await outcome;
    expect(put.code, said(put)).toBe(7);
    expect(put.stderr).toMatch(/Standard input cannot be read again/);
  });
});
