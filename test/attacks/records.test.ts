import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliVault, IDS, SMALL_PIECES, said } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';
import { killedAfterPut, withDate } from './records-processes.ts';

const MIB = 1024 * 1024;

let cli: CliVault;
beforeEach(async () => {
  cli = await CliVault.create(SMALL_PIECES);
});
afterEach(() => cli.remove());

const put = (name: string, bytes: Uint8Array) =>
  cli.run(['put', '-', '--name', name, '--json'], { input: bytes });
const content = async (name: string): Promise<Buffer> => (await cli.run(['get', name])).stdout;
const loseState = (): Promise<void> => rm(join(cli.home, 'engine'), { recursive: true });

/** Bytes used at each provider: as `providers` shows them, and as `stat` of all packs on the disks would have it. */
async function used(): Promise<{ readonly shown: number; readonly there: number }> {
  const shown = JSON.parse((await cli.run(['providers', '--json'])).stdout.toString()) as {
    usedBytes: number;
  }[];
  const vault = await cli.open();
  let there = 0;
  try {
    for await (const { manifest: address } of vault.listManifests()) there += await packBytes(vault, address);
  } finally {
    await vault.close();
  }
  return { shown: shown.reduce((sum, { usedBytes }) => sum + usedBytes, 0), there };
}

/** What all but the nodes of a manifest take up: `verify` reads each shard once. */
async function packBytes(vault: Awaited<ReturnType<CliVault['open']>>, manifest: string): Promise<number> {
  return (await vault.verifyObject(manifest)).bytesRead;
}

describe('a process that is killed', () => {
  it('right after the result of a put has what it stored counted, four times in a row', async () => {
    for (let i = 0; i < 4; i++) {
      const outcome = await killedAfterPut(cli, `x${i}`, 300_000);
      expect([outcome.signal, outcome.stdout]).toEqual(['SIGKILL', expect.stringContaining('b3:')]);
    }
    const { shown, there } = await used();
    expect(there).toBeGreaterThan(4 * 300_000);
    expect(shown).toBe(there);
  }, 60_000);

  it('in the middle of puts leaves right figures too, once another has cleared up', async () => {
    await put('kept', noise(200_000, 1));
    for (const after of [5, 40]) {
      const running = cli.start(['put', '-', '--name', 'kept'], { input: noise(3 * MIB, 2) });
      const before = (await cli.blobs()).length;
      await expect
        .poll(async () => (await cli.blobs()).length, { timeout: 20_000 })
        .toBeGreaterThan(before + after);
      running.child.kill('SIGKILL');
      await running.outcome;
    }
    // One command clears up as much as it has time for.
    const settled = async (): Promise<boolean> => {
      expect((await put('more', noise(200_000, 3))).code).toBe(0);
      const { shown, there } = await used();
      return shown === there;
    };
    await expect.poll(settled, { timeout: 30_000 }).toBe(true);
  }, 60_000);
});

describe('a state that is lost, old or forked', () => {
  it('loses nothing acknowledged when versions tie: the last put comes back, the one before is kept', async () => {
    await put('x', noise(10_000, 1));
    await loseState();
    const second = await put('x', noise(10_000, 2));
    expect(second.stderr).toContain('that this state did not know of; its content is kept as "x (fork ');
    const [{ keptAs }] = JSON.parse(second.stdout.toString()).forks;
    await loseState();
    expect((await cli.run(['recover'])).code).toBe(0);
    expect((await content('x')).equals(Buffer.from(noise(10_000, 2)))).toBe(true);
    expect((await content(keptAs)).equals(Buffer.from(noise(10_000, 1)))).toBe(true);
  }, 60_000);

  it('is told when it was restored from a backup, by the read that fails', async () => {
    await put('x', noise(300_000, 1));
    const backup = join(cli.home, 'backup');
    await cp(join(cli.home, 'engine'), backup, { recursive: true });
    await put('x', noise(300_000, 2));
    await loseState();
    await cp(backup, join(cli.home, 'engine'), { recursive: true });
    const get = await cli.run(['get', 'x']);
    expect([get.code, get.stderr], said(get)).toEqual([4, expect.stringContaining('run `holdfast recover`')]);
    expect((await cli.run(['recover'])).code).toBe(0);
    expect((await content('x')).equals(Buffer.from(noise(300_000, 2)))).toBe(true);
  }, 60_000);

  it('notices providers that have all gone back, keeps what it knows and gives it to them again', async () => {
    await put('x', noise(10_000, 1));
    const slots = IDS.map((id) => join(cli.providerRoot(id), 'slots'));
    for (const folder of slots) await cp(folder, `${folder}.old`, { recursive: true }).catch(() => {});
    await put('x', noise(10_000, 2));
    for (const folder of slots) {
      await rm(folder, { recursive: true, force: true });
      await cp(`${folder}.old`, folder, { recursive: true }).catch(() => {});
    }
    const recovered = await cli.run(['recover']);
    expect([recovered.code, recovered.stderr]).toEqual([
      5,
      expect.stringContaining('gone back to an older version of "x"'),
    ]);
    await loseState();
    expect((await cli.run(['recover'])).code).toBe(0);
    expect((await content('x')).equals(Buffer.from(noise(10_000, 2)))).toBe(true);
  }, 60_000);
});

describe('a clock that no record can hold', () => {
  it('is refused before anything is acknowledged, and nothing is changed', async () => {
    await put('x', noise(3_000, 1));
    const before = await cli.blobs();
    const commands = [
      ['put', '-', '--name', 'x', '--json'],
      ['rm', 'x', '--json'],
    ];
    for (const command of commands) {
      const refused = await withDate(cli, '-86400000', command, noise(3_000, 2));
      const expected = [2, expect.stringContaining('clock_implausible')];
      expect([refused.code, refused.stderr], refused.stdout).toEqual(expected);
    }
    expect(await cli.blobs()).toEqual(before);
    expect((await content('x')).equals(Buffer.from(noise(3_000, 1)))).toBe(true);
  }, 60_000);
});
