import { expect, it } from 'vitest';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { allBlobs, arenaIsFree } from '../helpers/faulty.ts';
import { noise, readAll } from '../helpers/vault.ts';
import { deps } from '../providers/conform.ts';
import { type Watched, watchedVault } from './watched.ts';

const MIB = 1024 * 1024;
/** Some 20 MiB at nine providers: over 2 MiB at each, in several packs. */
const object = noise(12 * MIB);

/** Only so many bytes fit at the providers that `which` names. */
const holding =
  (bytes: number, which: (index: number) => boolean) =>
  (adapter: BlobAdapter, index: number): BlobAdapter =>
    which(index) ? createMemoryAdapter({ id: `p${index + 1}`, capacityBytes: bytes, ...deps }) : adapter;

const stateOf = ({ catalog }: Watched, id: string) =>
  catalog.snapshot().find((provider) => provider.id === id)!;

it('a provider that fills up in the middle of an object: the rest goes elsewhere, and the certificate says so', async () => {
  const vault = await watchedVault({ wrap: holding(1.5 * MIB, (i) => i === 2) });
  const put = await putObject(vault.context, object, { name: 'x' });
  expect(put.failedAttempts.map(({ provider, code }) => ({ provider, code }))).toEqual([
    { provider: 'p3', code: expect.stringMatching(/quota/i) },
  ]);
  expect(put.certificate.providers).toBe(9);
  expect(put.certificate.tolerates).toBeGreaterThanOrEqual(2);
  expect(stateOf(vault, 'p3')).toMatchObject({ state: 'full' });
  expect(Buffer.compare(await readAll(await getObject(vault.context, 'x')), object)).toBe(0);
  const { tolerates, worst_case } = put.certificate;
  vault.providers.forEach(({ id }, i) => {
    if (worst_case.indexOf(id) < tolerates && worst_case.includes(id))
      vault.faulty[i]!.setFaults({ error: 'Unavailable' });
  });
  expect(Buffer.compare(await readAll(await getObject(vault.context, 'x')), object)).toBe(0);
  expect(arenaIsFree(vault.context)).toBe(true);
});

it('credits that run out in the middle of an object end its share there', async () => {
  const credits = [undefined, 1, undefined, undefined, undefined, undefined, undefined, undefined, undefined];
  const vault = await watchedVault({ credits, policy: { packTargetBytes: MIB / 4 } });
  const put = await putObject(vault.context, object, { name: 'x' });
  expect(put.failedAttempts[0]).toMatchObject({ provider: 'p2' });
  expect(put.failedAttempts[0]!.error).toMatch(/of its quota/);
  const p2 = stateOf(vault, 'p2');
  expect(p2.usedBytes).toBeGreaterThan(0);
  expect(p2.usedBytes).toBeLessThanOrEqual(MIB);
  console.log(`1 MiB of credits: ${p2.usedBytes} bytes used; ${put.failedAttempts[0]!.error}`);
  expect(Buffer.compare(await readAll(await getObject(vault.context, 'x')), object)).toBe(0);
});

it('no room for the promise: nothing is stored, and the refusal says what fell short', async () => {
  const vault = await watchedVault({ wrap: holding(1.5 * MIB, (i) => i < 4), policy: { minTolerates: 2 } });
  const refusal: unknown = await putObject(vault.context, object, { name: 'x' }).catch(
    (error: unknown) => error,
  );
  expect(refusal).toMatchObject({ kind: 'PermissionDenied', code: 'certificate_shortfall' });
  const { message, context } = refusal as { message: string; context: { leftOut: string[] } };
  expect(context.leftOut.length).toBe(4);
  console.log(`${message}; ${context.leftOut.join('; ')}`);
  expect(await allBlobs(vault)).toEqual([]);
  await expect(getObject(vault.context, 'x')).rejects.toMatchObject({ kind: 'NotFound' });
  expect(arenaIsFree(vault.context)).toBe(true);
});
