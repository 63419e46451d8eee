import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { initFsProvider } from '../../src/providers/fs/layout.ts';
import { openVault as openSource } from '../../src/vault/open-vault.ts';
import { internalsOf } from '../../src/vault/opened-vault.ts';
import { builtLibrary } from '../helpers/cli.ts';
import { noise, readAll } from '../helpers/vault.ts';

const { openVault } = await builtLibrary();
const home = await mkdtemp(join(tmpdir(), 'holdfast-library-'));
afterAll(() => rm(home, { recursive: true, force: true }));
const env = { HOLDFAST_NATIVE: process.env.HOLDFAST_NATIVE };
const rootKey = new Uint8Array(32).fill(7);
const engine = { default: 'memory' } as const;

const failure = async (work: Promise<unknown>): Promise<Record<string, unknown>> =>
  work.then(
    () => expect.unreachable('it was accepted'),
    (error: unknown) => error as Record<string, unknown>,
  );

describe('openVault with parts of a configuration', () => {
  it('takes them as they are named in code, and the defaults for the rest', async () => {
    const providers = ['a', 'b', 'c'].map((id) => ({ id, adapter: 'fs', root: `p/${id}` }) as const);
    for (const { id, root } of providers) await initFsProvider(join(home, root), id);
    const config = { providers, engine, placement: { minTolerates: 2 }, chunks: { targetSeconds: 2 } };
    const vault = await openSource({ home, config, rootKey, env });
    expect(internalsOf(vault).config).toMatchObject({
      home,
      placement: { minTolerates: 2, failureDomain: 'provider' },
      providers: [{ id: 'a', root: join(home, 'p/a'), price: 1, domain: { provider: 'a' } }, {}, {}],
    });
    const { certificate } = await vault.putObject(noise(10), { name: 'x' });
    expect(certificate.tolerates).toBe(2);
    expect(await readAll(await vault.getObject('x'))).toEqual(noise(10));
    const { config: complete } = internalsOf(vault);
    await vault.close();
    // A complete one is taken as it is, and may be spread into another.
    const again = await openSource({ config: complete, rootKey, env });
    expect(internalsOf(again).config).toBe(complete);
    await again.close();
    const other = await openSource({ config: { ...complete, placement: { minTolerates: 0 } }, rootKey, env });
    expect(internalsOf(other).config.home).toBe(home);
    expect(internalsOf(other).config.placement).toEqual({ minTolerates: 0, failureDomain: 'provider' });
    await other.close();
  });

  it.each([
    [{ providers: [{ id: 'a', adapter: 'fs' }] }, /config: providers\[0\]\.root: is missing/],
    [{ providers: [{ id: 'a', adapter: 'floppy' }] }, /providers\[0\]\.adapter/],
    [{ providers: [] }, /providers: /],
    [{ providers: {} }, /providers: /],
    [{ providers: [null] }, /providers: /],
    [{ providers: 'p1' }, /providers: /],
    [
      { placement: { minTolerated: 1 } },
      /placement\.min_tolerated: is not a known key; did you mean "min_tolerates"\?/,
    ],
    [{ placement: { minTolerates: 1.5 } }, /placement\.min_tolerates: is 1\.5/],
    [{ placement: { minTolerates: () => 1 } }, /placement\.min_tolerates: is a function/],
    [{ chunkz: {} }, /chunkz: is not a known section; did you mean "chunks"\?/],
    [[], /no configuration/],
    [7, /no configuration/],
    [null, /no configuration/],
  ])('refuses %j with a typed error', async (config, expected) => {
    const error = await failure(openVault({ home, config: config as never, rootKey, env }));
    expect(error).toMatchObject({ name: 'HoldfastError', kind: 'ConfigInvalid' });
    expect(error.message).toMatch(expected);
  });

  it('does not run in circles', async () => {
    const config: Record<string, unknown> = { engine };
    config.placement = { failureDomain: config };
    config.limits = config;
    const error = await failure(openVault({ home, config: config as never, rootKey, env }));
    expect(error).toMatchObject({ kind: 'ConfigInvalid' });
  });
});

describe('an option that does not exist', () => {
  it('is refused with what may have been meant', async () => {
    const error = await failure(openVault({ hoem: home } as never));
    expect(error).toMatchObject({ kind: 'ConfigInvalid', code: 'unknown_option' });
    expect(error.message).toBe('openVault: unknown option "hoem"; did you mean "home"?');
    const odd = await failure(openVault({ somethingElse: 1 } as never));
    expect(odd.hint).toContain('passphrase');
    for (const bad of [
      { rootKey: new Uint8Array(5) },
      { home: 5 },
      { passphrase: 5 },
      { keyFile: {} },
      'x',
      null,
    ])
      expect(await failure(openVault(bad as never))).toMatchObject({
        kind: 'ConfigInvalid',
        code: 'bad_option',
      });
  });

  it('is refused by every call', async () => {
    const providers = ['m1', 'm2', 'm3'].map((id) => ({ id, adapter: 'memory' }) as const);
    const vault = await openVault({ home, config: { engine, providers }, rootKey, env });
    const bad = { signl: new AbortController().signal } as never;
    const calls: Promise<unknown>[] = [
      vault.putObject(noise(1), { nmae: 'x' } as never),
      vault.getObject('x', bad),
      vault.statObject('x', bad),
      vault.verifyObject('x', bad),
      vault.deleteObject('x', bad),
      vault.recover(bad),
      readAll(vault.listObjects(bad) as never),
      (async () => readAll(vault.listManifests(bad) as never))(),
    ];
    for (const call of calls) {
      const error = await failure(call);
      expect(error).toMatchObject({ kind: 'ConfigInvalid', code: 'unknown_option' });
      expect(error.message).toMatch(/unknown option "(nmae|signl)"; did you mean "(name|signal)"\?$/);
    }
    await vault.close();
  });
});

it('one signal may be given to many calls at once', async () => {
  const providers = ['m1', 'm2', 'm3'].map((id) => ({ id, adapter: 'memory' }) as const);
  const vault = await openVault({ home, config: { engine, providers }, rootKey, env });
  await vault.putObject(noise(5_000), { name: 'shared' });
  const warnings: string[] = [];
  const onWarning = ({ name }: Error): void => void warnings.push(name);
  process.on('warning', onWarning);
  const { signal } = new AbortController();
  await Promise.all(
    Array.from({ length: 40 }, async () => readAll(await vault.getObject('shared', { signal }))),
  );
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
  await vault.close();
});

it('the emergency switch is warned of, to the log or else by the process', async () => {
  const config = {
    engine,
    providers: [{ id: 'm', adapter: 'memory' } as const],
    erasure: { algorithm: 'xor' } as const,
    rollout: { allowFallbackCoder: true, requireEmergencySwitch: true },
  };
  const code = 'storage_erasure_fallback_emergency';
  const switched = { ...env, HOLDFAST_STORAGE_FALLBACK_EMERGENCY: '1' };
  expect(await failure(openVault({ home, config, rootKey, env }))).toMatchObject({ kind: 'ConfigInvalid' });
  const logged: unknown[] = [];
  const log = (level: string, event: string): void => void logged.push([level, event]);
  await (await openVault({ home, config, rootKey, env: switched, log })).close();
  expect(logged).toContainEqual(['warn', code]);
  const warned = new Promise((resolve) => process.once('warning', resolve));
  await (await openVault({ home, config, rootKey, env: switched })).close();
  expect(await warned).toMatchObject({ code });
});
