import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CliVault, providersToml, said, start } from '../../helpers/cli.ts';
import { noise } from '../../helpers/vault.ts';

let cli: CliVault;
let providers: string;
beforeEach(async () => {
  providers = await mkdtemp(join(tmpdir(), 'holdfast-places-'));
  const places = providersToml(5).replaceAll('"providers/', `"${providers}/`);
  cli = await CliVault.create(`[placement]\nmin_tolerates = 1\n${places}`);
});
afterEach(async () => {
  await cli.remove();
  await rm(providers, { recursive: true, force: true });
});

it('two homes with one key overwrite and delete nothing of each other', async () => {
  const other = `${cli.home}.other`;
  try {
    // The key and the configuration alone: its state begins empty.
    await cp(cli.home, other, { recursive: true, filter: (path) => !/engine|owners|reserve/.test(path) });
    const flags = ['--home', other, '--config', join(other, 'storage.toml')];
    const there = (words: readonly string[], input: Uint8Array = new Uint8Array(0)) =>
      start([...words, ...flags], { input }).outcome;
    const done = (outcome: Awaited<ReturnType<typeof there>>): void =>
      expect([0, 8], said(outcome)).toContain(outcome.code);
    const input = (seed: number): Uint8Array => noise(60_000, seed);
    done(await cli.run(['put', '-', '--name', 'x'], { input: input(1) }));
    done(await cli.run(['put', '-', '--name', 'first'], { input: input(2) }));
    done(await there(['put', '-', '--name', 'x'], input(3)));
    done(await there(['put', '-', '--name', 'second'], input(4)));
    done(await cli.run(['put', '-', '--name', 'x'], { input: input(5) }));
    done(await there(['rm', 'second']));
    done(await there(['put', '-', '--name', 'x'], input(6)));
    for (const command of [['gc'], ['gc', '--min-age', '0']]) {
      await there(command);
      await cli.run(command);
    }
    const recovered = await cli.run(['recover']);
    expect(recovered.code, said(recovered)).toBe(0);
    await cli.run(['gc', '--min-age', '0']);
    const names = (JSON.parse((await cli.run(['ls', '--json'])).stdout.toString()) as { name: string }[]).map(
      ({ name }) => name,
    );
    const contents = await Promise.all(names.map(async (name) => (await cli.run(['get', name])).stdout));
    const seeds = contents.map((bytes) =>
      [1, 2, 3, 4, 5, 6].find((seed) => Buffer.compare(bytes, input(seed)) === 0),
    );
    // What each replaced of its own may be gone; what it had not heard of is not.
    expect(names).toContain('first');
    expect(seeds[names.indexOf('x')]).toBe(6);
    expect(seeds).toEqual(expect.arrayContaining([2, 5, 6]));
    expect(seeds).not.toContain(4);
    expect(seeds).not.toContain(undefined);
  } finally {
    await rm(other, { recursive: true, force: true });
  }
});
