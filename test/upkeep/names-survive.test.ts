import { expect, it } from 'vitest';
import { HoldfastError } from '../../src/core/errors.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { PutResult } from '../../src/pipeline/put/put-result.ts';
import { type DomainLevel, domainOf } from '../../src/placement/domains.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { nameCopies, renewNames } from '../../src/records/name-copies.ts';
import { readName } from '../../src/records/names.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { statObject } from '../../src/upkeep/stat.ts';
import { combinations } from '../helpers/files.ts';
import { noise, readAll, type TestVault, testVault } from '../helpers/vault.ts';

const SLOW = process.env.SLOW === '1';
/** Of each number of providers in each layout. */
const NAMES = SLOW ? 64 : 5;
/** Sets of domains destroyed, of each size. */
const SUBSETS = SLOW ? Number.POSITIVE_INFINITY : 3;

interface Layout {
  readonly level: DomainLevel;
  readonly account: (provider: number) => string;
  readonly region: (provider: number) => string;
}

const own = (provider: number): string => `of ${provider}`;
const LAYOUTS: Readonly<Record<string, Layout>> = {
  flat: { level: 'provider', account: own, region: own },
  accounts: { level: 'account', account: (provider) => `of ${provider >> 1}`, region: own },
  regions: { level: 'region', account: own, region: (provider) => `of ${provider % 3}` },
  mixed: {
    level: 'account',
    account: (provider) => (provider % 2 === 0 ? 'large' : own(provider)),
    region: own,
  },
};

/** A vault whose providers take no slot while `refusing` has their id. */
async function laidOut(providers: number, layout: Layout) {
  const refusing = new Set<string>();
  const wrap = (adapter: BlobAdapter, index: number): BlobAdapter => ({
    ...adapter,
    writeSlot: (...args) => {
      if (!refusing.has(`p${index + 1}`)) return adapter.writeSlot(...args);
      return Promise.reject(new HoldfastError('Unavailable', 'takes no slots now'));
    },
  });
  const vault = await testVault({ providers, wrap, policy: { failureDomain: layout.level } });
  vault.providers.forEach((provider, i) => {
    const operator = layout.level === 'provider' ? provider.id : 'one operator';
    const domain = { provider: operator, account: layout.account(i), region: layout.region(i) };
    vault.providers[i] = { ...provider, domain };
  });
  const label = (id: string): string =>
    domainOf(vault.providers.find((provider) => provider.id === id)!, layout.level);
  const domains = [...new Set(vault.providers.map(({ id }) => label(id)))];
  const destroy = (lost: readonly string[]): void => {
    for (const { id } of vault.providers) if (lost.includes(label(id))) vault.gone.add(id);
  };
  return { ...vault, refusing, domains, destroy };
}

/** The same vault on a machine that has lost its state. */
const withoutState = (context: VaultContext): VaultContext => ({ ...context, engine: createMemoryEngine() });

interface Named {
  readonly put: PutResult;
  readonly bytes: Uint8Array;
}

/** Names of all promises that so many domains can keep; while some are put, a provider takes no slots. */
async function putNames({ context, domains, refusing, providers }: Awaited<ReturnType<typeof laidOut>>) {
  const named: Named[] = [];
  for (let i = 0; i < NAMES; i++) {
    if (i % 4 === 3) refusing.add(providers[i % providers.length]!.id);
    const bytes = noise(100 + i, i + 1);
    const put = await putObject(context, bytes, { name: `name ${i}`, minTolerates: i % domains.length });
    named.push({ put, bytes });
    refusing.clear();
  }
  return named;
}

const isThere = async (context: VaultContext, { put, bytes }: Named): Promise<boolean> => {
  const read = async (): Promise<Uint8Array> => readAll(await getObject(context, put.name!));
  const got = await read().catch(() => undefined);
  return got !== undefined && Buffer.compare(got, bytes) === 0;
};

it('no name goes with losses that its certificate survives, with the state and without', async () => {
  const total = { names: 0, subsets: 0, checked: 0, short: 0, gone: 0 };
  for (const [called, layout] of Object.entries(LAYOUTS)) {
    const of = { names: 0, subsets: 0, checked: 0, short: 0, gone: 0 };
    for (let count = 2; count <= 9; count++) {
      const vault = await laidOut(count, layout);
      const named = await putNames(vault);
      of.names += named.length;
      of.short += named.filter(({ put }) => put.nameTolerates! < put.certificate.tolerates).length;
      await renewNames(vault.context);
      for (let lost = 0; lost < vault.domains.length; lost++) {
        const promised = named.filter(({ put }) => put.certificate.tolerates >= lost);
        const subsets = combinations(vault.domains, lost);
        const step = Math.ceil(subsets.length / SUBSETS) || 1;
        for (const subset of subsets.filter((_, i) => i % step === 0)) {
          vault.destroy(subset);
          const fresh = withoutState(vault.context);
          await recoverVault(fresh);
          for (const one of promised) {
            of.checked++;
            if (!(await isThere(vault.context, one)) || !(await isThere(fresh, one))) of.gone++;
          }
          of.subsets++;
          vault.gone.clear();
        }
      }
    }
    console.log(
      `names, ${called}: ${of.names} names at 2 to 9 providers, ${of.subsets} sets of domains destroyed, ${of.checked} names looked for with the state and without, ${of.short} put with too few copies and renewed, ${of.gone} gone`,
    );
    for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += of[key];
  }
  console.log(`names, all: ${total.names} names, ${total.checked} looked for, ${total.gone} gone`);
  expect(total.gone).toBe(0);
  expect(total.short).toBeGreaterThan(0);
  expect(total.names).toBeGreaterThanOrEqual(SLOW ? 2_000 : 100);
}, 1_200_000);

it('a name of which too few domains took a copy says so, is known by stat, and is copied once they take slots', async () => {
  const vault = await laidOut(4, LAYOUTS.accounts!);
  const { context, refusing } = vault;
  for (const id of ['p1', 'p2']) refusing.add(id);
  const put = await putObject(context, noise(100), { name: 'x', minTolerates: 1 });
  expect(put).toMatchObject({ nameTolerates: 0, certificate: { tolerates: 1 } });
  expect((await statObject(context, 'x')).nameCopies).toMatchObject({ tolerates: 0, unconfirmed: [] });
  refusing.clear();
  await renewNames(context);
  const { nameCopies: after } = await statObject(context, 'x');
  expect(after!.tolerates).toBe(1);
  const entries: string[] = [];
  for await (const [key] of context.engine.table('slots_due').entries({ prefix: '*/' })) entries.push(key);
  expect(entries).toEqual([]);
});

it('a name that recovery finds in too few domains is copied to enough', async () => {
  const vault = await laidOut(6, LAYOUTS.regions!);
  await putObject(vault.context, noise(100), { name: 'x', minTolerates: 2 });
  const slot = vault.context.keys.slotName('x');
  const held: string[] = [];
  for (const { id, adapter } of vault.providers) {
    const there = await adapter.readSlot(slot);
    if (there !== undefined && held.push(id) > 1) await adapter.deleteSlot(slot);
  }
  const fresh = withoutState(vault.context);
  await recoverVault(fresh);
  expect((await statObject(fresh, 'x')).nameCopies!.tolerates).toBe(2);
});

it('where a provider takes no copy, another of its domain comes before those of domains that have one', async () => {
  const vault: TestVault & { refusing: Set<string> } = await laidOut(6, LAYOUTS.regions!);
  vault.refusing.add('p1');
  for (let i = 0; i < 24; i++) {
    const name = `name ${i}`;
    const { nameTolerates } = await putObject(vault.context, noise(100, i), { name, minTolerates: 2 });
    expect(nameTolerates).toBe(2);
    const pointer = (await readName(vault.context, name))!;
    expect((await nameCopies(vault.context, pointer)).providers).toContain('p4');
  }
});
