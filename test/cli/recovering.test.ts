import { rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CliVault, IDS, said, start } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';

describe('recovering', () => {
  it('brings every name back from the providers and the key', async () => {
    const cli = await CliVault.create();
    const names = ['one', 'two', 'three'];
    for (const [i, name] of names.entries())
      await cli.run(['put', '-', '--name', name], { input: noise(1000 * i, i) });
    await cli.run(['put', '-', '--name', 'one'], { input: noise(5000, 77) });
    await cli.run(['rm', 'three']);
    await rm(join(cli.home, 'engine'), { recursive: true });
    expect((await cli.run(['get', 'one'])).code).toBe(3);
    for (const id of ['p2', 'p5', 'p8']) await rm(cli.providerRoot(id), { recursive: true });
    const recovered = await cli.run(['recover', '--json']);
    expect(JSON.parse(recovered.stdout.toString()), said(recovered)).toMatchObject({
      names: 2,
      deleted: 1,
      manifests: 2,
      lost: [],
      unconfirmed: { providers: [{ id: 'p2' }, { id: 'p5' }, { id: 'p8' }], names: [] },
    });
    // All names are back, but nobody can say what those knew that are gone.
    expect(recovered.code).toBe(4);
    for (const id of ['p2', 'p5', 'p8']) expect(recovered.stderr).toContain(`${id} was not heard to the end`);
    expect(Buffer.compare((await cli.run(['get', 'one'])).stdout, noise(5000, 77))).toBe(0);
    expect(Buffer.compare((await cli.run(['get', 'two'])).stdout, noise(1000, 1))).toBe(0);
    expect((await cli.run(['get', 'three'])).code).toBe(3);
    await cli.remove();
  });

  it('with a key file leaves a home that works from any folder', async () => {
    const lost = await CliVault.create();
    await lost.run(['put', '-', '--name', 'x'], { input: noise(5000, 3) });
    const config = join(lost.home, 'elsewhere.toml');
    const providers = IDS.map(
      (id) => `[[providers]]\nid = "${id}"\nadapter = "fs"\nroot = "${lost.providerRoot(id)}"`,
    );
    await writeFile(config, providers.join('\n'));
    const home = join(lost.home, 'new home');
    const args = ['recover', '--home', home, '--key', join(lost.home, 'vault.key'), '--config', config];
    const recovered = await start(args, { input: new Uint8Array(0) }).outcome;
    expect(recovered.code, said(recovered)).toBe(0);
    for (const cwd of [tmpdir(), lost.home]) {
      const got = await start(['get', 'x', '--home', home], { cwd, input: new Uint8Array(0) }).outcome;
      expect([got.code, Buffer.compare(got.stdout, noise(5000, 3))], said(got)).toEqual([0, 0]);
    }
    expect((await stat(join(home, 'vault.key'))).mode & 0o777).toBe(0o600);
    await lost.remove();
  });

  it('a put after the state was lost is newer than what the providers remember', async () => {
    const cli = await CliVault.create();
    for (let i = 0; i < 3; i++) await cli.run(['put', '-', '--name', 'x'], { input: noise(1000, i + 1) });
    await rm(join(cli.home, 'engine'), { recursive: true });
    expect((await cli.run(['put', '-', '--name', 'x'], { input: noise(1000, 50) })).code).toBe(0);
    expect(Buffer.compare((await cli.run(['get', 'x'])).stdout, noise(1000, 50))).toBe(0);
    const recovered = await cli.run(['recover']);
    expect(recovered.code, said(recovered)).toBe(0);
    expect(Buffer.compare((await cli.run(['get', 'x'])).stdout, noise(1000, 50))).toBe(0);
    await rm(join(cli.home, 'engine'), { recursive: true });
    expect((await cli.run(['recover'])).code).toBe(0);
    expect(Buffer.compare((await cli.run(['get', 'x'])).stdout, noise(1000, 50))).toBe(0);
    await cli.remove();
  });
});
