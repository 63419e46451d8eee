import type { NodeCatalog, ProbeReport } from '../catalog/catalog.ts';
import { createPunctuality, directoryOf } from '../catalog/directory.ts';
import { openNodeCatalog } from '../catalog/node-catalog.ts';
import type { Settlement } from '../catalog/quota.ts';
import type { Config } from '../config/types.ts';
import { linkedAbort } from '../core/abort.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { asHoldfastError, HoldfastError } from '../core/errors.ts';
import { createHedge } from '../core/hedge.ts';
import { hedgedAfter, NODE_READS } from '../core/straggler-policies.ts';
import type { Engine, Owners } from '../engine/index.ts';
import type { VaultKeys } from '../keys/derivation.ts';
import type { Arena } from '../pipeline/arena.ts';
import type { VaultContext } from '../pipeline/context.ts';
import type { CpuStage } from '../pipeline/cpu/jobs.ts';
import { solvePlacement } from '../placement/solve.ts';
import type { AdapterDeps } from '../providers/driver.ts';
import type { LogSink } from '../providers/layers/log.ts';
import { createProvider, type Provider, type ProviderDeps } from '../providers/provider.ts';
import type { AdapterKinds } from '../providers/registry.ts';
import type { Anchor } from '../receipts/anchors/anchor.ts';
import { BlobScheduler, rootDue } from '../receipts/blob-roots.ts';
import { createLeases, type Leases } from '../records/leases.ts';
import { createPlaces } from '../records/places.ts';
import { relocationsOf } from '../records/told-relocations.ts';
import { createRepairPace, type RepairPace } from '../upkeep/repair/pace.ts';
import { createMemoryRepairLog, type RepairLog } from '../upkeep/repair/repair-log.ts';
import { createRetention } from '../upkeep/retention.ts';
import { anchorIdOf } from './anchor.ts';
import { olderRootsOf } from './older-roots.ts';
import { type HomeRoom, ROOM_ENOUGH } from './reserve.ts';
import { type CatalogChoices, catalogSettings, type Observers, policyOf } from './settings.ts';
import { settlementOf } from './settlement.ts';

/** A vault put together, with what must be closed again. */
export interface ComposedVault {
  readonly context: VaultContext;
  readonly catalog: NodeCatalog;
  readonly settlement: Settlement;
  readonly log: LogSink;
  readonly observers: Pick<Observers, 'housekeeping' | 'repair'>;
  readonly config: Config;
  /** Who works on the state, and whose journals may be taken over. */
  readonly leases: Leases;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly room: HomeRoom;
  readonly repairLog: RepairLog;
  /** Where roots go; undefined: nowhere. */
  readonly anchor: Anchor | undefined;
  /** What takes the roots of stored objects there. */
  readonly blobRoots: BlobScheduler | undefined;
  /** What repair may move. */
  readonly pace: RepairPace;
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

/** Everything of the world outside that a vault touches; time and chance too. */
export interface Ports extends AdapterDeps {
  secondBlake3(): Promise<Blake3>;
  readonly engine: Engine;
  readonly owners: Owners;
  /** What makes the adapters. Default: the kinds that come with Holdfast. */
  readonly kinds?: AdapterKinds | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly arena: Arena;
  /** Works in the arena's memory. */
  readonly cpu: CpuStage;
  /** Room on the disk that holds the state. Default: always enough. */
  readonly room?: HomeRoom | undefined;
  /** What repair did. Default: kept in memory. */
  readonly repairLog?: RepairLog | undefined;
  /** Where roots go. Default: nowhere. */
  readonly anchor?: Anchor | undefined;
  /** How long this machine has been up: the one clock that runs on between runs and that nobody sets. */
  readonly uptimeMs: () => number;
}

/** The keys of a vault, and whether its home is bound to it. */
export interface KeysOfHome {
  readonly keys: VaultKeys;
  /** The home is this vault's, and no other's. */
  readonly bound: boolean;
}

/** Puts a vault together from what it is given, and from nothing else. */
export async function assemble(
  config: Config,
  { keys, bound }: KeysOfHome,
  ports: Ports,
  observers: Observers,
  choices: CatalogChoices = {},
): Promise<ComposedVault> {
  const { clock, random, blake3, engine, owners, arena, cpu, env, room = ROOM_ENOUGH } = ports;
  const { providers, firstAnswered } = await watchedProviders(config, observers, ports);
  const settlement = choices.settlement ?? settlementOf(config, ports, observers.log);
  const settings = catalogSettings(config, observers, { ...choices, settlement });
  const catalog = await openNodeCatalog({ ...settings, providers, engine, clock });
  const punctuality = createPunctuality(clock);
  const directory = directoryOf(catalog, clock, punctuality);
  const shared = { clock, random, blake3, engine, directory, keys: bound ? keys : madeUp(keys) };
  const base = {
    ...shared,
    nodeReads: createHedge(clock, hedgedAfter(NODE_READS, config.limits.hedgeAfterMs)),
    secondBlake3: () => ports.secondBlake3(),
    owner: () => owners.current(),
    relocations: relocationsOf(shared),
    arena,
    cpu,
    metrics: observers.pipeline,
    policy: policyOf(config),
  };
  const leases = createLeases(base, owners, ports.uptimeMs);
  const context: VaultContext = {
    ...base,
    isOver: leases.isOver,
    isGone: leases.isGone,
    retention: createRetention(base, config.retention.replacedSeconds * 1000),
    places: createPlaces(base),
    ...(ports.anchor && config.anchor.objects && { alsoOfPut: (stored) => [rootDue(stored)] }),
  };
  const blobRoots = blobRootsOf(config, ports, context, { log: observers.log, sealed: !bound });
  // What goes on in the background ends with the vault.
  const open = linkedAbort(undefined, 'the vault');
  return {
    context,
    catalog,
    settlement,
    log: observers.log,
    observers,
    config,
    env,
    room,
    ...repairParts(config, ports, observers),
    ...{ anchor: ports.anchor, blobRoots, sealed: !bound, firstAnswered, leases },
    lateSince: (ms) => punctuality.lateSince(ms),
    ...probesOf(catalog, context, open.signal),
    async close() {
      open.abort(new HoldfastError('Aborted', 'the vault was closed'));
      const adapters = providers.map(({ adapter }) => adapter);
      const early = [flushing(catalog, observers.log), ...(ports.anchor === undefined ? [] : [ports.anchor])];
      await closeInTurn([cpu], early, adapters, [engine], [owners], [refilling(room)]);
    },
  };
}

function blobRootsOf(
  config: Config,
  { anchor, engine, clock }: Ports,
  context: VaultContext,
  { log, sealed }: { readonly log: LogSink; readonly sealed: boolean },
): BlobScheduler | undefined {
  if (anchor === undefined || !config.anchor.objects) return undefined;
  const id = anchorIdOf(config) ?? anchor.name;
  const older = sealed ? undefined : olderRootsOf(context, id, log);
  return new BlobScheduler({ engine, anchor, clock, log, older });
}

/** What no home is bound to signs nothing. */
const madeUp = (keys: VaultKeys): VaultKeys => ({ ...keys, signing: undefined });

const repairParts = (
  { repair }: Config,
  ports: Ports,
  { repair: metrics }: Observers,
): Pick<ComposedVault, 'repairLog' | 'pace'> => ({
  repairLog: ports.repairLog ?? createMemoryRepairLog(ports),
  pace: createRepairPace({ ...ports, metrics }, repair),
});

/** What was observed is derived: that it cannot be kept makes nothing of what was done undone. */
const flushing = (catalog: NodeCatalog, log: LogSink): Closable => ({
  close: () =>
    catalog.close().catch((error: unknown) => {
      log('warn', 'observations_not_kept', { error: asHoldfastError(error).message });
    }),
});

const refilling = (room: HomeRoom): Closable => ({ close: () => room.refill() });

interface Closable {
  close(): Promise<void>;
}

/** Each group once the one before it is closed. What fails keeps nothing else open, and is thrown in the end. */
async function closeInTurn(...groups: readonly (readonly Closable[])[]): Promise<void> {
  const failures: unknown[] = [];
  for (const group of groups) {
    const closing = group.map((part) => part.close().catch((error: unknown) => void failures.push(error)));
    await Promise.all(closing);
  }
  if (failures.length > 0) throw failures[0];
}

/** The configured providers, and which of them was the first to answer. */
async function watchedProviders(
  config: Config,
  observers: Observers,
  { clock, random, blake3, env, kinds }: Ports,
): Promise<{ readonly providers: readonly Provider[]; readonly firstAnswered: () => string | undefined }> {
  let first: string | undefined;
  const providers = await buildProviders(config, {
    clock,
    random,
    blake3,
    env,
    kinds,
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
