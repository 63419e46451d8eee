import { randomBytes } from 'node:crypto';
import { cp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_LRC } from '../src/coding/erasure/params.ts';
import type { Vault } from '../src/index.ts';
import { MIB, sum } from './numbers.ts';
import { blobs } from './vault-state.ts';

/** What was read and written to have lost shards of one class again, one at a time. */
export interface ShardsRead {
  readonly kind: string;
  readonly count: number;
  /** Shards that were read, for each of them. */
  readonly reads: readonly number[];
  /** Bytes per byte lost. */
  readonly read: number;
  readonly written: number;
}

const LIBRARY = fileURLToPath(new URL('../../dist/index.js', import.meta.url));
const PROVIDERS = 9;
const NAME = 'one chunk';
/** One chunk of the default code. */
const BYTES = MIB;
const UNPACED = { bytesPerSecond: 2 ** 36, clusterBytesPerSecond: 2 ** 36 };

interface Repaired {
  readonly shard: number;
  readonly length: number;
  readonly read: number;
  readonly written: number;
}

/** Each shard of a chunk rots in its turn; a scrub finds it, a repair mends it. */
export async function shardClasses(dir: string): Promise<ShardsRead[]> {
  const original = join(dir, 'original');
  const vault = await nineFolders(original, UNPACED);
  await vault.putObject(randomBytes(BYTES), { name: NAME });
  await vault.close();
  const repaired: Repaired[] = [];
  // A provider where something rotted gets no new shards for a minute: each has a copy of the vault of its own.
  for (let turn = 0; turn < PROVIDERS; turn++) {
    const copy = join(dir, `copy${turn}`);
    await cp(original, copy, { recursive: true });
    const opened = await openNineFolders(copy, UNPACED);
    try {
      repaired.push(...(await shardsAt(opened, join(copy, 'home', 'providers'), turn)));
    } finally {
      await opened.close();
    }
  }
  await rm(dir, { recursive: true, force: true });
  return byClass(repaired);
}

async function shardsAt(vault: Vault, providers: string, turn: number): Promise<Repaired[]> {
  const { dataShards, localParity, globalParity, fountainShards } = DEFAULT_LRC;
  const each = (dataShards + localParity + globalParity + fountainShards) / PROVIDERS;
  const path = (await packsOf(providers))[turn]!;
  const { size } = await stat(path);
  const repaired: Repaired[] = [];
  for (let i = 0; i < each; i++) repaired.push(await repairOne(vault, path, i, size / each));
  return repaired;
}

/** The largest blob of each provider: it has shards, the others are nodes. */
async function packsOf(providers: string): Promise<string[]> {
  const largest = new Map<string, { path: string; size: number }>();
  for (const path of await blobs(providers)) {
    const provider = path.slice(providers.length + 1).split('/')[0]!;
    const { size } = await stat(path);
    if (size > (largest.get(provider)?.size ?? 0)) largest.set(provider, { path, size });
  }
  return [...largest.values()].map(({ path }) => path);
}

async function repairOne(vault: Vault, path: string, i: number, length: number): Promise<Repaired> {
  const bytes = await readFile(path);
  const at = Math.floor((i + 0.5) * length);
  bytes[at] = bytes[at]! ^ 1;
  await writeFile(path, bytes);
  const { damage } = await vault.verifyObject(NAME, { deep: true });
  const shards = new Set(damage.flatMap(({ shard }) => shard ?? []));
  if (shards.size !== 1)
    throw new Error(`not one shard of ${path} is rotten: ${JSON.stringify({ damage, i, length })}`);
  await vault.scrub({ restart: true });
  const { bytesRead: read, bytesRestored: written } = await vault.repair();
  if (written === 0) throw new Error(`${path} is not repaired`);
  return { shard: [...shards][0]!, length, read, written };
}

function byClass(repaired: readonly Repaired[]): ShardsRead[] {
  const { dataShards, localParity, globalParity } = DEFAULT_LRC;
  const locals = dataShards + localParity;
  const kindOf = ({ shard }: Repaired): string => {
    if (shard < dataShards) return 'data';
    if (shard < locals) return 'parity of a group';
    return shard < locals + globalParity ? 'global parity' : 'overlay';
  };
  const kinds = [...new Set(repaired.toSorted((a, b) => a.shard - b.shard).map(kindOf))];
  return kinds.map((kind) => {
    const of = repaired.filter((one) => kindOf(one) === kind);
    const lost = sum(of.map(({ length }) => length));
    return {
      kind,
      count: of.length,
      reads: of.map(({ read, length }) => Math.round(read / length)),
      read: sum(of.map(({ read }) => read)) / lost,
      written: sum(of.map(({ written }) => written)) / lost,
    };
  });
}

interface Pace {
  readonly bytesPerSecond: number;
  readonly clusterBytesPerSecond: number;
}

function given(dir: string, repair: Pace) {
  const home = join(dir, 'home');
  const providers = Array.from({ length: PROVIDERS }, (_, i) => {
    const id = `p${i + 1}`;
    return { id, adapter: 'fs', root: join(home, 'providers', id) } as const;
  });
  return { home, config: { providers, repair } };
}

/** @param dir where {@link nineFolders} made it. */
export async function openNineFolders(dir: string, repair: Pace): Promise<Vault> {
  const { openVault } = (await import(LIBRARY)) as typeof import('../src/index.ts');
  return openVault({ ...given(dir, repair), env: {} });
}

export async function nineFolders(dir: string, repair: Pace): Promise<Vault> {
  const { createVault } = (await import(LIBRARY)) as typeof import('../src/index.ts');
  return createVault({ ...given(dir, repair), unwrapped: true, env: {} });
}
