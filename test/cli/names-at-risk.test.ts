import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CliVault, providersToml, said } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';

it('a put whose name too few providers took exits with 8, stat tells it, and a later command mends it', async () => {
  const cli = await CliVault.create(`[placement]\nmin_tolerates = 1\n${providersToml(3)}`);
  try {
    const slots = (): Promise<string[]> => readdir(join(cli.providerRoot('p1'), 'slots'));
    expect((await cli.run(['put', '-', '--name', 'w'], { input: noise(10) })).code).toBe(0);
    const others = await slots();
    expect((await cli.run(['put', '-', '--name', 'x'], { input: noise(10) })).code).toBe(0);
    const [slot] = (await slots()).filter((each) => !others.includes(each));
    const inTheWay = ['p1', 'p2'].map((id) => join(cli.providerRoot(id), 'slots', slot!));
    for (const path of inTheWay) {
      await rm(path, { recursive: true });
      await writeFile(path, 'a file in the place of the folder');
    }
    const put = await cli.run(['put', '-', '--name', 'x'], { input: noise(100) });
    expect(put.code, said(put)).toBe(8);
    expect(put.stderr).toMatch(/the name does not survive the loss of even one provider/);
    const got = await cli.run(['get', 'x']);
    expect(Buffer.compare(got.stdout, noise(100))).toBe(0);
    const before = await cli.run(['stat', 'x']);
    expect(before.stdout.toString(), said(before)).toMatch(
      /name at +p3: does not survive .* fewer than the object/,
    );
    for (const path of inTheWay) await rm(path);
    const again = await cli.run(['put', '-', '--name', 'y'], { input: noise(100) });
    expect(again.code, said(again)).toBe(0);
    const after = JSON.parse((await cli.run(['stat', 'x', '--json'])).stdout.toString());
    expect(after.nameCopies.tolerates).toBeGreaterThanOrEqual(1);
  } finally {
    await cli.remove();
  }
});
