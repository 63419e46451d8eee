import { describe, expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { utf8Decode } from '../../src/core/bytes.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { domainOf } from '../../src/placement/domains.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { fetchVerified } from '../../src/providers/guard.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { aroundWrites } from '../helpers/engine.ts';
import { noise, type TestVault, testVault } from '../helpers/vault.ts';

/** The same context, its engine's writes noted as `write tables` and `, flushed`. */
function noting(context: VaultContext, log: string[]): VaultContext {
  const engine = aroundWrites(context.engine, async ({ ops, sync }, work) => {
    const tables = [...new Set(ops.map(({ table }) => table))].sort();
    log.push(`write ${tables.join(' ')}${sync ? ', flushed' : ''}`);
    const result = await work();
    for (const { table, key, value } of ops) {
      if (table !== 'journal' || !key.includes('/') || value === undefined) continue;
      for (const place of utf8Decode(value).split('\n')) log.push(`intent ${place}`);
    }
    return result;
  });
  return { ...context, engine };
}

const noted =
  (log: string[]) =>
  (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    async store(address, parts, options) {
      log.push(`send ${adapter.adapterId}/${address}`);
      const result = await adapter.store(address, parts, options);
      log.push('stored');
      return result;
    },
  });

describe('what a put returned is durable', () => {
  const committed =
    'write journal manifest_order manifest_times manifest_usage manifests name_index names shard_classes shard_index vault, flushed';

  it('once all blobs are stored the journal, the manifest and the name are flushed in one step', async () => {
    const log: string[] = [];
    const { context } = await testVault({ wrap: noted(log) });
    await putObject(noting(context, log), noise(700_000), { name: 'x' });
    const steps = log.filter((step) => step.endsWith('flushed'));
    const places = 'write journal, flushed';
    expect(steps[0]).toBe(places);
    expect(steps.filter((step) => step !== places)).toEqual([committed]);
    expect(log.indexOf(committed)).toBeGreaterThan(log.lastIndexOf('stored'));
  });

  it('every blob is in the journal before it is sent', async () => {
    const log: string[] = [];
    const { context } = await testVault({ wrap: noted(log) });
    await putObject(noting(context, log), noise(700_000), { name: 'x' });
    const sent = log.filter((step) => step.startsWith('send '));
    expect(sent.length).toBeGreaterThan(9);
    for (const step of sent) {
      const intended = log.indexOf(step.replace('send', 'intent'));
      expect(intended).toBeGreaterThanOrEqual(0);
      expect(intended).toBeLessThan(log.indexOf(step));
    }
  });

  it('a removal is flushed before a blob is deleted', async () => {
    const log: string[] = [];
    const { context } = await testVault({
      wrap: (adapter) => ({
        ...adapter,
        async delete(address, options) {
          log.push('delete');
          await adapter.delete(address, options);
        },
      }),
    });
    await putObject(context, noise(50_000), { name: 'x' });
    await deleteObject(noting(context, log), 'x');
    const steps = [...new Set(log.filter((step) => step === 'delete' || step.endsWith('flushed')))];
    expect(steps).toEqual(['write journal name_index names retired vault, flushed', 'delete']);
  });
});

describe('a manifest is kept', () => {
  const copiesOf = async (
    { context, providers }: TestVault,
    put: { manifest: BlobAddress },
  ): Promise<string[]> => {
    const found: string[] = [];
    for (const { id, adapter } of providers) {
      const there = await fetchVerified(adapter, put.manifest, context.blake3).catch(() => undefined);
      if (there !== undefined) found.push(id);
    }
    return found;
  };

  it.each([3, 6, 9])('at one provider more than its certificate needs: %i providers', async (providers) => {
    const vault = await testVault({ providers });
    for (const length of [100, 300_000]) {
      const put = await putObject(vault.context, noise(length), { name: `${length}` });
      expect((await copiesOf(vault, put)).length).toBe(Math.min(providers, put.certificate.tolerates + 2));
    }
  });

  it.each([
    ['provider', (i: number) => ({ provider: `operator ${i % 3}` })],
    ['account', (i: number) => ({ provider: 'one operator', account: `account ${i % 3}` })],
    ['region', (i: number) => ({ region: `region ${i % 3}` })],
  ] as const)('in more domains than may vanish, where %s is what fails', async (failureDomain, labels) => {
    const vault = await testVault({ policy: { failureDomain } });
    vault.providers.forEach((provider, i) => {
      Object.assign(provider, { domain: { ...provider.domain, ...labels(i) } });
    });
    for (let i = 0; i < 8; i++) {
      const put = await putObject(vault.context, noise(20_000, i + 1), { name: `${i}` });
      expect(put.certificate.domains).toEqual({ level: failureDomain, count: 3 });
      const ids = await copiesOf(vault, put);
      const holders = vault.providers.filter(({ id }) => ids.includes(id));
      expect(new Set(holders.map((provider) => domainOf(provider, failureDomain))).size).toBe(3);
    }
  });

  it.each([
    ['providers', 'provider', (index: number) => index > 2],
    ['regions', 'region', (index: number) => index % 3 > 0],
  ] as const)(
    'by as many %s as its certificate says, or the put is refused and leaves nothing',
    async (_, failureDomain, isFull) => {
      const object = noise(300_000);
      const { context, providers } = await testVault({
        policy: { failureDomain },
        wrap: (adapter, index) => {
          return {
            ...adapter,
            async store(address, parts, options) {
              // Packs are of many shards; a node of this object is one short block.
              const isNode = parts.length === 1 && addressOf(context.blake3.hash(parts[0]!)) === address;
              if (isNode && isFull(index)) throw new HoldfastError('QuotaExceeded', 'full');
              return adapter.store(address, parts, options);
            },
          };
        },
      });
      providers.forEach((provider, i) => {
        Object.assign(provider, { domain: { ...provider.domain, region: `region ${i % 3}` } });
      });
      await expect(putObject(context, object, { name: 'x' })).rejects.toMatchObject({
        kind: 'Unavailable',
        code: 'not_enough_providers',
      });
      await expect(getObject(context, 'x')).rejects.toMatchObject({ kind: 'NotFound' });
      for (const { adapter } of providers) {
        for await (const { address } of adapter.list())
          expect.unreachable(`${adapter.adapterId} keeps ${address}`);
      }
    },
  );
});

it('a put that cannot keep its promise is refused before anything is sent, or read where its length is known', async () => {
  const log: string[] = [];
  const { context } = await testVault({ providers: 6, wrap: noted(log) });
  async function* source(): AsyncGenerator<Uint8Array> {
    log.push('read');
    yield noise(100_000);
  }
  const refused = {
    kind: 'PermissionDenied',
    code: 'certificate_shortfall',
    context: { certificate: { tolerates: 2 } },
  };
  await expect(putObject(context, noise(100_000), { name: 'x', minTolerates: 3 })).rejects.toMatchObject(
    refused,
  );
  expect(log).toEqual([]);
  await expect(putObject(context, source(), { name: 'x', minTolerates: 3 })).rejects.toMatchObject(refused);
  expect(log).toEqual(['read']);
});
