import { type CatalogPolicy, DEFAULT_CATALOG_POLICY } from '../catalog/catalog.ts';
import type { Settlement } from '../catalog/quota.ts';
import type { ConfigInput } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { type AbortOptions, manyMayListen } from '../core/abort.ts';
import { HoldfastError } from '../core/errors.ts';
import { checkOptions, type OptionNames } from '../core/options.ts';
import type { PutOptions } from '../pipeline/put/put.ts';
import type { ObjectInput } from '../pipeline/source.ts';
import type { CredentialSource } from '../providers/credentials.ts';
import type { AdapterKind, EntryOf } from '../providers/kind.ts';
import type { LogSink } from '../providers/layers/log.ts';
import type { AttemptObserver } from '../providers/layers/metrics.ts';
import type { DomainLabels } from '../providers/provider.ts';
import type { AdapterEntry } from '../providers/registry.ts';
import type { ListObjectsOptions } from '../records/name-listing.ts';
import type { AuditOptions } from '../upkeep/audit/audit.ts';
import type { GcOptions } from '../upkeep/gc.ts';
import type { RepairHistoryOptions } from '../upkeep/repair/repair-log.ts';
import type { ScrubOptions } from '../upkeep/scrub/scrub.ts';
import type { VerifyOptions } from '../upkeep/verify.ts';
import type { GetOptions } from './reader.ts';
import type {
  ChunkOptions,
  EvacuateOptions,
  ListManifestsOptions,
  PlanEvacuationOptions,
  RebalanceOptions,
  RecodeOptions,
  RepairOptions,
} from './vault.ts';

/** A kind of adapters, whatever its entries say. */
// biome-ignore lint/suspicious/noExplicitAny: of whatever options.
export type AnyAdapterKind = AdapterKind<string, any>;

/** What a program may say of a provider in place of its configuration. */
export interface ProviderOverride {
  /** Only the labels that are named change. */
  readonly domain?: Partial<DomainLabels> | undefined;
  /** 1 credit is 1 MiB of logical quota. */
  readonly credits?: number | undefined;
  /** Relative cost of reading a byte. */
  readonly price?: number | undefined;
  readonly maxConcurrency?: number | undefined;
  readonly upBytesPerSecond?: number | undefined;
  readonly downBytesPerSecond?: number | undefined;
  /** Where its secrets come from. */
  readonly credentials?: CredentialSource | undefined;
}

/** Any part of a {@link CatalogPolicy}; what it leaves out stays. */
export interface CatalogPolicyInput {
  readonly probe?: Partial<CatalogPolicy['probe']> | undefined;
  readonly quarantine?: Partial<CatalogPolicy['quarantine']> | undefined;
  readonly failing?: Partial<CatalogPolicy['failing']> | undefined;
  readonly slow?: Partial<CatalogPolicy['slow']> | undefined;
  readonly zeroCreditsUnlimited?: boolean | undefined;
}

/** @param Kind of the adapters that are brought along; follows from `adapters`. */
export interface OpenVaultOptions<Kind extends AnyAdapterKind = never> {
  /** Folder of the key and the state. Default: `HOLDFAST_HOME`, else `.holdfast`. */
  readonly home?: string | undefined;
  /**
   * Configuration file, or parts of a configuration, to which the defaults are added. Default: `HOLDFAST_CONFIG`, else
   * the home's own, else `config/storage.toml`, else the defaults.
   */
  readonly config?: string | Config | ConfigInput<AdapterEntry | EntryOf<Kind>> | undefined;
  /** Kinds of adapters that the configuration may name beside those that come with Holdfast. */
  readonly adapters?: readonly Kind[] | undefined;
  /** What is to be otherwise than the configuration says, by the id of a provider that is in it. */
  readonly providerOverrides?: Readonly<Record<string, ProviderOverride>> | undefined;
  /** Default: `vault.key` in the home. */
  readonly keyFile?: string | undefined;
  /** Asked only when the key file is wrapped. Default: `HOLDFAST_PASSPHRASE`. */
  readonly passphrase?: string | (() => Promise<string>) | undefined;
  /** The vault's 32-byte root key, in place of a key file. */
  readonly rootKey?: Uint8Array | undefined;
  /** Opens it without a key: what was sealed stays so, and the home is bound to no key. Default false. */
  readonly sealed?: boolean | undefined;
  /** For `HOLDFAST_…` and for credentials that stand in variables. Default: the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Who knows what each provider's quota is. Default: the `credits` of the configuration. */
  readonly settlement?: Settlement | undefined;
  /** How providers are probed and judged, where that is to be otherwise than by default. */
  readonly catalog?: CatalogPolicyInput | undefined;
  /** Told of what goes wrong and is survived. Default: warnings of the configuration go to the process, others nowhere. */
  readonly log?: LogSink | undefined;
  /** Told of every request to a provider, after each attempt. */
  readonly onAttempt?: AttemptObserver | undefined;
  /**
   * Providers are probed, and what others stored of them is taken over, for as long as the vault is open: from half a
   * minute on, or at once. Default: later.
   */
  readonly background?: 'later' | 'at once' | undefined;
  /**
   * Whether what deletes and interrupted puts left at providers is deleted by and by. Default true; false for who only
   * reads, whose credentials need not allow more.
   */
  readonly housekeeping?: boolean | undefined;
}

export interface CreateVaultOptions<Kind extends AnyAdapterKind = never>
  extends Omit<OpenVaultOptions<Kind>, 'keyFile' | 'rootKey' | 'sealed'> {
  /** Keeps the key unwrapped, in a file of mode 0600 that no passphrase protects. Default false. */
  readonly unwrapped?: boolean | undefined;
}

const ABORT: OptionNames<AbortOptions> = { signal: true };
const PLAN: OptionNames<PlanEvacuationOptions> = { minTolerates: true, signal: true };
const EVACUATE: OptionNames<EvacuateOptions> = { ...PLAN, onProgress: true };
const CALLS: {
  readonly putObject: OptionNames<PutOptions>;
  readonly getObject: OptionNames<GetOptions>;
  readonly statObject: OptionNames<AbortOptions>;
  readonly listObjects: OptionNames<ListObjectsOptions>;
  readonly deleteObject: OptionNames<AbortOptions>;
  readonly verifyObject: OptionNames<VerifyOptions>;
  readonly listManifests: OptionNames<ListManifestsOptions>;
  readonly recover: OptionNames<AbortOptions>;
  readonly gc: OptionNames<GcOptions>;
  readonly scrub: OptionNames<ScrubOptions>;
  readonly audit: OptionNames<AuditOptions>;
  readonly status: OptionNames<AbortOptions>;
  readonly repair: OptionNames<RepairOptions>;
  readonly repairChunk: OptionNames<ChunkOptions>;
  readonly repairHistory: OptionNames<RepairHistoryOptions>;
  readonly planEvacuation: OptionNames<PlanEvacuationOptions>;
  readonly evacuate: OptionNames<EvacuateOptions>;
  readonly planReplacement: OptionNames<PlanEvacuationOptions>;
  readonly replace: OptionNames<EvacuateOptions>;
  readonly planRebalance: OptionNames<AbortOptions>;
  readonly rebalance: OptionNames<RebalanceOptions>;
  readonly planRecode: OptionNames<AbortOptions>;
  readonly recode: OptionNames<RecodeOptions>;
  readonly settleReceipts: OptionNames<AbortOptions>;
  readonly 'providers.list': OptionNames<AbortOptions>;
  readonly 'providers.probe': OptionNames<AbortOptions>;
  readonly 'providers.setLost': OptionNames<AbortOptions>;
  readonly 'providers.setMaintenance': OptionNames<AbortOptions>;
} = {
  putObject: {
    name: true,
    contentType: true,
    minTolerates: true,
    resume: true,
    onProgress: true,
    signal: true,
  },
  getObject: { start: true, length: true, onProgress: true, signal: true },
  statObject: ABORT,
  listObjects: { prefix: true, delimiter: true, after: true, limit: true, onDamaged: true, signal: true },
  deleteObject: ABORT,
  verifyObject: { deep: true, onProgress: true, signal: true },
  listManifests: { limit: true, signal: true },
  recover: ABORT,
  gc: { dryRun: true, minAgeMs: true, keepUnfinished: true, onProgress: true, signal: true },
  audit: { provider: true, share: true, confidence: true, onProgress: true, signal: true },
  scrub: { subset: true, restart: true, bytesPerSecond: true, onProgress: true, signal: true },
  status: ABORT,
  repair: { onProgress: true, signal: true },
  repairChunk: { force: true, signal: true },
  repairHistory: { limit: true, signal: true },
  planEvacuation: PLAN,
  evacuate: EVACUATE,
  planReplacement: PLAN,
  replace: EVACUATE,
  planRebalance: ABORT,
  rebalance: { onProgress: true, signal: true },
  planRecode: ABORT,
  recode: { onProgress: true, signal: true },
  settleReceipts: ABORT,
  'providers.list': ABORT,
  'providers.probe': ABORT,
  'providers.setLost': ABORT,
  'providers.setMaintenance': ABORT,
};

/** What every call of a vault does with its options first. @throws HoldfastError `ConfigInvalid` (`unknown_option`). */
export function acceptOptions(call: keyof typeof CALLS, options: AbortOptions | undefined): void {
  checkOptions<AbortOptions>(call, options, CALLS[call]);
  manyMayListen(options?.signal);
}

const OPEN: OptionNames<OpenVaultOptions> = {
  home: true,
  config: true,
  adapters: true,
  providerOverrides: true,
  keyFile: true,
  passphrase: true,
  rootKey: true,
  sealed: true,
  env: true,
  settlement: true,
  catalog: true,
  log: true,
  onAttempt: true,
  background: true,
  housekeeping: true,
};
const { rootKey: _, sealed: __, keyFile: ___, ...SHARED } = OPEN;
const OPTIONS: {
  readonly openVault: OptionNames<OpenVaultOptions>;
  readonly createVault: OptionNames<CreateVaultOptions>;
} = { openVault: OPEN, createVault: { ...SHARED, unwrapped: true } };
const ROOT_KEY_BYTES = 32;

/** @throws HoldfastError `ConfigInvalid` (`unknown_option`, `bad_option`). */
export function checkOpenOptions(
  call: keyof typeof OPTIONS,
  options: OpenVaultOptions<AnyAdapterKind>,
): void {
  checkOptions<object>(call, options, OPTIONS[call]);
  const { home, keyFile, passphrase, rootKey, settlement, providerOverrides } = options;
  const refuse = (name: string, allowed: string): never => {
    throw bad(`the option "${name}" of ${call}`, allowed);
  };
  for (const [name, path] of Object.entries({ home, keyFile }))
    if (path !== undefined && typeof path !== 'string') refuse(name, 'a path');
  if (passphrase !== undefined && typeof passphrase !== 'string' && typeof passphrase !== 'function')
    refuse('passphrase', 'a text, or a function that promises one');
  const isKey = rootKey instanceof Uint8Array && rootKey.length === ROOT_KEY_BYTES;
  if (rootKey !== undefined && !isKey) refuse('rootKey', `a Uint8Array of ${ROOT_KEY_BYTES} bytes`);
  if (settlement !== undefined && typeof settlement.balanceSplit !== 'function')
    refuse('settlement', 'an object with a method balanceSplit');
  const credits = [settlement?.issueRead, settlement?.bookedRead].map((one) => typeof one);
  if (credits[0] !== credits[1] || !['function', 'undefined'].includes(credits[0]!))
    refuse('settlement', 'one with both methods issueRead and bookedRead, or with neither');
  const isTable = typeof providerOverrides === 'object' && providerOverrides !== null;
  if (providerOverrides !== undefined && !isTable) refuse('providerOverrides', 'an object by provider id');
  checkCatalogPolicy('catalog', options.catalog);
}

/** @throws HoldfastError `ConfigInvalid` (`unknown_option`, `bad_option`). */
export const checkCatalogPolicy = (path: string, given: CatalogPolicyInput | undefined): void =>
  checkPolicy(path, given, DEFAULT_CATALOG_POLICY);

/** Every part of a policy is one that there is, and of its type; numbers are finite and not negative. */
function checkPolicy(path: string, given: unknown, defaults: object): void {
  if (given === undefined) return;
  const names = Object.fromEntries(Object.keys(defaults).map((name) => [name, true as const]));
  checkOptions<object>(path, given as object, names);
  for (const [name, usual] of Object.entries(defaults)) {
    const value: unknown = (given as Record<string, unknown>)[name];
    if (value === undefined) continue;
    if (typeof usual === 'object') checkPolicy(`${path}.${name}`, value, usual);
    else if (typeof value !== typeof usual) throw bad(`${path}.${name}`, `a ${typeof usual}`);
    else if (typeof value === 'number' && !(Number.isFinite(value) && value >= 0))
      throw bad(`${path}.${name}`, 'a finite number of zero or more');
  }
}

const bad = (what: string, allowed: string): HoldfastError =>
  new HoldfastError('ConfigInvalid', `${what} is ${allowed}`, { code: 'bad_option' });

/** A file says what it is called, and a blob what it is. */
export function withDefaults(input: ObjectInput, options: PutOptions): PutOptions {
  if (!(input instanceof Blob)) return options;
  const named = 'name' in input && typeof input.name === 'string' ? input.name : '';
  return {
    ...options,
    name: options.name ?? (named === '' ? undefined : named),
    contentType: options.contentType ?? (input.type === '' ? undefined : input.type),
  };
}
