import { addressOf } from '../../src/core/address.ts';
import { utf8Decode } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/clock.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import type { BlobAt } from '../../src/records/claims.ts';
import { blake3 } from '../providers/deps.ts';
import { noise, type TestVaultOptions, testVault } from './vault.ts';

const bytesAt = (i: number): Uint8Array => noise(10, i + 1);
export const blobAt = (provider: string, i: number): BlobAt => ({
  provider,
  address: addressOf(blake3.hash(bytesAt(i))),
  bytes: 0,
});
export const blobsAt = (provider: string, count: number): BlobAt[] =>
  Array.from({ length: count }, (_, i) => blobAt(provider, i));

export const alive = async (): Promise<boolean> => false;
export const dead = async (): Promise<boolean> => true;

type Deletes = 'work' | 'hang' | 'lose' | 'refuse';

/** A vault on a clock that is set by hand, whose providers do with a delete what they are told. */
export async function world(told: Record<string, Deletes> = {}, options: TestVaultOptions = {}) {
  const asked: string[] = [];
  /** Deletes that nobody waits for any more, and that are done when told to. */
  const late: (() => Promise<void>)[] = [];
  const wrap = (adapter: BlobAdapter): BlobAdapter => ({
    ...adapter,
    delete: async (address, options) => {
      asked.push(`${adapter.adapterId}/${address}`);
      const how = told[adapter.adapterId];
      if (how === 'refuse') throw new HoldfastError('RateLimited', 'later, please');
      if (how === 'lose' || how === 'hang') late.push(() => adapter.delete(address));
      if (how === 'hang') await new Promise(() => {});
      if (how === 'lose') throw new HoldfastError('Timeout', 'no answer');
      return adapter.delete(address, options);
    },
  });
  const vault = await testVault({ ...options, wrap });
  const time = { ms: Date.now() };
  const context = { ...vault.context, clock: { ...systemClock, now: () => time.ms } };
  return { vault, context, asked, told, late, time };
}

export async function trashOf({ engine }: VaultContext): Promise<string[]> {
  const keys: string[] = [];
  for await (const [key] of engine.table('trash').entries()) keys.push(key);
  return keys;
}

export async function statesOf({ engine }: VaultContext): Promise<string[]> {
  const states: string[] = [];
  for await (const [, value] of engine.table('trash').entries()) {
    states.push(value.length === 8 ? 'version 1' : JSON.parse(utf8Decode(value)).state);
  }
  return states.sort();
}

/** Puts blobs there, as a put that was undone did. */
export async function store({ directory }: VaultContext, blobs: readonly BlobAt[]): Promise<void> {
  for (const [i, { provider, address }] of blobs.entries()) {
    await directory.get(provider)!.adapter.store(address, [bytesAt(i)]);
  }
}
