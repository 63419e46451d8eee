import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { secureRandom } from '../../src/core/random.ts';
import { createLevelEngine } from '../../src/engine/index.ts';
import { homePaths } from '../../src/vault/home.ts';
import type { MigrateResult } from '../../src/vault/migrate.ts';
import { startPostgres } from './postgres-server.ts';

const CLI = resolve(import.meta.dirname, '../../dist/cli/main.js');
const [RECORDS, KILLS] = process.env.SLOW === '1' ? [100_000, 5] : [6_000, 1];
const postgres = await startPostgres();

describe.skipIf(postgres === undefined)('moving records, killed in the middle', () => {
  const pg = postgres!;
  let folder = '';
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const start = (...args: string[]) => {
    const env = { ...process.env, HOLDFAST_POSTGRES_URL: pg.url };
    const command = [CLI, 'migrate', ...args, '--json', '--home', join(folder, 'config')];
    const child = spawn(process.execPath, command, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (out += part));
    return { child, closed: once(child, 'close'), said: () => out };
  };
  /** Kills it whenever `grown` says that so much more has been copied. */
  const moveUnderKills = async (args: string[], grown: () => Promise<number>, each: number) => {
    let kills = 0;
    for (;;) {
      const { child, closed, said } = start(...args);
      const before = await grown();
      let over = false;
      void closed.then(() => {
        over = true;
      });
      while (!over && kills < KILLS && (await grown()) < before + each) await systemClock.sleep(5);
      if (!over && kills < KILLS) {
        child.kill('SIGKILL');
        kills++;
      }
      const [code] = (await closed) as [number | null];
      if (code === null) continue;
      expect([code, said()]).toEqual([0, expect.any(String)]);
      return { kills, result: JSON.parse(said()) as MigrateResult };
    }
  };

  it('comes through level → postgres → level → memory with the same checksum', {
    timeout: 1_800_000,
  }, async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-migrate-kills-'));
    const [first, back] = [join(folder, 'first'), join(folder, 'back')];
    const location = homePaths(first).engine;
    const engine = createLevelEngine({ location, clock: systemClock, lockWaitMs: 5_000, idleReleaseMs: 50 });
    for (let at = 0; at < RECORDS; at += 1000) {
      const ops = Array.from({ length: 1000 }, (_, i) => ({
        table: ['manifests', 'names', 'shard_index'][(at + i) % 3]!,
        key: `key ${at + i}`,
        value: secureRandom(((at + i) % 200) + 1),
      }));
      await engine.batch(ops);
    }
    await engine.close();
    const began = performance.now();
    const original = (await moveUnderKills([first, 'memory', 'memory'], async () => 0, Infinity)).result;
    const rows = async (): Promise<number> => {
      const counted = await pg.sql('SELECT count(*) AS n FROM moved.entries').catch(() => [{ n: 0 }]);
      return Number(counted[0]!.n);
    };
    const there = await moveUnderKills([first, 'postgres:moved', 'postgres'], rows, RECORDS / (KILLS + 2));
    const bytes = async (): Promise<number> => {
      const names = await readdir(homePaths(back).engine).catch(() => []);
      const sizes = names.map((name) =>
        stat(join(homePaths(back).engine, name)).then(
          ({ size }) => size,
          () => 0,
        ),
      );
      return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    };
    const home = await moveUnderKills(
      ['postgres:moved', back, 'level'],
      bytes,
      (original.bytes * 1.2) / (KILLS + 3),
    );
    const last = (await moveUnderKills([back, 'memory', 'memory'], async () => 0, Infinity)).result;
    const all = [original, there.result, home.result, last];
    expect(all.map(({ records }) => records)).toEqual(all.map(() => RECORDS));
    expect(new Set(all.map(({ checksum }) => checksum)).size).toBe(1);
    expect([there.kills, home.kills]).toEqual([KILLS, KILLS]);
    expect(there.result.resumedAt).toBeGreaterThan(0);
    expect(home.result.resumedAt).toBeGreaterThan(0);
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    console.log(
      `moved ${RECORDS} records level → postgres → level → memory in ${seconds} s, killed ${there.kills} + ${home.kills} times (resumed at ${there.result.resumedAt}, ${home.result.resumedAt}): checksum ${last.checksum} each time`,
    );
  });
});
