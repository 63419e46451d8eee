import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createVault, type Vault } from '../../src/index.ts';
import { movesOf } from '../../src/vault/moves.ts';
import { internalsOf } from '../../src/vault/opened-vault.ts';
import { providersToml, SMALL_PIECES } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';

/** Ten folders, of which the last holds nothing yet. */
async function ten(more = ''): Promise<Vault> {
  const home = await mkdtemp(join(tmpdir(), 'holdfast-moves-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  await writeFile(join(home, 'storage.toml'), `${SMALL_PIECES}${more}${providersToml(10)}`);
  const vault = await createVault({ home, unwrapped: true, env: {} });
  onTestFinished(() => vault.close());
  await vault.providers.setMaintenance('p10', true);
  await vault.putObject(noise(1_000_000), { name: 'x' });
  await vault.providers.setMaintenance('p10', false);
  return vault;
}

const never = new AbortController().signal;

it('what is asked for is planned, and done one at a time when it is confirmed', async () => {
  const vault = await ten();
  const moves = movesOf(internalsOf(vault));
  const away = { verb: 'evacuate', provider: 'p3', minTolerates: undefined } as const;
  expect(await moves.plan(away, never)).toMatchObject({ plan: { refused: { segments: 0 } } });
  const running = moves.run(away, never);
  await expect(moves.run({ verb: 'rebalance' }, never)).rejects.toMatchObject({ code: 'repair_running' });
  expect(await running).toMatchObject({ result: { left: { segments: 0, objects: 0, names: 0 } } });
  const recode = { verb: 'recode', code: 'reed-solomon:8+8', name: undefined, minTolerates: 2 } as const;
  expect(await moves.run(recode, never)).toMatchObject({ plan: { objects: 1 }, result: { objects: 1 } });
  expect(await moves.plan({ verb: 'rebalance' }, never)).toMatchObject({
    plan: { packs: expect.any(Number) },
  });
});

it('what takes too long is stopped, says how far it came, and goes on when it is asked for again', async () => {
  const vault = await ten('[repair]\nbytes_per_second = "64 KiB"\n');
  const away = { verb: 'evacuate', provider: 'p3', minTolerates: undefined } as const;
  const hurried = movesOf(internalsOf(vault), 1_500);
  const answer = await hurried.run(away, never);
  expect(answer).toMatchObject({ plan: expect.anything(), stopped: true });
  expect(answer).not.toHaveProperty('result');
  const stop = new AbortController();
  stop.abort();
  await expect(hurried.run(away, stop.signal)).rejects.toMatchObject({ kind: 'Aborted' });
});
