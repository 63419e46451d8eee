import { availableParallelism, uptime } from 'node:os';
import type { NodeCatalog, ProbeReport } from '../catalog/catalog.ts';
import { createPunctuality, directoryOf } from '../catalog/directory.ts';
import { openNodeCatalog } from '../catalog/node-catalog.ts';
import { TileMemory } from '../coding/erasure/xor-program.ts';
import type { Config } from '../config/types.ts';
import { linkedAbort } from '../core/abort.ts';
import type { OnUnfit } from '../core/acceleration.ts';
import { type Acceleration, accelerationFrom } from '../core/acceleration.ts';
import { secondBlake3, selectBlake3 } from '../core/b3/select.ts';
import { systemClock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { createHedge } from '../core/hedge.ts';
import { secureRandom } from '../core/random.ts';
import { NODE_READS } from '../core/straggler-policies.ts';
import {
  createLevelEngine,
  createMemoryEngine,
  createOwnerLocks,
  createRoutedEngine,
  type Engine,
  type EngineName,
  type Owners,
} from '../engine/index.ts';
import { type VaultKeys, type VaultSubkeys, vaultKeysOf } from '../keys/derivation.ts';
import { type Arena, createArena } from '../pipeline/arena.ts';
import type { VaultContext } from '../pipeline/context.ts';
import { createAutoStage } from '../pipeline/cpu/auto.ts';
import { createInlineStage } from '../pipeline/cpu/inline.ts';
import type { CpuStage } from '../pipeline/cpu/jobs.ts';
import { solvePlacement } from '../placement/solve.ts';
import type { LogSink } from '../providers/layers/log.ts';
import { createProvider, type Provider, type ProviderDeps } from '../providers/provider.ts';
import type { AdapterKinds } from '../providers/registry.ts';
import { createLeases, type Leases } from '../records/leases.ts';
import { recordedRelocations } from '../records/relocations.ts';
import { keepNothing } from '../upkeep/retention.ts';
import { homePaths } from './home.ts';
import { pinVault } from './pin.ts';
import { type CatalogChoices, catalogSettings, type Observers, policyOf } from './settings.ts';

/** A vault put together, with what must be closed again. */
export interface ComposedVault {
  readonly context: VaultContext;
  readonly catalog: NodeCatalog;
  readonly log: LogSink;
  readonly config: Config;
  /** Who works on the state, and whose journals may be taken over. */
  readonly leases: Leases;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** There is no key: nothing can be opened. */
  readonly sealed: boolean;
  /** The provider that was the first to answer anything; undefined until one has. */
  firstAnswered(): string | undefined;
  /**
   * Asks every provider once, because the operator wants to know: who answers well leaves quarantine, and who is silent long
   * after the others is reported as silent.
   */
  probe(signal?: AbortSignal): Promise<readonly ProbeReport[]>;
  /**
   * The same, but waits only for those that may take new shards, and for none that is late if objects survive the loss
   * of `minTolerates` without it.
   */
  probeCandidates(minTolerates: number): Promise<void>;
  /** Whether a provider was late since then, by the monotonic clock. */
  lateSince(ms: number): boolean;
  close(): Promise<void>;
}

const LOCK_WAIT_MS = 30_000;
const IDLE_RELEASE_MS = 50;

export interface KeysOfVault {
  readonly subkeys: VaultSubkeys;
  /** The home is this vault's, and no other's. */
  readonly bound: boolean;
}

/** What a program chooses that no configuration says. */
export interface VaultChoices extends CatalogChoices {
  /** Kinds of adapters that the configuration may name. Default: those that come with Holdfast. */
  readonly kinds?: AdapterKinds | undefined;
}

/** Builds everything a vault needs from its configuration and keys. The only such place. */
export async function composeVault(
  config: Config,
  { subkeys, bound }: KeysOfVault,
  env: Readonly<Record<string, string | undefined>>,
  observers: Observers,
  { kinds, ...choices }: VaultChoices = {},
): Promise<ComposedVault> {
  const acceleration = accelerationFrom(env);
  const onUnfit = reportUnfit(observers.log);
  const blake3 = await selectBlake3(acceleration, onUnfit);
  const deps = { clock: systemClock, random: secureRandom, blake3 };
  const keys = vaultKeysOf(subkeys);
  const { engine, owners } = await openState(config, observers, bound ? keys : undefined);
  const { providers, firstAnswered } = await watchedProviders(config, observers, { ...deps, env, kinds });
  const adapters = providers.map(({ adapter }) => adapter);
  const catalog = await openNodeCatalog({
    ...catalogSettings(config, observers.log, choices),
    providers,
    engine,
    clock: systemClock,
    health: observers.providers,
  });
  const punctuality = createPunctuality(systemClock);
  const arena = createArena(config.limits.memoryBytes);
  const cpu = cpuStage(arena, acceleration, config, observers.log, onUnfit);
  const base = {
    ...deps,
    nodeReads: createHedge(systemClock, NODE_READS),
    secondBlake3: () => secondBlake3(blake3, acceleration),
    keys,
    owner: () => owners.current(),
    engine,
    relocations: recordedRelocations(engine, systemClock),
    directory: directoryOf(catalog, systemClock, punctuality),
    arena,
    cpu,
    metrics: observers.pipeline,
    policy: policyOf(config),
  };
  const context: VaultContext = { ...base, retention: keepNothing(base) };
  // What goes on in the background ends with the vault.
  const open = linkedAbort(undefined, 'the vault');
  return {
    context,
    catalog,
    log: observers.log,
    config,
    env,
    sealed: !bound,
    firstAnswered,
    leases: createLeases(base, owners, () => uptime() * 1000),
    lateSince: (ms) => punctuality.lateSince(ms),
    ...probesOf(catalog, context, open.signal),
    async close() {
      open.abort(new HoldfastError('Aborted', 'the vault was closed'));
      await closeInTurn([cpu], [catalog], adapters, [engine], [owners]);
    },
  };
}

/** Each group once the one before it is closed. */
async function closeInTurn(...groups: readonly (readonly { close(): Promise<void> }[])[]): Promise<void> {
  for (const group of groups) await Promise.all(group.map((part) => part.close()));
}

/** @param keys of the vault that the home is to be bound to. */
async function openState(
  config: Config,
  observers: Observers,
  keys: VaultKeys | undefined,
): Promise<{ readonly engine: Engine; readonly owners: Owners }> {
  const engine = openEngine(config, observers);
  try {
    if (keys !== undefined) await pinVault(engine, keys);
  } catch (error) {
    await engine.close();
    throw error;
  }
  const folder = homePaths(config.home).owners;
  return { engine, owners: createOwnerLocks({ folder, clock: systemClock, random: secureRandom }) };
}

/** The configured providers, and which of them was the first to answer. */
async function watchedProviders(
  config: Config,
  observers: Observers,
  deps: Omit<Parameters<typeof buildProviders>[1], 'onAttempt' | 'log'>,
): Promise<{ readonly providers: readonly Provider[]; readonly firstAnswered: () => string | undefined }> {
  let first: string | undefined;
  const providers = await buildProviders(config, {
    ...deps,
    log: observers.log,
    onAttempt(attempt) {
      if (attempt.error === undefined) first ??= attempt.provider;
      observers.onAttempt(attempt);
    },
  });
  return { providers, firstAnswered: () => first };
}

/** @param closed fires when the vault is closed. */
function probesOf(
  catalog: NodeCatalog,
  context: VaultContext,
  closed: AbortSignal,
): Pick<ComposedVault, 'probe' | 'probeCandidates'> {
  return {
    probe(signal) {
      const until = signal === undefined ? closed : AbortSignal.any([closed, signal]);
      return catalog.probeAll({ signal: until, mode: 'pardon', untilLate: true });
    },
    probeCandidates: (minTolerates) =>
      catalog.probeCandidates({
        canSpare: (late) => toleranceWithout(context, late) >= minTolerates,
        signal: closed,
      }),
  };
}

/** Losses that an object would survive that is put without these; −1 where nobody is left. */
function toleranceWithout({ directory, policy }: VaultContext, late: readonly string[]): number {
  const providers = directory.forStore().eligible.filter(({ id }) => !late.includes(id));
  if (providers.length === 0) return -1;
  const { code, failureDomain } = policy;
  return solvePlacement({ code, providers, failureDomain }).certificate.tolerates;
}

/** @throws HoldfastError `Unavailable`, `Corrupt`, when it is used. */
export function openEngine(config: Config, observers: Pick<Observers, 'engines'>): Engine {
  const { default: main, overrides } = config.engine;
  const opened = new Map<EngineName, Engine>();
  for (const name of new Set([main, ...Object.values(overrides)]))
    opened.set(name, createEngine(name, config));
  observers.engines.engineInfo('default', main);
  for (const [table, name] of Object.entries(overrides)) observers.engines.engineInfo(table, name);
  return createRoutedEngine(opened.get(main)!, overrides, opened);
}

function createEngine(name: Config['engine']['default'], config: Config): Engine {
  if (name === 'memory') return createMemoryEngine();
  return createLevelEngine({
    location: homePaths(config.home).engine,
    clock: systemClock,
    lockWaitMs: LOCK_WAIT_MS,
    idleReleaseMs: IDLE_RELEASE_MS,
  });
}

/** Jobs waiting for a thread; each holds a slab, so the arena bounds them far below. */
const MAX_QUEUE = 65_536;

/** Each once: every stage and thread chooses for itself. */
function reportUnfit(log: LogSink): OnUnfit {
  const told = new Set<string>();
  return (what, implementation, why) => {
    if (told.has(`${what} ${implementation}`)) return;
    told.add(`${what} ${implementation}`);
    log('warn', 'kernel_not_used', { kernel: what, implementation, why });
  };
}

function cpuStage(
  arena: Arena,
  acceleration: Acceleration,
  config: Config,
  log: LogSink,
  onUnfit: OnUnfit,
): CpuStage {
  const { memory } = arena;
  const threads = config.limits.maxWorkers || availableParallelism();
  const tiles = new TileMemory();
  const inline = createInlineStage(memory, acceleration, systemClock, tiles, onUnfit);
  return createAutoStage(inline, async () => {
    const { createPoolStage, workerScript } = await import('../pipeline/cpu/pool.ts');
    const script = workerScript();
    if (script === undefined) {
      log('warn', 'no_worker_threads', {
        why: 'worker.js does not lie beside the program: all work is done by one thread',
      });
      return inline;
    }
    return createPoolStage({
      memory,
      acceleration,
      tiles,
      threads,
      script,
      clock: systemClock,
      maxQueue: MAX_QUEUE,
    });
  });
}

/** The configured providers, each with its layers. */
export function buildProviders(
  config: Pick<Config, 'providers' | 'limits'>,
  deps: Omit<ProviderDeps, 'callTimeoutMs' | 'maxAttempts'>,
): Promise<Provider[]> {
  const { requestMs: callTimeoutMs, maxAttempts } = config.limits;
  return Promise.all(
    config.providers.map((provider) => createProvider(provider, { ...deps, callTimeoutMs, maxAttempts })),
  );
}
