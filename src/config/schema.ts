import {
  bool,
  bytes,
  decimal,
  type Field,
  guarded,
  integer,
  isTable,
  listOf,
  oneOf,
  path,
  type SectionFields,
  text,
} from '../core/fields.ts';
import { HEDGE_AFTER_MS } from '../core/straggler-policies.ts';
import { SCHEMA_NAME } from '../engine/check.ts';
import type { EngineName } from '../engine/engine.ts';
import { TABLE_NAMES } from '../engine/tables.ts';
import type { Config, ErasureAlgorithm, ServingConfig } from './types.ts';

/** Sections that are one table each, in the order of the shipped file. */
export const SECTION_NAMES = [
  'chunks',
  'compression',
  'encryption',
  'erasure',
  'fountain',
  'packs',
  'integrity',
  'placement',
  'retention',
  'scrub',
  'limits',
  'repair',
  'rollout',
  'engine',
  'node',
  'gateway',
  'daemon',
  'settlement',
  'receipts',
  'anchor',
] as const;

export type SectionName = (typeof SECTION_NAMES)[number];

/** Every key, what it accepts and its default: the one table that defaults come from. */
export type ConfigSchema = { readonly [S in SectionName]: SectionFields<Config[S]> };

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const ENGINES: readonly EngineName[] = ['level', 'memory', 'postgres'];
const ERASURE: readonly ErasureAlgorithm[] = ['lrc', 'reed-solomon', 'xor'];
const rung: Field<number> = bytes(MIB, 64 * KIB, 16 * MIB);

const ENVIRONMENT_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const ENVIRONMENT_NAME_ALLOWED = 'the name of an environment variable (letters, digits, _)';

const DAY_MS = 86_400_000;
/** In bytes it is an exact number still, and an exbibyte. */
const MAX_CREDITS = 1_000_000_000_000;
const limit: Field<number> = integer(0, 0, 1_000_000_000);

/** With `*.` before it, all names under it. */
const HOST_NAME = /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?$|^[0-9a-f]*:[0-9a-f:.]*$/;
const hostNames = listOf(
  text('', HOST_NAME, 'a host name in lower case without a port, such as "files.example.org" or "*.lan"'),
  [],
  64,
  0,
);

/** As they stand in `Host`: none stands for others, which a client could make up. */
const DOMAIN = /^[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?$/;
const domain = text('', DOMAIN, 'a host name in lower case without a port, such as "files.example.org"');

/** What `[node]`, `[gateway]` and `[daemon]` share. */
const servingFields = (maxInflight: number): SectionFields<ServingConfig> => ({
  bind: text('', /^(?:.+:\d{1,5})?$/, '"HOST:PORT", or "" for none'),
  unix: path,
  tlsCert: path,
  tlsKey: path,
  clientCa: path,
  tokenFile: guarded(path),
  accessLog: guarded(text('-', /^[^\0]{1,4096}$/, 'a path, "-" for standard error, or "off"')),
  maxInflight: integer(maxInflight, 1, 1_000_000),
  maxRps: limit,
  maxClientRps: limit,
  maxConnections: integer(8192, 1, 1_000_000),
  maxClientConnections: integer(256, 0, 1_000_000),
  maxPipelined: integer(16, 0, 1000),
  allowedHosts: guarded(hostNames),
  headersMs: integer(10_000, 100, DAY_MS),
  requestMs: integer(300_000, 100, DAY_MS),
  idleMs: integer(30_000, 100, DAY_MS),
  keepAliveMs: integer(30_000, 100, DAY_MS),
  graceMs: integer(15_000, 100, DAY_MS),
  minBytesPerSecond: bytes(16 * KIB, 1, 2 ** 30),
  drainMs: integer(30_000, 0, DAY_MS),
});

export const SCHEMA: ConfigSchema = {
  chunks: {
    mode: oneOf(['adaptive'], 'adaptive'),
    defaultBytes: rung,
    ladder: listOf(rung, [256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB], 16),
    targetSeconds: decimal(3, 0.1, 600),
  },
  compression: {
    algorithm: oneOf(['none', 'zstd', 'deflate', 'lz77-rle', 'rle'], 'zstd'),
    level: integer(1, 1, 19),
  },
  encryption: { algorithm: oneOf(['chacha20-poly1305'], 'chacha20-poly1305') },
  erasure: {
    algorithm: oneOf(ERASURE, 'lrc'),
    dataShards: integer(16, 1, 254),
    localParity: integer(5, 1, 254),
    globalParity: integer(3, 0, 254),
    parityShards: integer(8, 1, 254),
    replicaBelowBytes: bytes(4 * KIB, 0, MIB),
  },
  fountain: {
    kind: oneOf(['wide', 'pair', 'none'], 'wide'),
    shards: integer(3, 0, 254),
  },
  packs: { targetBytes: bytes(8 * MIB, 64 * KIB, GIB) },
  integrity: { verifyWrites: oneOf(['off', 'sample', 'full'], 'sample') },
  placement: {
    minTolerates: integer(1, 0, 254),
    failureDomain: oneOf(['provider', 'account', 'region'], 'provider'),
  },
  retention: {
    replacedSeconds: integer(60, 0, 31_536_000),
    tombstoneDays: integer(7, 1, 3_650),
    unfinishedHours: integer(24, 0, 8_760),
  },
  scrub: {
    enabled: bool(true),
    everyDays: integer(30, 1, 3_650),
    bytesPerSecond: bytes(20 * MIB, KIB, 1024 * GIB),
  },
  limits: {
    memoryBytes: bytes(96 * MIB, 16 * MIB, 4 * GIB),
    maxWorkers: integer(0, 0, 256),
    maxInflight: integer(64, 1, 4096),
    maxAttempts: integer(4, 1, 20),
    requestMs: integer(30_000, 100, 3_600_000),
    probeMs: integer(5_000, 100, 600_000),
    stallMs: integer(15_000, 100, 3_600_000),
    hedgeAfterMs: integer(HEDGE_AFTER_MS, 1, 60_000),
  },
  repair: {
    enabled: bool(true),
    intervalSeconds: integer(5, 1, 86_400),
    maxConcurrent: integer(4, 1, 64),
    bytesPerSecond: bytes(50 * MIB, 64 * KIB, 64 * GIB),
    clusterBytesPerSecond: bytes(50 * MIB, 64 * KIB, 64 * GIB),
    egressPerDay: bytes(100 * GIB, 0, 1024 * 1024 * GIB),
    lostAfterHours: integer(72, 0, 87_600),
    logDir: guarded(path),
  },
  rollout: {
    allowFallbackCoder: bool(false),
    allowFallbackCompressor: bool(false),
    requireEmergencySwitch: bool(false),
    emergencySwitchEnv: text(
      'HOLDFAST_STORAGE_FALLBACK_EMERGENCY',
      ENVIRONMENT_NAME,
      ENVIRONMENT_NAME_ALLOWED,
    ),
  },
  engine: {
    default: oneOf(ENGINES, 'level'),
    overrides: tableOf(oneOf(ENGINES, 'level'), TABLE_NAMES),
    storageLegacyMode: bool(false),
    postgresUrlEnv: guarded(text('HOLDFAST_POSTGRES_URL', ENVIRONMENT_NAME, ENVIRONMENT_NAME_ALLOWED)),
    postgresUrlFile: guarded(path),
    postgresSchema: text(
      'holdfast',
      SCHEMA_NAME,
      'a-z, 0-9 and _, up to 63 of them, not beginning with a digit',
    ),
    postgresConnections: integer(8, 1, 100),
    postgresStatementMs: integer(30_000, 100, 3_600_000),
    postgresWaitMs: integer(30_000, 100, 3_600_000),
    postgresLeaseMs: integer(60_000, 1_000, 3_600_000),
  },
  node: {
    ...servingFields(512),
    root: path,
    id: text(
      '',
      /^(?:[a-z0-9][a-z0-9._-]{0,63})?$/,
      'a-z, 0-9, ".", "_", "-", up to 64 of them, or "" for none',
    ),
    backends: listOf(text('', /^[a-z0-9][a-z0-9._-]{0,63}$/, 'the id of one of [[providers]]'), [], 16, 0),
    amnesia: bool(false),
    amnesiaBytes: bytes(256 * MIB, MIB, 1024 * GIB),
    maxBodyBytes: bytes(64 * MIB, 1, 16 * GIB),
    maxForeignBodyBytes: bytes(MIB, 0, 16 * GIB),
    cacheBytes: bytes(64 * MIB, 0, 1024 * GIB),
    cacheBlobBytes: bytes(16 * MIB, 0, GIB),
    minFreeBytes: bytes(32 * MIB, 0, 1024 * GIB),
  },
  gateway: {
    ...servingFields(256),
    public: guarded(bool(false)),
    static: guarded(bool(false)),
    sealed: bool(false),
    withRepair: bool(false),
    nameMaxAgeSeconds: integer(0, 0, 31_536_000),
    maxPathRps: limit,
    manifestCacheBytes: bytes(16 * MIB, 0, 64 * GIB),
    chunkCacheBytes: bytes(64 * MIB, 0, 1024 * GIB),
  },
  daemon: { ...servingFields(64), sealed: bool(false) },
  settlement: {
    enabled: bool(false),
    folders: guarded(listOf(text('', /^[^\0]{1,4096}$/, 'a path, absolute or from the home'), [], 64, 0)),
    poolCredits: integer(0, 0, MAX_CREDITS),
    epochShare: integer(1, 1, 1000),
    providerShare: integer(500, 1, 1000),
    minReaders: integer(3, 1, 1_000_000),
    confirmations: integer(0, 0, 100_000),
    intervalSeconds: integer(60, 1, 3_600),
    rentBytesPerMib: integer(0, 0, MIB),
    escrowCredits: integer(0, 0, MAX_CREDITS),
  },
  receipts: {
    folder: guarded(path),
    ackSeconds: integer(60, 1, 300),
    maxOpenReads: integer(32_768, 1, 1_000_000),
    domains: listOf(domain, [], 1_024, 0),
    defaultDomain: text('', new RegExp(`^$|${DOMAIN.source}`), 'a host name, or "" for none'),
    denialsPerSecond: integer(50, 0, 10_000),
  },
  anchor: {
    kind: oneOf(['none', 'local', 'evm'], 'none'),
    objects: bool(true),
    confirmations: integer(0, 0, 100_000),
    folder: guarded(path),
    origin: text(
      '',
      /^(?:[^\s+\p{Cc}]{1,255})?$/u,
      'a name without spaces and plus, or "" for one made of the key',
    ),
    url: guarded(
      text('', /^(?:https?:\/\/[^\s\p{Cc}]{1,2048})?$/u, 'an address such as "https://chain.example/"'),
    ),
    chainId: integer(0, 0, Number.MAX_SAFE_INTEGER),
    contract: text('', /^(?:0x[0-9a-fA-F]{40})?$/, '"0x" and 40 hex digits'),
    keyEnv: guarded(text('HOLDFAST_ANCHOR_KEY', ENVIRONMENT_NAME, ENVIRONMENT_NAME_ALLOWED)),
    keyFile: guarded(path),
    maxFeeGwei: decimal(200, 0.001, 1_000_000),
    stuckSeconds: integer(180, 1, 86_400),
  },
};

function tableOf<T>(value: Field<T>, names: readonly string[]): Field<Readonly<Record<string, T>>> {
  return {
    default: {},
    allowed: `a table of ${names.join(', ')} to ${value.allowed}`,
    read: (input) => {
      if (!isTable(input)) return undefined;
      const entries = Object.entries(input).map(([name, entry]) => [name, value.read(entry)] as const);
      const valid = entries.every(([name, entry]) => names.includes(name) && entry !== undefined);
      return valid ? (Object.fromEntries(entries) as Record<string, T>) : undefined;
    },
  };
}
