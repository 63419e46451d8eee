import { expect, it } from 'vitest';
import type { BlobAddress } from '../../src/core/address.ts';
import { rendezvousOrder } from '../../src/object/rendezvous.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';

const [one, two] = [noise(20_000, 1), noise(20_000, 2)];

it("another object's manifest in the place of this one's is not believed, not even of the own state", async () => {
  const { context } = await testVault();
  const [a, b] = [await putObject(context, one), await putObject(context, two)];
  const roots = context.engine.table('manifests');
  await roots.put(a.manifest, (await roots.get(b.manifest))!);
  expect(Buffer.compare(await readAll(await getObject(context, a.manifest)), one)).toBe(0);
});

it("a provider that answers with another object's manifest is named, and the next is asked", async () => {
  const swapped = new Map<string, BlobAddress>();
  const liar = (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    fetch: (address, options) =>
      adapter.fetch(swapped.get(`${adapter.adapterId} ${address}`) ?? address, options),
  });
  const { context } = await testVault({ wrap: liar });
  const [a, b] = [await putObject(context, one), await putObject(context, two)];
  const roots = context.engine.table('manifests');
  const bytes = await Promise.all([a, b].map(({ manifest }) => roots.get(manifest)));
  const ids = context.directory.all().map(({ id }) => id);
  // All have both, so that all but the one that is asked last can lie.
  const liars = rendezvousOrder(context.blake3, a.manifest, ids).slice(0, -1);
  for (const { adapter } of context.directory.all()) {
    await adapter.store(a.manifest, [bytes[0]!]);
    await adapter.store(b.manifest, [bytes[1]!]);
  }
  for (const id of liars) swapped.set(`${id} ${a.manifest}`, b.manifest);
  await roots.delete(a.manifest);
  const object = await getObject(context, a.manifest);
  expect(Buffer.compare(await readAll(object), one)).toBe(0);
  expect(object.damage.map(({ provider, problem, blob }) => [provider, problem, blob])).toEqual(
    liars.map((id) => [id, 'corrupt', a.manifest]),
  );
});
