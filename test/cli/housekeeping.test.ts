import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CliVault, providersToml, said } from '../helpers/cli.ts';
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
  } finally {
    await cli.remove();
  }
});
