import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { withDate } from '../../attacks/records-processes.ts';
import { CliVault, providersToml, SLOW, said } from '../../helpers/cli.ts';
import { noise } from '../../helpers/vault.ts';

/** Where removals were remembered for ever, so many left 16,000 files, and a recovery took 20 s. */
const NAMES = SLOW ? 2000 : 100;
const PARALLEL = 8;
const PROVIDERS = ['p1', 'p2', 'p3', 'p4'];

async function filesAt(cli: CliVault, ids: readonly string[]): Promise<number> {
  let files = 0;
  for (const id of ids) {
    const entries = await readdir(cli.providerRoot(id), { recursive: true, withFileTypes: true });
    files += entries.filter((entry) => entry.isFile()).length;
  }
  return files;
}

it('names that were put and removed leave nothing behind, and recovery is quick', async () => {
  const cli = await CliVault.create(`[placement]\nmin_tolerates = 1\n${providersToml(PROVIDERS.length)}`);
  try {
    expect((await cli.run(['put', '-', '--name', 'stays'], { input: noise(300) })).code).toBe(0);
    const before = await filesAt(cli, PROVIDERS);
    const vault = await cli.open();
    let next = 0;
    const work = async (): Promise<void> => {
      for (let i = next++; i < NAMES; i = next++) {
        await vault.putObject(noise(100, i + 1), { name: `n${i}` });
        await vault.deleteObject(`n${i}`);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    await vault.close();
    const removed = await filesAt(cli, PROVIDERS);
    expect(removed).toBeGreaterThan(before + NAMES);
    const forgotten = await withDate(cli, `${Date.now() + 8 * 86_400_000}`, ['gc'], new Uint8Array(0));
    expect(forgotten.code, forgotten.stderr).toBe(0);
    // Each keeps some generations of the slot that tells how far the state is.
    const left = await filesAt(cli, PROVIDERS);
    expect(left).toBeLessThanOrEqual(before + 8 * PROVIDERS.length);
    await rm(join(cli.home, 'engine'), { recursive: true });
    const started = performance.now();
    const recovered = await cli.run(['recover', '--json']);
    const ms = performance.now() - started;
    expect(recovered.code, said(recovered)).toBe(0);
    expect(JSON.parse(recovered.stdout.toString())).toMatchObject({ names: 1, deleted: 0 });
    console.log(
      `removed names: ${NAMES} put and removed: ${removed} files at the providers, ${left} once they are forgotten, ${before} before; recover then took ${ms.toFixed(0)} ms`,
    );
  } finally {
    await cli.remove();
  }
});
