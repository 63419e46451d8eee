import { expect, it } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import type { BlobAddress } from '../../src/core/address.ts';
import type { HoldfastError } from '../../src/core/errors.ts';
import { secureRandom } from '../../src/core/random.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { type DamageNote, damagedSegments } from '../../src/records/damage.ts';
import { type AuditOptions, type AuditResult, auditProviders } from '../../src/upkeep/audit/audit.ts';
import { drawShards } from '../../src/upkeep/audit/sample.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { faultyVault } from '../helpers/faulty.ts';
import { fixedRandom } from '../helpers/fixed-random.ts';
import { noise, type TestVault, type TestVaultOptions, testVault } from '../helpers/vault.ts';

const audit = (
  { context }: Pick<TestVault, 'context'>,
  options: AuditOptions = {},
  timeoutMs = 30_000,
): Promise<AuditResult> => auditProviders(context, { ...options, timeoutMs });

async function fill(vault: TestVault, objects: number): Promise<void> {
  for (let i = 0; i < objects; i++)
    await putObject(vault.context, noise(i % 3 === 0 ? 900 : 150_000, 100 + i), { name: `o${i}` });
}

async function filled(objects: number, options: TestVaultOptions = {}): Promise<TestVault> {
  const vault = await testVault({ chunkBytes: 64 * 1024, ...options });
  await fill(vault, objects);
  return vault;
}

async function notesOf({ context }: Pick<TestVault, 'context'>): Promise<DamageNote[]> {
  const notes: DamageNote[] = [];
  for await (const one of damagedSegments(context)) notes.push(...one.notes);
  return notes;
}

const stateOf = ({ providers }: AuditResult, id: string) =>
  providers.find(({ provider }) => provider === id)!;

/** What each provider was told to have done. */
function reporting({ context }: TestVault) {
  const reports: { readonly id: string; readonly error: unknown }[] = [];
  const directory = {
    ...context.directory,
    report: (id: string, { error }: { readonly error?: unknown }) => void reports.push({ id, error }),
  };
  return { context: { ...context, directory }, reports };
}

it.each([
  [0.01, 0.999, 688],
  [0.01, 0.99, 459],
  [0.1, 0.9, 22],
  [0.5, 0.5, 1],
])(
  'to catch who dropped a share of %d with the confidence of %d takes %d challenges',
  async (share, confidence, n) => {
    const { challenges } = await audit(await testVault({ providers: 1 }), { share, confidence });
    expect(challenges).toBe(n);
    expect(1 - (1 - share) ** n).toBeGreaterThanOrEqual(confidence);
    expect(1 - (1 - share) ** (n - 1)).toBeLessThan(confidence);
  },
);

it.each([{ share: 0 }, { share: 1 }, { confidence: 1 }, { confidence: Number.NaN }, { share: 1e-9 }])(
  'an audit with %j is refused',
  async (options) => {
    const vault = await testVault({ providers: 1 });
    await expect(audit(vault, options)).rejects.toMatchObject({ kind: 'ConfigInvalid', code: 'bad_option' });
  },
);

it('a provider that is not in the configuration is refused', async () => {
  const vault = await testVault({ providers: 1 });
  await expect(audit(vault, { provider: 'p2' })).rejects.toMatchObject({ code: 'unknown_provider' });
});

it('honest providers pass, each after all of its challenges or shards', async () => {
  const vault = await filled(9);
  const result = await audit(vault, { share: 0.1, confidence: 0.9 });
  expect(result).toMatchObject({ challenges: 22, whole: true });
  expect(result.providers.map(({ state }) => state)).toEqual(new Array(9).fill('passed'));
  for (const { challenges, right } of result.providers) expect([challenges, right]).toEqual([22, 22]);
  expect(await notesOf(vault)).toEqual([]);
});

it('every shard of a provider is drawn as often as any other, and nothing else', async () => {
  const vault = await filled(7, { providers: 5 });
  const context = { ...vault.context, random: fixedRandom('drawn') };
  const times = new Map<string, number>();
  for (let round = 0; round < 400; round++) {
    const drawn = (await drawShards(context, ['p1'], 5, {})).get('p1')!;
    expect(new Set(drawn.map(({ segment, nth }) => `${segment} ${nth}`)).size).toBe(5);
    for (const { segment, nth } of drawn)
      times.set(`${segment} ${nth}`, (times.get(`${segment} ${nth}`) ?? 0) + 1);
  }
  const all = (await drawShards(context, ['p1'], 10_000, {})).get('p1')!;
  expect(times.size).toBe(all.length);
  // 2,000 draws of so many shards; five standard deviations.
  const mean = 2_000 / all.length;
  for (const count of times.values()) expect(Math.abs(count - mean)).toBeLessThan(5 * Math.sqrt(mean));
});

/** A smaller share takes more of everything. */
const DROPPED =
  process.env.SLOW === '1' ? { share: 0.01, n: 688, objects: 5 } : { share: 0.05, n: 135, objects: 1 };

it(`a provider that dropped ${100 * DROPPED.share} % of its blobs is caught within the challenges that are told`, async () => {
  const { share, n, objects } = DROPPED;
  const code = createLinearCode({ algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 });
  const policy = { code, packTargetBytes: 8 * 1024, replicaBelowBytes: 0 };
  const caught: string[] = [];
  const seeds = process.env.SLOW === '1' ? 15 : 2;
  const vault = await testVault({ chunkBytes: 4 * 1024, providers: 3, policy });
  for (let i = 0; i < objects; i++)
    await putObject(vault.context, noise(1_000_000, i + 1), { name: `o${i}` });
  const { adapter } = vault.providers[1]!;
  const held: BlobAddress[] = [];
  const packs = new Set<string>();
  for await (const [, row] of vault.context.engine.table('shard_index').entries())
    packs.add(Buffer.from(row).toString('hex'));
  for await (const { address } of adapter.list()) {
    if ([...packs].some((row) => row.includes(address.slice(3)))) held.push(address);
  }
  const dropped = held.filter((_, i) => i % (1 / share) === 10);
  expect(dropped.length).toBeGreaterThan(1);
  for (const address of dropped) await adapter.delete(address);
  for (let seed = 0; seed < seeds; seed++) {
    const context = { ...vault.context, random: fixedRandom(`audit ${seed}`) };
    const result = await audit({ context }, { provider: 'p2', share });
    expect(result.challenges).toBe(n);
    expect(stateOf(result, 'p2').challenges).toBe(n);
    if (stateOf(result, 'p2').state === 'failed') caught.push(`${seed}`);
  }
  expect(caught).toHaveLength(seeds);
  const notes = await notesOf(vault);
  expect(notes.every(({ pack, problem }) => dropped.includes(pack) && problem === 'missing')).toBe(true);
  expect(notes.length).toBeGreaterThan(0);
}, 300_000);

it('what is missing and what is altered is noted, by shards, and held against the provider as a lie', async () => {
  const wrap = (adapter: BlobAdapter, i: number): BlobAdapter => ({
    ...adapter,
    async fetchRange(address, offset, into, options) {
      if (i === 1) await adapter.fetchRange(`b3:${'0'.repeat(64)}` as BlobAddress, offset, into, options);
      await adapter.fetchRange(address, offset, into, options);
      if (i === 0) into[0]![7]! ^= 1;
    },
  });
  const vault = reporting(await filled(4, { wrap }));
  const result = await audit(vault, { share: 0.5, confidence: 0.9 });
  expect(stateOf(result, 'p1')).toMatchObject({ state: 'failed', corrupt: 4, right: 0, missing: 0 });
  expect(stateOf(result, 'p2')).toMatchObject({ state: 'failed', missing: 4, right: 0, corrupt: 0 });
  expect(stateOf(result, 'p3')).toMatchObject({ state: 'passed' });
  const notes = await notesOf(vault);
  expect(notes.filter(({ provider }) => provider === 'p1').every(({ shards }) => shards!.length > 0)).toBe(
    true,
  );
  expect(new Set(notes.map(({ provider, foundBy }) => `${provider} ${foundBy}`))).toEqual(
    new Set(['p1 audit', 'p2 audit']),
  );
  const kinds = (id: string) =>
    new Set(vault.reports.flatMap((one) => (one.id === id ? [(one.error as HoldfastError)?.kind] : [])));
  expect([kinds('p1'), kinds('p2'), kinds('p3')]).toEqual([
    new Set(['HashMismatch']),
    new Set(['NotFound']),
    new Set([undefined]),
  ]);
});

it('what is removed while it is challenged is no damage, and held against nobody', async () => {
  let during: (() => Promise<void>) | undefined;
  let done: Promise<void> | undefined;
  let asked = 0;
  const wrap = (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    async fetchRange(address, offset, into, options) {
      asked++;
      // No shard is read before it is done.
      done ??= during?.();
      await done;
      return adapter.fetchRange(address, offset, into, options);
    },
  });
  const vault = reporting(await filled(3, { wrap }));
  during = async () => {
    for (const name of ['o0', 'o1', 'o2']) await deleteObject(vault.context, name);
  };
  const { providers } = await audit(vault, { share: 0.5, confidence: 0.9 });
  expect(asked).toBeGreaterThan(0);
  for (const { right, missing, corrupt } of providers)
    expect({ right, missing, corrupt }).toEqual({ right: 0, missing: 0, corrupt: 0 });
  expect(await notesOf(vault)).toEqual([]);
  expect(vault.reports.filter(({ error }) => error !== undefined)).toEqual([]);
});

it('a challenge that times out is asked again for the same shard, three times, and then has failed', async () => {
  const asked: string[] = [];
  let hangs = 5;
  const wrap = (adapter: BlobAdapter, i: number): BlobAdapter => ({
    ...adapter,
    async fetchRange(address, offset, into, options) {
      if (i !== 0) return adapter.fetchRange(address, offset, into, options);
      asked.push(`${address} ${offset}`);
      if (hangs-- <= 0) return adapter.fetchRange(address, offset, into, options);
      return new Promise(() => {});
    },
  });
  const vault = await filled(3, { wrap });
  const clock = {
    ...vault.context.clock,
    timer: (_: number, over: () => void) => {
      const turn = setTimeout(over, 5);
      return () => clearTimeout(turn);
    },
  };
  const timed = reporting({ ...vault, context: { ...vault.context, clock } });
  const result = await audit(timed, { provider: 'p1', share: 0.5, confidence: 0.5 });
  expect(result.challenges).toBe(1);
  expect(new Set(asked).size).toBe(1);
  expect(asked).toHaveLength(4);
  expect(result.providers).toMatchObject([{ state: 'silent', challenges: 1, unanswered: 1 }]);
  expect(await notesOf(vault)).toEqual([]);
  expect(timed.reports.map(({ error }) => (error as HoldfastError).kind)).toEqual(
    new Array(4).fill('Timeout'),
  );
  hangs = 2;
  asked.length = 0;
  // Slow twice, and right then.
  expect((await audit(timed, { provider: 'p1', share: 0.5, confidence: 0.5 })).providers).toMatchObject([
    { state: 'passed', right: 1, unanswered: 0 },
  ]);
  expect([asked.length, new Set(asked).size]).toEqual([3, 1]);
});

it('a provider that answers nothing is asked for little, and is no damage', async () => {
  const vault = await faultyVault({ chunkBytes: 64 * 1024 });
  await fill(vault, 9);
  vault.faulty[2]!.setFaults({ error: 'Unavailable' });
  const result = await audit(vault, { share: 0.1, confidence: 0.9 });
  expect(stateOf(result, 'p3')).toMatchObject({ state: 'silent', right: 0 });
  expect(stateOf(result, 'p3').challenges).toBeLessThan(8);
  expect(stateOf(result, 'p4')).toMatchObject({ state: 'passed', challenges: 22 });
  expect(await notesOf(vault)).toEqual([]);
});

it('where a provider has few of the shards that it might have, more are drawn', async () => {
  const code = createLinearCode({ algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 });
  const vault = await testVault({
    ...{ providers: 14, chunkBytes: 16 * 1024 },
    policy: { code, replicaBelowBytes: 0 },
  });
  await putObject(vault.context, noise(1_500_000), { name: 'x' });
  const { providers } = await audit(vault, { share: 0.3, confidence: 0.9 });
  for (const one of providers) expect(one).toMatchObject({ state: 'passed', challenges: 7 });
});

it('an audit needs no key, and one of a vault without objects says so', async () => {
  const vault = await filled(2);
  const keys = vaultKeysOf(deriveSubkeys(secureRandom(32)));
  const sealed = { context: { ...vault.context, keys } };
  expect((await audit(sealed, { share: 0.5, confidence: 0.5 })).providers[0]).toMatchObject({
    state: 'passed',
  });
  const empty = await audit(await testVault({ providers: 2 }));
  expect(empty.providers.map(({ state }) => state)).toEqual(['nothing', 'nothing']);
});
