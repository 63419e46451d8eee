import { expect, it } from 'vitest';
import { rendezvousOrder } from '../../src/object/rendezvous.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { FaultPlan } from '../../src/providers/layers/fault.ts';
import { forgetRoot } from '../../src/records/manifests.ts';
import { arenaIsFree } from '../helpers/faulty.ts';
import { noise, readAll } from '../helpers/vault.ts';
import { watchedVault } from './watched.ts';

const LIAR = 4;
/** Rounds of one put and one get; the first must find a liar out. */
const ROUNDS = 3;

const lies: Record<string, FaultPlan> = {
  'acknowledges and drops': { operations: ['store'], blackHole: 1 },
  'flips bits': { flipBit: 1 },
  'sends half, or zeroes': { truncate: 1 },
  'answers probes in 1 ms and data never': {
    operations: ['store', 'fetch', 'fetchRange', 'fetchStream'],
    lieOnProbe: true,
    hang: 1,
  },
};

for (const [name, plan] of Object.entries(lies)) {
  const out = plan.hang === undefined ? 'lying' : 'recently_failing';
  it(`a provider that ${name} alters no byte, holds no memory and is found out`, async () => {
    const { context, catalog, faulty, providers } = await watchedVault();
    const { id } = providers[LIAR]!;
    const state = () => catalog.snapshot().find((provider) => provider.id === id)!;
    faulty[LIAR]!.setFaults(plan);
    await catalog.probeAll();
    expect(state().state).toBe('ok');

    let foundOut: number | undefined;
    for (let round = 1; round <= ROUNDS; round++) {
      const bytes = noise(1_300_000, round);
      await putObject(context, bytes, { name: `${round}` });
      const read = await readAll(await getObject(context, `${round}`));
      expect(Buffer.compare(read, bytes)).toBe(0);
      if (state().state !== 'ok') foundOut ??= round;
    }
    expect(foundOut).toBe(1);
    expect(state()).toMatchObject({ state: out });
    expect(state().successRate).toBeLessThan(1);
    expect(catalog.snapshot().filter(({ state }) => state === 'ok')).toHaveLength(8);
    const { certificate } = await putObject(context, noise(100_000), { name: 'after' });
    expect(certificate.providers).toBe(8);
    expect(arenaIsFree(context)).toBe(true);
    console.log(`${name}: out of favour after ${foundOut} put and get; ${state().why}`);
  });
}

it('a provider that alters manifests is found out by the first get that asks it for one', async () => {
  const { context, catalog, faulty, providers } = await watchedVault();
  const { id } = providers[LIAR]!;
  const state = () => catalog.snapshot().find((provider) => provider.id === id)!;
  const ids = providers.map((provider) => provider.id);
  const bytes = noise(100);
  // Where a manifest is looked for first, its address alone says.
  let name = '';
  for (let i = 0; i < 500 && name === ''; i++) {
    const { manifest } = await putObject(context, bytes, { name: `${i}` });
    if (rendezvousOrder(context.blake3, manifest, ids)[0] !== id) continue;
    name = `${i}`;
    await forgetRoot(context, manifest); // of which this machine keeps a copy
  }
  faulty[LIAR]!.setFaults({ operations: ['fetch'], flipBit: 1 });
  expect(state().state).not.toBe('lying');
  expect(await readAll(await getObject(context, name))).toEqual(bytes);
  expect(state()).toMatchObject({ state: 'lying', totalLies: 1, totalFailures: 0 });
  expect(state().why).toContain('(a read: HashMismatch,');
});
