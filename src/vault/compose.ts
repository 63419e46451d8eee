import { availableParallelism, uptime } from 'node:os';
import { TileMemory } from '../coding/erasure/xor-program.ts';
import type { Config } from '../config/types.ts';
import type { OnUnfit } from '../core/acceleration.ts';
import { type Acceleration, accelerationFrom } from '../core/acceleration.ts';
import { secondBlake3, selectBlake3 } from '../core/b3/select.ts';
import { systemClock } from '../core/clock.ts';
import { isHoldfastError } from '../core/errors.ts';
import { secureRandom } from '../core/random.ts';
import type { Engine, Owners } from '../engine/index.ts';
import { type VaultKeys, type VaultSubkeys, vaultKeysOf } from '../keys/derivation.ts';
import { type Arena, createArena } from '../pipeline/arena.ts';
import { createAutoStage } from '../pipeline/cpu/auto.ts';
import { createInlineStage } from '../pipeline/cpu/inline.ts';
import type { CpuStage } from '../pipeline/cpu/jobs.ts';
import type { LogSink } from '../providers/layers/log.ts';
import type { AdapterKinds } from '../providers/registry.ts';
import { anchorOf } from './anchor.ts';
import { assemble, type ComposedVault } from './assemble.ts';
import { openEngineAndOwners } from './open-engine.ts';
import { pinVault } from './pin.ts';
import { repairLogOf } from './repair.ts';
import { HomeReserve, type HomeRoom } from './reserve.ts';
import type { CatalogChoices, Observers } from './settings.ts';

interface KeysOfVault {
  readonly subkeys: VaultSubkeys;
  /** The home is this vault's, and no other's. */
  readonly bound: boolean;
}

/** What a program chooses that no configuration says. */
interface VaultChoices extends CatalogChoices {
  /** Kinds of adapters that the configuration may name. Default: those that come with Holdfast. */
  readonly kinds?: AdapterKinds | undefined;
}

/** A vault of this machine: its clock, its randomness, the state in the configured home. The only such place. */
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
  const keys = vaultKeysOf(subkeys);
  const { engine, owners, room } = await openState(config, observers, env, bound ? keys : undefined);
  const arena = createArena(config.limits.memoryBytes);
  const ports = {
    clock: systemClock,
    random: secureRandom,
    blake3,
    secondBlake3: () => secondBlake3(blake3, acceleration),
    engine,
    owners,
    room,
    repairLog: repairLogOf(config, observers.log),
    anchor: anchorOf(config, env, engine),
    kinds,
    env,
    arena,
    cpu: cpuStage(arena, acceleration, config, observers.log, onUnfit),
    uptimeMs: () => uptime() * 1000,
  };
  return assemble(config, { keys, bound }, ports, observers, choices);
}

/** @param keys of the vault that the home is to be bound to. */
async function openState(
  config: Config,
  observers: Observers,
  env: Readonly<Record<string, string | undefined>>,
  keys: VaultKeys | undefined,
): Promise<{ readonly engine: Engine; readonly owners: Owners; readonly room: HomeRoom | undefined }> {
  const { engine, owners } = await openEngineAndOwners(config, observers, env);
  // A home that is somebody else's is left as it is.
  const room =
    keys !== undefined && config.engine.default === 'level'
      ? new HomeReserve(config.home, secureRandom)
      : undefined;
  try {
    if (keys !== undefined) await pinned(engine, keys, room);
  } catch (error) {
    await engine.close();
    throw error;
  }
  return { engine, room, owners };
}

/** LevelDB writes when it opens; on a full disk the reserve gives it the room. */
async function pinned(engine: Engine, keys: VaultKeys, room: HomeReserve | undefined): Promise<void> {
  try {
    await pinVault(engine, keys);
  } catch (error) {
    const full = isHoldfastError(error, 'QuotaExceeded') && (await room?.release());
    if (full !== true) throw error;
    await pinVault(engine, keys);
  }
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
