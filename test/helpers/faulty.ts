import { systemClock } from '../../src/core/clock.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { type FaultyAdapter, withFaults } from '../../src/providers/layers/fault.ts';
import { type TestVault, type TestVaultOptions, testVault } from './vault.ts';

export interface FaultyVault extends TestVault {
  readonly faulty: FaultyAdapter[];
}

/** A vault whose providers misbehave on demand. @param layer goes around the faults, e.g. deadlines. */
export async function faultyVault(
  options: TestVaultOptions = {},
  layer: (adapter: BlobAdapter) => BlobAdapter = (adapter) => adapter,
): Promise<FaultyVault> {
  const faulty: FaultyAdapter[] = [];
  const vault = await testVault({
    ...options,
    wrap: (adapter, i) => {
      const wrapped = withFaults(adapter, { clock: systemClock, seed: i + 1 });
      faulty.push(wrapped);
      return layer(wrapped);
    },
  });
  return { ...vault, faulty };
}

/** All memory has been given back: the whole arena can be had in one piece, at once. */
export function arenaIsFree({ arena }: VaultContext): boolean {
  const all = arena.tryAllocate(arena.capacity);
  if (all === undefined) return false;
  arena.release(all);
  return true;
}

/** Blobs at each provider, as `provider/address`. */
export async function allBlobs({ providers }: TestVault): Promise<string[]> {
  const found: string[] = [];
  for (const { id, adapter } of providers)
    for await (const { address } of adapter.list()) found.push(`${id}/${address}`);
  return found.sort();
}
