import type { ProviderDirectory } from '../../src/catalog/directory.ts';
import { createPunctuality } from '../../src/catalog/directory.ts';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { DEFAULT_LRC } from '../../src/coding/erasure/params.ts';
import { secondBlake3, selectBlake3 } from '../../src/core/b3/select.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createHedge } from '../../src/core/hedge.ts';
import { secureRandom } from '../../src/core/random.ts';
import { NODE_READS } from '../../src/core/straggler-policies.ts';
import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { createArena } from '../../src/pipeline/arena.ts';
import type { Policy, VaultContext } from '../../src/pipeline/context.ts';
import { createInlineStage } from '../../src/pipeline/cpu/inline.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { relocationsOf } from '../../src/records/told-relocations.ts';
import { silentMetrics } from '../../src/telemetry/index.ts';
import { createRetention } from '../../src/upkeep/retention.ts';

export const ACCELERATION = { native: process.env.HOLDFAST_NATIVE !== 'off', wasm: true } as const;

export interface TestVaultOptions {
  readonly engine?: Engine;
  readonly providers?: number;
  readonly policy?: Partial<Policy>;
  readonly arenaBytes?: number;
  readonly chunkBytes?: number;
  /** How long versions are kept that were replaced. Default: not at all. */
  readonly replacedMs?: number;
  /** Replaces or wraps a provider's adapter. */
  readonly wrap?: (adapter: BlobAdapter, index: number) => BlobAdapter;
}

export interface TestVault {
  readonly context: VaultContext;
  readonly providers: Provider[];
  /** Providers that no longer answer, by id. */
  readonly gone: Set<string>;
}

/** A whole vault in memory: real coding, real manifests, providers that can be made to vanish. */
export async function testVault(options: TestVaultOptions = {}): Promise<TestVault> {
  const blake3 = await selectBlake3(ACCELERATION);
  const arena = createArena(options.arenaBytes ?? 48 * 1024 * 1024);
  const gone = new Set<string>();
  const providers = Array.from({ length: options.providers ?? 9 }, (_, i): Provider => {
    const id = `p${i + 1}`;
    const adapter = createMemoryAdapter({ id, clock: systemClock, random: secureRandom, blake3 });
    return {
      id,
      adapter: options.wrap?.(adapter, i) ?? adapter,
      domain: { provider: id, account: id, region: 'test' },
      price: 1,
      maxConcurrency: 16,
    };
  });
  const punctuality = createPunctuality(systemClock);
  const directory: ProviderDirectory = {
    all: () => providers.filter(({ id }) => !gone.has(id)),
    get: (id) => providers.find((provider) => provider.id === id && !gone.has(id)),
    forStore: () => ({ eligible: providers.filter(({ id }) => !gone.has(id)), leftOut: [] }),
    noRoom: () => undefined,
    readCost: (id) => (punctuality.isLate(id) ? 1000 : 1),
    preferredChunk: () => options.chunkBytes ?? 256 * 1024,
    report: () => {},
    deleted: () => {},
    flush: async () => {},
    recount: async () => true,
    respondsToProbe: async () => true,
    late: punctuality.late,
    heard: punctuality.heard,
    isLate: punctuality.isLate,
    isResponsive: (id) => !punctuality.isSilent(id),
    p95Ms: () => undefined,
  };
  const engine = options.engine ?? createMemoryEngine();
  const keys = vaultKeysOf(deriveSubkeys(secureRandom(32)));
  const base: Omit<VaultContext, 'retention' | 'places' | 'isOver' | 'isGone'> = {
    keys,
    owner: async () => 'test',
    engine,
    relocations: relocationsOf({ engine, blake3, keys, directory, clock: systemClock }),
    directory,
    arena,
    cpu: createInlineStage(arena.memory, ACCELERATION, systemClock),
    blake3,
    secondBlake3: () => secondBlake3(blake3, ACCELERATION),
    clock: systemClock,
    nodeReads: createHedge(systemClock, NODE_READS),
    random: secureRandom,
    metrics: silentMetrics.pipeline,
    policy: {
      code: createLinearCode(DEFAULT_LRC),
      fitsCode: false,
      replicaBelowBytes: 4096,
      compression: 'none',
      compressionLevel: 1,
      packTargetBytes: 1024 * 1024,
      minTolerates: 1,
      failureDomain: 'provider',
      stallMs: 15_000,
      hedgeAfterMs: 30,
      maxInflight: 32,
      verifyWrites: 'sample',
      ...options.policy,
    },
  };
  const context: VaultContext = {
    ...base,
    retention: createRetention(base, options.replacedMs ?? 0),
    places: { enter: async () => {} },
    isOver: async () => false,
    isGone: async () => false,
  };
  return { context, providers, gone };
}

export async function readAll(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece);
  return new Uint8Array(Buffer.concat(parts));
}

/** Deterministic bytes that do not compress. */
export function noise(length: number, seed = 1): Uint8Array {
  const out = new Uint8Array(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = state;
  }
  return out;
}
