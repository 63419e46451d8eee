import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bytes } from '../../src/core/fields.ts';
import { createVault, openVault, type SettledEpoch, type Settlement, type Vault } from '../../src/index.ts';
import { type AdapterKind, optional } from '../../src/providers/kind.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { diskFiles } from '../../src/receipts/log/disk.ts';
import { internalsOf } from '../../src/vault/opened-vault.ts';
import { noise } from '../helpers/vault.ts';
import { ackOf, EPOCH, grantOf, newClock, openDesk } from '../receipts/world.ts';

const env = { HOLDFAST_NATIVE: process.env.HOLDFAST_NATIVE };
const rootKey = new Uint8Array(32).fill(3);
const engine = { default: 'memory' } as const;
const memories = ['a', 'b', 'c'].map((id) => ({ id, adapter: 'memory' }) as const);
const config = { engine, providers: memories };
let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-open-'));
});
afterEach(() => rm(home, { recursive: true }));

const providersOf = (vault: Vault) => internalsOf(vault).config.providers;

describe('createVault', () => {
  const folders = ['x', 'y', 'z'].map((id) => ({ id, adapter: 'fs', root: `at/${id}` }) as const);

  it('makes a home that openVault opens, with the configuration that it was given', async () => {
    await using made = await createVault({
      home,
      config: { placement: { minTolerates: 1 }, providers: folders },
      passphrase: async () => 'secret words',
      env,
    });
    await made.putObject(noise(10_000), { name: 'kept' });
    await made.close();
    expect((await stat(join(home, 'vault.key'))).mode & 0o777).toBe(0o600);
    await using again = await openVault({ home, passphrase: 'secret words', env });
    expect(again.id).toBe(made.id);
    expect(providersOf(again)).toMatchObject(folders.map(({ id, root }) => ({ id, root: join(home, root) })));
    expect(Buffer.from(await (await again.getObject('kept')).bytes()).equals(noise(10_000))).toBe(true);
    const wrong = openVault({ home, passphrase: 'other', env });
    await expect(wrong).rejects.toMatchObject({ code: 'wrong_passphrase' });
  });

  it('writes the nine folders of the defaults down where no configuration is given', async () => {
    await using vault = await createVault({ home, unwrapped: true, env });
    expect(await readFile(join(home, 'storage.toml'), 'utf8')).toContain('id = "p9"');
    expect((await vault.putObject(noise(10))).certificate.providers).toBeGreaterThan(3);
    const again = createVault({ home, unwrapped: true, env });
    await expect(again).rejects.toMatchObject({ code: 'already_initialised' });
  });

  it('wants a passphrase, or the word that there is to be none', async () => {
    await expect(createVault({ home, config, env })).rejects.toMatchObject({ code: 'passphrase_needed' });
    const unknown = createVault({ home, unwraped: true } as never);
    await expect(unknown).rejects.toThrow(
      'createVault: unknown option "unwraped"; did you mean "unwrapped"?',
    );
    await expect(createVault({ home, rootKey } as never)).rejects.toMatchObject({ code: 'unknown_option' });
  });
});

describe('providerOverrides', () => {
  it('changes what it names, by id, and nothing else', async () => {
    const providerOverrides = { b: { price: 7, domain: { region: 'far' }, maxConcurrency: undefined } };
    await using vault = await openVault({ home, config, rootKey, env, providerOverrides });
    expect(providersOf(vault)).toMatchObject([
      { id: 'a', price: 1 },
      { id: 'b', price: 7, maxConcurrency: 4, domain: { provider: 'b', region: 'far' } },
      { id: 'c', price: 1 },
    ]);
  });

  it('is checked as the configuration is', async () => {
    const open = (providerOverrides: object) =>
      openVault({ home, config, rootKey, env, providerOverrides: providerOverrides as never });
    await expect(open({ bb: {} })).rejects.toThrow(/no provider "bb"; did you mean "b"\?/);
    await expect(open({ b: { price: -1 } })).rejects.toThrow(/providers\[1\]\.price: is -1/);
    await expect(open({ b: { prize: 1 } })).rejects.toThrow(/prize: is not a known key.*"price"/);
    await expect(open(5 as never)).rejects.toMatchObject({ code: 'bad_option' });
  });
});

describe('adapters', () => {
  const mine: AdapterKind<'mine', { readonly roomBytes?: number }> = {
    name: 'mine',
    keys: { roomBytes: optional(bytes(0, 1, 2 ** 40), 'how much it keeps') },
    open: async ({ id, roomBytes }, deps) => createMemoryAdapter({ id, capacityBytes: roomBytes, ...deps }),
  };

  it('are kinds that the configuration may name', async () => {
    const providers = ['m1', 'm2', 'm3'].map(
      (id) => ({ id, adapter: 'mine', roomBytes: 10_000_000 }) as const,
    );
    await using vault = await openVault({
      home,
      adapters: [mine],
      config: { engine, providers },
      rootKey,
      env,
    });
    expect((await vault.putObject(noise(100_000))).certificate.providers).toBe(3);
    expect((await vault.providers.list()).map(({ kind }) => kind)).toEqual(['mine', 'mine', 'mine']);
    const without = openVault({ home, config: { engine, providers } as never, rootKey, env });
    await expect(without).rejects.toThrow(/adapter: is "mine"/);
  });
});

describe('settlement and catalog', () => {
  it('decide on quotas and on probes', async () => {
    const asked: string[] = [];
    const settlement = {
      balanceSplit: async ({ id }: { id: string }) => {
        asked.push(id);
        return { configured: 0, earned: id === 'a' ? 0 : 10 };
      },
    };
    const catalog = { probe: { intervalMs: 60_000 }, failing: { count: 9 } };
    await using vault = await openVault({ home, config, rootKey, env, settlement, catalog });
    const [a, b] = await vault.providers.list();
    expect(new Set(asked)).toEqual(new Set(['a', 'b', 'c']));
    expect([a!.quotaBytes, b!.quotaBytes]).toEqual([0, 10 * 1024 ** 2]);
    expect(a!.state).not.toBe('ok');
  });

  it('an application that keeps its own books is asked to credit what is anchored', async () => {
    const folder = join(home, 'gw');
    // An hour that is over: the vault goes by this machine's clock.
    const clock = newClock();
    clock.jump -= 100_000 * 3_600_000;
    const hour = EPOCH - 100_000;
    const desk = await openDesk({ files: diskFiles, clock, folder });
    expect(await desk.accept(ackOf(grantOf(desk, 'a'), 700))).toBeUndefined();
    clock.jump += 3_600_000 + 300_000;
    await desk.closeDue();
    await desk.close();
    const booked = new Map<number, SettledEpoch>();
    const settlement: Settlement = {
      balanceSplit: async () => ({ configured: 1, earned: 0 }),
      issueRead: async (hour) => {
        booked.set(hour.epoch, hour);
        return 'credited';
      },
      bookedRead: async (_, epoch) => booked.get(epoch)?.digest,
    };
    const settles = { ...config, settlement: { folders: ['gw'] } };
    await using vault = await openVault({ home, config: settles, rootKey, env, settlement });
    const { folders } = await vault.settleReceipts();
    expect(folders).toMatchObject([{ folder, epochs: [{ epoch: hour, state: 'credited' }] }]);
    expect(booked.get(hour)).toMatchObject({
      gateway: desk.gateway,
      providers: [{ provider: 'a', credited: 700 }],
    });
    expect((await vault.settleReceipts()).folders).toMatchObject([{ epochs: [] }]);
    const half = { balanceSplit: settlement.balanceSplit, issueRead: settlement.issueRead };
    await expect(openVault({ home, config, rootKey, env, settlement: half as never })).rejects.toThrow(
      /bookedRead/,
    );
  });

  it.each([
    [{ probes: {} }, /catalog: unknown option "probes"; did you mean "probe"\?/],
    [
      { probe: { intervalMS: 1 } },
      /catalog\.probe: unknown option "intervalMS"; did you mean "intervalMs"\?/,
    ],
    [{ probe: { intervalMs: -1 } }, /catalog\.probe\.intervalMs is a finite number/],
    [{ zeroCreditsUnlimited: 1 }, /catalog\.zeroCreditsUnlimited is a boolean/],
  ])('refuses %j', async (catalog, expected) => {
    await expect(openVault({ home, config, rootKey, env, catalog: catalog as never })).rejects.toThrow(
      expected,
    );
  });
});

describe('vault.providers', () => {
  it('lists, probes and puts out of service, also for the next process', async () => {
    const level = { providers: memories };
    await using vault = await openVault({ home, config: level, rootKey, env });
    const states = async (of: Vault) =>
      (await of.providers.list()).map(({ id, kind, state }) => `${id} ${kind} ${state}`);
    expect(await states(vault)).toEqual(['a memory ok', 'b memory ok', 'c memory ok']);
    expect(await vault.providers.probe()).toHaveLength(3);
    await vault.providers.setMaintenance('b', true);
    expect((await states(vault))[1]).toMatch(/^b memory maintenance/);
    await vault.close();
    await using later = await openVault({ home, config: level, rootKey, env });
    expect((await states(later))[1]).toMatch(/^b memory maintenance/);
    await later.providers.setMaintenance('b', false);
    expect((await states(later))[1]).toBe('b memory ok');
    await expect(later.providers.setMaintenance('x', true)).rejects.toMatchObject({
      kind: 'NotFound',
      code: 'unknown_provider',
    });
    await expect(later.providers.list({ sgnal: 1 } as never)).rejects.toMatchObject({
      code: 'unknown_option',
    });
  });
});
