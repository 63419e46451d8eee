import type { BlobAddress } from '../../src/core/address.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { type DamageNote, damagedSegments } from '../../src/records/damage.ts';
import { listManifests } from '../../src/records/manifests.ts';
import { type ScrubOptions, type ScrubResult, scrubStored } from '../../src/upkeep/scrub/scrub.ts';
import { allBlobs } from './faulty.ts';
import { noise, type TestVault, type TestVaultOptions, testVault } from './vault.ts';

const FAST = 1e12;
export const scrub = (
  { context }: Pick<TestVault, 'context'>,
  options: Partial<ScrubOptions> = {},
): Promise<ScrubResult> =>
  scrubStored(context, { ...options, bytesPerSecond: options.bytesPerSecond ?? FAST });

/** Small objects, kept as copies, and larger ones, which are coded. */
export async function fill(vault: TestVault, objects: number): Promise<void> {
  for (let i = 0; i < objects; i++)
    await putObject(vault.context, noise(i % 3 === 0 ? 900 : 150_000, 100 + i), { name: `o${i}` });
}

export async function filled(objects: number, options: TestVaultOptions = {}): Promise<TestVault> {
  const vault = await testVault({ chunkBytes: 64 * 1024, ...options });
  await fill(vault, objects);
  return vault;
}

export async function notesOf({ context }: Pick<TestVault, 'context'>): Promise<DamageNote[]> {
  const notes: DamageNote[] = [];
  for await (const one of damagedSegments(context)) notes.push(...one.notes);
  return notes;
}

export const adapterOf = ({ providers }: TestVault, id: string): BlobAdapter =>
  providers.find((provider) => provider.id === id)!.adapter;

/** Alters a byte of a blob, and so one shard at the most. */
export async function rot(vault: TestVault, id: string, address: BlobAddress, at = 0): Promise<void> {
  const adapter = adapterOf(vault, id);
  const bytes = (await adapter.fetch(address)).slice();
  bytes[at % bytes.length]! ^= 1;
  await adapter.delete(address);
  await adapter.store(address, [bytes]);
}

/** Takes away every second of so many blobs, and lets the others rot. @returns `provider/address problem`. */
export async function plant(vault: TestVault, count: number, seed = 9): Promise<string[]> {
  // Of a small object nothing says whether there was a spare copy of its root.
  const roots = new Set<string>();
  for await (const { address, root } of listManifests(vault.context))
    if (root.code.algorithm === 'replica') roots.add(address);
  const left = (await allBlobs(vault)).filter((blob) => !roots.has(blob.split('/')[1]!));
  const dice = new Uint32Array(noise(4 * count, seed).buffer);
  const planted: string[] = [];
  for (const [i, die] of dice.entries()) {
    const [one] = left.splice(die % left.length, 1);
    const [id, address] = one!.split('/') as [string, BlobAddress];
    if (i % 2 === 0) await adapterOf(vault, id).delete(address);
    else await rot(vault, id, address, die >>> 8);
    planted.push(`${one} ${i % 2 === 0 ? 'missing' : 'corrupt'}`);
  }
  return planted.sort();
}

export const told = (notes: readonly DamageNote[]): string[] =>
  notes.map(({ provider, pack, problem }) => `${provider}/${pack} ${problem}`).sort();
