import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createVault, openVault, type Vault } from '../../src/index.ts';
import { CliVault, providersToml, SMALL_PIECES, said } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';

const CODE = 'reed-solomon:8+8';
const OBJECTS: Readonly<Record<string, Uint8Array>> = {
  a: noise(700_000, 1),
  b: noise(400_000, 2),
  c: noise(300_000, 3),
};

async function world(more = ''): Promise<{ readonly home: string; readonly vault: Vault }> {
  const home = await mkdtemp(join(tmpdir(), 'holdfast-recode-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  await writeFile(join(home, 'storage.toml'), `${SMALL_PIECES}${more}${providersToml(9)}`);
  const vault = await createVault({ home, unwrapped: true, env: {} });
  onTestFinished(() => vault.close());
  return { home, vault };
}

async function stored(more = ''): Promise<Vault> {
  const { vault } = await world(more);
  for (const [name, bytes] of Object.entries(OBJECTS))
    await vault.putObject(bytes, { name, contentType: 'image/png' });
  return vault;
}

async function read(vault: Vault, name: string): Promise<Uint8Array> {
  return (await vault.getObject(name)).bytes();
}

async function codesOf(vault: Vault): Promise<Record<string, string>> {
  const codes: Record<string, string> = {};
  for (const name of Object.keys(OBJECTS)) codes[name] = (await vault.statObject(name)).code;
  return codes;
}

const isNew = (code: string): boolean => code.startsWith('reed-solomon');

describe('recode', () => {
  it('makes a new version with the other code, and changes nothing else of it', async () => {
    const vault = await stored();
    const before = await vault.statObject('a');
    const plan = await vault.planRecode({ name: 'a', code: CODE });
    expect(plan).toMatchObject({ objects: 1, bytes: 700_000, bytesRead: 700_000, bytesWritten: 1_400_000 });
    expect(await vault.recode({ name: 'a', code: CODE })).toMatchObject({
      objects: 1,
      failed: 0,
      changed: 0,
    });
    const after = await vault.statObject('a');
    expect(isNew(after.code)).toBe(true);
    expect(after.manifest).not.toBe(before.manifest);
    expect(after).toMatchObject({ version: before.version + 1, size: before.size, contentType: 'image/png' });
    expect(after.certificate.tolerates).toBeGreaterThanOrEqual(before.certificate.tolerates);
    expect(Buffer.compare(await read(vault, 'a'), OBJECTS.a!)).toBe(0);
    expect(Object.values(await codesOf(vault)).map(isNew)).toEqual([true, false, false]);
    expect(await vault.planRecode({ name: 'a', code: CODE })).toMatchObject({ objects: 0, done: 1 });
  });

  it('goes on after what is done when it was cut off', async () => {
    const vault = await stored();
    const stop = new AbortController();
    const onProgress = (bytes: number): void => {
      if (bytes > OBJECTS.a!.length) stop.abort();
    };
    const cut = vault.recode({ name: undefined, code: CODE }, { signal: stop.signal, onProgress });
    await expect(cut).rejects.toMatchObject({ kind: 'Aborted' });
    expect(Object.values(await codesOf(vault)).map(isNew)).toEqual([true, false, false]);
    expect(await vault.recode({ name: undefined, code: CODE })).toMatchObject({
      objects: 2,
      done: 1,
      failed: 0,
    });
    expect(Object.values(await codesOf(vault)).every(isNew)).toBe(true);
    for (const [name, bytes] of Object.entries(OBJECTS))
      expect(Buffer.compare(await read(vault, name), bytes)).toBe(0);
  });

  it('leaves a version that was put meanwhile, and nothing of its own', async () => {
    // So slow that the other put is over long before.
    const vault = await stored('[repair]\nbytes_per_second = "512 KiB"\n');
    let putting: Promise<unknown> | undefined;
    const onProgress = (): void => {
      putting ??= vault.putObject(noise(50_000, 9), { name: 'a' });
    };
    const result = await vault.recode({ name: 'a', code: CODE }, { onProgress });
    await putting;
    expect(result).toMatchObject({ objects: 0, changed: 1, failed: 0 });
    expect(Buffer.compare(await read(vault, 'a'), noise(50_000, 9))).toBe(0);
    const { providers } = await vault.gc({ dryRun: true, minAgeMs: 0 });
    expect(providers.map(({ orphans }) => orphans)).toEqual(Array.from({ length: 9 }, () => 0));
  });

  it('leaves what would survive fewer losses as it is, unless fewer are said to be enough', async () => {
    const vault = await stored();
    const weak = { name: 'a', code: 'reed-solomon:16+4' };
    const { refused, tolerates } = await vault.planRecode(weak);
    expect(refused).toBe(1);
    expect(tolerates).toBeLessThan((await vault.statObject('a')).certificate.tolerates);
    expect(await vault.recode(weak)).toMatchObject({ objects: 0, refused: 1 });
    expect(isNew((await vault.statObject('a')).code)).toBe(false);
    expect(await vault.recode({ ...weak, minTolerates: 1 })).toMatchObject({ objects: 1, refused: 0 });
  });

  it('keeps whole copies of a large object when asked to', async () => {
    const vault = await stored();
    expect(await vault.recode({ name: 'c', code: 'replica:4' })).toMatchObject({ objects: 1 });
    expect((await vault.statObject('c')).code).toMatch(/^replica/);
    expect(Buffer.compare(await read(vault, 'c'), OBJECTS.c!)).toBe(0);
  });

  it('needs no more memory than it is given, however large the object is', async () => {
    const { vault } = await world('[limits]\nmemory_bytes = "16 MiB"\n');
    const large = noise(24_000_000, 5);
    await vault.putObject(large, { name: 'large' });
    expect(await vault.recode({ name: 'large', code: CODE })).toMatchObject({ objects: 1, failed: 0 });
    expect(isNew((await vault.statObject('large')).code)).toBe(true);
  }, 120_000);

  it('takes the key, and a code that there is', async () => {
    const { home, vault } = await world();
    await expect(vault.recode({ name: 'a', code: 'rot13' })).rejects.toMatchObject({ code: 'bad_code' });
    await expect(vault.recode({ name: 'a', code: 'xor:4+1' })).rejects.toMatchObject({ code: 'bad_code' });
    await expect(vault.recode({ name: 'a', code: CODE })).rejects.toMatchObject({ code: 'name_not_found' });
    await vault.close();
    const sealed = await openVault({ home, sealed: true, env: {} });
    onTestFinished(() => sealed.close());
    await expect(sealed.recode({ name: 'a', code: CODE })).rejects.toMatchObject({ code: 'sealed' });
  });

  it('says on the command line what it will take, and does nothing without being told to', async () => {
    const cli = await CliVault.create(`${SMALL_PIECES}${providersToml(9)}`);
    onTestFinished(() => cli.remove());
    const bytes = noise(200_000, 4);
    expect((await cli.run(['put', '-', '--name', 'x'], { input: bytes })).code).toBe(0);
    const shown = await cli.run(['recode', '--all', '--code', CODE, '--dry-run']);
    expect(shown.code, said(shown)).toBe(0);
    expect(shown.stdout.toString()).toMatch(/^1 object to code anew .*each gets another ETag$/m);
    for (const line of ['read', 'written', 'requests', 'reading', 'time'])
      expect(shown.stdout.toString()).toMatch(new RegExp(`^  ${line} +\\S`, 'm'));
    const silent = await cli.run(['recode', 'x', '--code', CODE]);
    expect(silent.code, said(silent)).toBe(2);
    expect(silent.stderr).toContain('--yes');
    const done = await cli.run(['recode', 'x', '--code', CODE, '--yes']);
    expect(done.code, said(done)).toBe(0);
    expect(done.stdout.toString()).toMatch(/^coded anew +1 object/m);
    const got = await cli.run(['get', 'x', '-o', '-']);
    expect(Buffer.compare(got.stdout, bytes)).toBe(0);
    expect((await cli.run(['recode', '--code', CODE])).code).toBe(2);
  });
});
