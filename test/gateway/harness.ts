import { onTestFinished } from 'vitest';
import type { BlobAddress } from '../../src/core/address.ts';
import { systemClock } from '../../src/core/clock.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { secureRandom } from '../../src/core/random.ts';
import type { ProviderSummary, RepairSummary } from '../../src/explorer/source.ts';
import { createVaultSource } from '../../src/explorer/vault-source.ts';
import type { GatewayOptions } from '../../src/gateway/gateway.ts';
import { createGateway } from '../../src/gateway/gateway.ts';
import type { ObjectStore } from '../../src/gateway/store.ts';
import { type CacheBudgets, createVaultStore } from '../../src/gateway/vault-store.ts';
import type { Scope } from '../../src/http/auth.ts';
import { createAuthenticator, hashToken } from '../../src/http/auth.ts';
import type { AccessEntry } from '../../src/http/log.ts';
import type { Service } from '../../src/http/service.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createTelemetry } from '../../src/telemetry/index.ts';
import { metricIn } from '../helpers/metrics.ts';
import { type TestVault, type TestVaultOptions, testVault } from '../helpers/vault.ts';

export const ADMIN = 'admin-token-of-the-tests';
export const READER = 'reader-token-of-the-tests';
export const WRITER = 'writer-token-of-the-tests';
export const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

export const POLICY: GatewayOptions['policy'] = {
  erasure: {
    algorithm: 'lrc',
    fallback: 'xor',
    fallbackAllowed: false,
    refused: null,
    needsEmergencySwitch: false,
    emergency: false,
  },
  compression: {
    algorithm: 'zstd',
    fallback: 'rle',
    fallbackAllowed: true,
    refused: null,
    needsEmergencySwitch: true,
    emergency: true,
  },
};

/** Everything that was asked of the providers' adapters. */
export interface Traffic {
  fetches: number;
  bytes: number;
  /** What is to happen to the bytes of a read, in place. */
  tamper: ((bytes: Uint8Array, provider: number) => void) | undefined;
  /** Waited for before a read. */
  before: ((signal: AbortSignal | undefined) => Promise<void>) | undefined;
}

/** An adapter whose shard reads are counted and can be tampered with. */
export function tapped(adapter: BlobAdapter, traffic: Traffic, index: number): BlobAdapter {
  return new Proxy(adapter, {
    get(target, key, receiver) {
      if (key !== 'fetchRange') {
        const value: unknown = Reflect.get(target, key, receiver);
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return async (...[address, offset, into, options]: Parameters<BlobAdapter['fetchRange']>) => {
        await traffic.before?.(options?.signal);
        await target.fetchRange(address, offset, into, options);
        traffic.fetches++;
        for (const part of into) {
          traffic.bytes += part.length;
          traffic.tamper?.(part, index);
        }
      };
    },
  });
}

export interface TestGateway {
  readonly vault: TestVault;
  readonly gateway: Service;
  readonly store: ObjectStore;
  readonly port: number;
  readonly url: string;
  readonly traffic: Traffic;
  readonly access: AccessEntry[];
  metric(name: string): Promise<number>;
  put(bytes: Uint8Array, options?: { name?: string; contentType?: string }): Promise<BlobAddress>;
}

export interface TestGatewayOptions extends Partial<GatewayOptions> {
  readonly anonymous?: readonly Scope[];
  readonly vault?: TestVaultOptions;
  readonly sealed?: boolean;
  readonly history?: (limit: number) => AsyncIterable<RepairSummary>;
  readonly over?: TestVault;
  readonly providers?: () => readonly ProviderSummary[];
  readonly probe?: () => Promise<unknown>;
  /** Default: it can always be counted. */
  readonly readPace?: () => Promise<unknown>;
  /** By default chunks are not kept, so that every read shows what it does. */
  readonly caches?: Partial<CacheBudgets>;
}

const NOTHING_TO_REPAIR: GatewayOptions['repairs'] = {
  async run() {
    const chunks = { success: 0, failure: 0, skipped: 0, fatal: 0 };
    const sums = { manifests: 0, bytesRestored: 0, bytesRead: 0, nodeCopies: 0 };
    const names = { nameCopies: 0, namesShort: 0 };
    return { ...sums, ...names, chunks, capped: [], lost: [], incomplete: false };
  },
  async chunk({ manifest, chunk }) {
    if (chunk > 0) {
      throw new HoldfastError('NotFound', `the object has no chunk ${chunk}`, { code: 'chunk_not_found' });
    }
    return { manifest, chunk, status: 'intact', shards: 0, bytesRestored: 0, bytesRead: 0 };
  },
};

const NOTHING_TO_MOVE: GatewayOptions['moves'] = {
  async plan(task) {
    const { provider, name } = { provider: '', name: '', ...task };
    if ([provider, name].includes('absent')) throw new HoldfastError('NotFound', 'there is no such thing');
    return { plan: {} };
  },
  run: async () => ({ plan: {}, result: {} }),
};

/** A gateway over a vault in memory, gone when the test is. */
export async function startGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const traffic: Traffic = { fetches: 0, bytes: 0, tamper: undefined, before: undefined };
  const vault =
    options.over ??
    (await testVault({ ...options.vault, wrap: (adapter, index) => tapped(adapter, traffic, index) }));
  const telemetry = await createTelemetry();
  const access: AccessEntry[] = [];
  const store = createVaultStore({
    context: vault.context,
    sealed: options.sealed ?? false,
    probe: options.probe ?? (async () => {}),
    readPace: options.readPace ?? (async () => {}),
    firstAnswered: () => 'p1',
    metrics: telemetry.services,
    caches: { manifestBytes: 4 * 1024 * 1024, chunkBytes: 0, ...options.caches },
  });
  const explorer = createVaultSource({
    context: vault.context,
    sealed: options.sealed ?? false,
    lost: async () => new Map(),
    providers:
      options.providers ??
      (() =>
        vault.providers.map(({ id }) => ({ id, state: vault.gone.has(id) ? 'quarantined' : 'ok', why: '' }))),
    repairs: options.history ?? async function* () {},
    status: async () => ({ standing: 'confirmed' }),
    settings: () => ({ engines: { default: 'memory' } }),
  });
  const entry = (name: string, token: string, scopes: readonly Scope[]) => ({
    name,
    sha256: hashToken(token),
    scopes: new Set(scopes),
  });
  const tokens = [
    entry('admin', ADMIN, ['read', 'admin']),
    entry('reader', READER, ['read']),
    entry('writer', WRITER, ['write']),
  ];
  const anonymous = new Set(options.anonymous ?? (['read'] as const));
  const gateway = createGateway({
    store,
    explorer,
    repairs: NOTHING_TO_REPAIR,
    moves: NOTHING_TO_MOVE,
    blake3: vault.context.blake3,
    clock: systemClock,
    random: secureRandom,
    auth: createAuthenticator(() => ({ tokens, anonymous })),
    metrics: telemetry.services,
    exposition: telemetry,
    log: { access: (line) => access.push(line), event() {} },
    policy: POLICY,
    version: '0.0.0',
    allowedHosts: ['test'],
    ...options,
  });
  const address = await gateway.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  if (address.kind !== 'tcp') throw new Error('not a TCP address');
  onTestFinished(() => gateway.close());
  return {
    vault,
    gateway,
    store,
    traffic,
    access,
    port: address.port,
    url: address.url,
    metric: async (name) => metricIn(await telemetry.renderMetrics(), name) ?? 0,
    async put(bytes, input = {}) {
      return (await putObject(vault.context, bytes, input)).manifest;
    },
  };
}
