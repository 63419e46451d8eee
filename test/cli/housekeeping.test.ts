import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CliVault, providersToml, said } from '../helpers/cli.ts';
import { metricIn } from '../helpers/metrics.ts';
import { noise } from '../helpers/vault.ts';

it('rm says why blobs are not deleted yet, and exits with 0', async () => {
  const cli = await CliVault.create(`[placement]\nmin_tolerates = 1\n${providersToml(3)}`);
  try {
    const put = await cli.run(['put', '-', '--name', 'x'], { input: noise(10_000) });
    expect(put.code, said(put)).toBe(0);
    for (const id of ['p1', 'p2']) {
      await rm(join(cli.providerRoot(id), 'slots'), { recursive: true });
      await writeFile(join(cli.providerRoot(id), 'slots'), 'a file in the place of the folder');
    }
    const removed = await cli.run(['rm', 'x']);
    expect(removed.code, said(removed)).toBe(0);
    expect(removed.stderr).toMatch(
      /^warning: the name is removed, and its blobs are not deleted yet: this state is not known .*later commands/m,
    );
    expect((await cli.run(['ls', '--json'])).stdout.toString()).toBe('[]\n');
    const status = await cli.run(['status']);
    expect(status.code, said(status)).toBe(4);
    expect(status.stdout.toString()).toMatch(/^state +not known to be the latest/);
    expect(status.stdout.toString()).toMatch(/^retired +\d due/m);
  } finally {
    await cli.remove();
  }
});

it('status says that nothing is left, or what is, and as metrics too', async () => {
  const cli = await CliVault.create(providersToml(3));
  const file = join(cli.home, 'metrics.prom');
  try {
    await cli.run(['put', '-', '--name', 'x'], { input: noise(10_000) });
    const clean = await cli.run(['status', '--json', '--metrics-file', file]);
    expect(clean.code, said(clean)).toBe(0);
    expect(JSON.parse(clean.stdout.toString())).toMatchObject({
      standing: 'confirmed',
      backlog: { journals: { dead: 0 }, trash: {}, slotsDue: {} },
      unreadable: [],
      reserve: true,
    });
    const text = await readFile(file, 'utf8');
    expect(metricIn(text, 'storage_backlog{kind="journals"}')).toBe(0);
    expect(metricIn(text, 'storage_housekeeping_done_timestamp_seconds')).toBeGreaterThan(0);
  } finally {
    await cli.remove();
  }
});
