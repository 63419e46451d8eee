import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLastFailures } from '../../src/catalog/failures.ts';
import { utf8Encode } from '../../src/core/bytes.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import { CliVault, providersToml, said } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';

let cli: CliVault;
beforeAll(async () => {
  cli = await CliVault.create(providersToml(4));
  const put = await cli.run(['put', '-', '--name', 'x'], { input: noise(100_000) });
  expect(put.code, said(put)).toBe(0);
});
afterAll(() => cli.remove());

interface Row {
  readonly id: string;
  readonly state: string;
  readonly why: string;
  readonly usedBytes: number;
  readonly objects?: number;
  readonly lastFailure?: { readonly operation: string; readonly code: string; readonly message: string };
}
const rows = async (command = 'providers list'): Promise<Row[]> =>
  JSON.parse((await cli.run([command, '--json'])).stdout.toString());

describe('providers', () => {
  it('does not call one ok that is gone, and says why', async () => {
    expect((await rows()).map(({ state }) => state)).toEqual(['ok', 'ok', 'ok', 'ok']);
    const root = cli.providerRoot('p1');
    await rename(root, `${root}-gone`);
    const [gone, ...others] = await rows();
    expect(gone).toMatchObject({ id: 'p1', state: 'unreachable' });
    expect(gone!.why).toContain('is not there');
    expect(gone!.lastFailure).toMatchObject({ operation: 'probe', code: 'provider_missing' });
    expect(others.map(({ state }) => state)).toEqual(['ok', 'ok', 'ok']);
    const text = (await cli.run(['providers'])).stdout.toString();
    expect(text).toMatch(/^p1 +unreachable .*provider_missing.*not there/m);
    expect(text).toMatch(/^ {2}p1 \d{4}-.*Z, a probe: provider_missing, .*not there/m);
    await rename(`${root}-gone`, root);
    const [back] = await rows('providers probe');
    expect(back).toMatchObject({ state: 'ok', lastFailure: { code: 'provider_missing' } });
  });

  it('counts nothing at a folder that was made anew', async () => {
    expect((await rows())[1]!.usedBytes).toBeGreaterThan(1000);
    const again = await cli.run(['providers init', 'p2']);
    expect(again.code, said(again)).toBe(0);
    expect((await rows())[1]!.usedBytes).toBeGreaterThan(1000);
    await rm(cli.providerRoot('p2'), { recursive: true });
    expect((await cli.run(['providers init', 'p2'])).code).toBe(0);
    expect((await rows())[1]!.usedBytes).toBe(0);
  });

  it('lists those that objects name and the configuration lacks', async () => {
    await writeFile(join(cli.home, 'storage.toml'), providersToml(3));
    const found = await rows();
    expect(found.map(({ id, state }) => [id, state]).at(-1)).toEqual(['p4', 'not_configured']);
    expect(found.at(-1)!.objects).toBe(1);
    expect((await cli.run(['providers'])).stdout.toString()).toMatch(/^p4 +not_configured .*1 object/m);
    await writeFile(join(cli.home, 'storage.toml'), providersToml(4));
  });

  it('probe exits 4 when nobody answers, and shows each reason', async () => {
    const folder = join(cli.home, 'providers');
    await rm(cli.providerRoot('p3'), { recursive: true });
    expect((await cli.run(['providers probe'])).code).toBe(0);
    await rename(folder, `${folder}-gone`);
    const probed = await cli.run(['providers probe']);
    expect(probed.code, said(probed)).toBe(4);
    for (const id of ['p1', 'p2', 'p3', 'p4'])
      expect(probed.stdout.toString()).toMatch(
        new RegExp(`^  ${id} .*a probe: provider_missing, .*not there`, 'm'),
      );
  });
});

describe('the stored last failure', () => {
  it('is read as earlier versions wrote it, and what is no failure is none', async () => {
    const engine = createMemoryEngine();
    const failures = createLastFailures(engine);
    const store = (text: string) => engine.table('provider_last_failure').put('p', utf8Encode(text), {});
    await store('{"v":1,"at":1700000000000,"operation":"read","code":"NotFound"}');
    const old = { at: 1700000000000, operation: 'read', code: 'NotFound', message: '' };
    expect(await failures.load('p')).toEqual(old);
    const failure = { at: 5, operation: 'probe', code: 'x_y', message: 'the "folder"\\u0007' } as const;
    await failures.save('p', failure);
    expect(await failures.load('p')).toEqual(failure);
    for (const text of [
      '',
      '{}',
      '[]',
      '{"v":3,"at":1,"operation":"read","code":"a","message":""}',
      'x'.repeat(5000),
    ]) {
      await store(text);
      expect(await failures.load('p'), text).toBeUndefined();
    }
    await store('{"v":2,"at":1,"operation":"read","code":"a","message":"\\u001b[2J"}');
    expect((await failures.load('p'))?.message).toBe('\\u001b[2J');
  });
});
