import { configFrom } from '../../src/config/load.ts';
import type { Config } from '../../src/config/types.ts';
import { toHex } from '../../src/core/bytes.ts';
import type { Owners } from '../../src/engine/index.ts';
import { deriveSubkeys, type VaultKeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { adapterFromDriver } from '../../src/providers/from-driver.ts';
import type { AdapterKind } from '../../src/providers/kind.ts';
import { adapterKinds } from '../../src/providers/registry.ts';
import { assemble } from '../../src/vault/assemble.ts';
import { OpenedVault } from '../../src/vault/opened-vault.ts';
import { type Observers, silent } from '../../src/vault/settings.ts';
import { engineOn, StateDisk } from './disk.ts';
import type { SimProvider } from './provider.ts';
import type { SealedRecords } from './sealed.ts';
import { blake3, Share, takeSeat, watchedStage } from './seat.ts';
import type { Streams } from './streams.ts';
import type { Swarm } from './swarm.ts';
import type { Tending } from './tending.ts';
import type { Watch } from './watch.ts';
import { clockOf, Life, type World } from './world.ts';

const KIND = 'sim';
/** The same for all seeds: deriving keys is slow, and which they are changes nothing. */
const KEYS = vaultKeysOf(deriveSubkeys(new Uint8Array(32).fill(7)));
/** Of another vault that uses the same places. */
export const FOREIGN_KEYS: VaultKeys = vaultKeysOf(deriveSubkeys(new Uint8Array(32).fill(8)));
/** In the place of the key where there is none: nothing was ever sealed with it. */
const NO_KEYS: VaultKeys = vaultKeysOf(deriveSubkeys(new Uint8Array(32).fill(9)));

const SMALL_CHUNK_BYTES = 4 * 1024;

const kindFor = (open: AdapterKind['open']): AdapterKind => ({ name: KIND, keys: {}, open });

/** What all processes of a run share. */
export interface Stage {
  readonly world: World;
  readonly streams: Streams;
  readonly providers: readonly SimProvider[];
  readonly config: Config;
  /** What every key has sealed. */
  readonly sealed: Map<string, string>;
  readonly records: SealedRecords;
  /** Only where a run is looked after. */
  readonly watch: Watch | undefined;
  violation(what: string): void;
}

interface HomeOptions {
  readonly disk?: StateDisk;
  readonly elsewhere?: ReadonlySet<string>;
  readonly keys?: VaultKeys;
  readonly noLocks?: boolean;
}

type Shape = Pick<Swarm, 'dataShards' | 'parityShards' | 'perAccount' | 'files'>;

/** One configuration for all processes: few small shards, so that a seed is quick. */
export function configOf(
  providers: readonly string[],
  { dataShards, parityShards, perAccount, files }: Shape,
  tending: Tending | undefined,
): Config {
  const kinds = adapterKinds([kindFor(() => Promise.reject(new Error('only the configuration is read')))]);
  const config = {
    chunks: { ladder: [64 * 1024], defaultBytes: 64 * 1024 },
    compression: { algorithm: 'none' },
    erasure: { algorithm: 'reed-solomon', dataShards, parityShards, replicaBelowBytes: 2048 },
    packs: { targetBytes: files ? 1024 * 1024 : 64 * 1024 },
    retention: { unfinishedHours: 1 },
    integrity: { verifyWrites: 'off' },
    limits: { maxAttempts: 3, requestMs: 10_000, probeMs: 3_000, stallMs: 5_000 },
    ...(tending === undefined ? {} : tendingConfig(tending)),
    placement: { failureDomain: perAccount > 1 ? 'account' : 'provider' },
    providers: providers.map((id, i) => ({
      id,
      adapter: KIND,
      domain: { provider: perAccount > 1 ? 'sim' : id, account: accountOf(i, perAccount), region: 'sim' },
    })),
  } as const;
  const read = configFrom(config as never, {}, '/sim', kinds);
  // A segment is of 512 chunks: with chunks as short as nobody may have them, a file of a few MB has several.
  const chunks = { ...read.chunks, ladder: [SMALL_CHUNK_BYTES], defaultBytes: SMALL_CHUNK_BYTES };
  return files ? { ...read, chunks } : read;
}

const tendingConfig = ({ egressPerDay, daemons }: Tending): object => ({
  // The wait for a daemon is long in steps.
  repair: { intervalSeconds: daemons ? 60 : 5, ...(egressPerDay === undefined ? {} : { egressPerDay }) },
  scrub: { everyDays: 1 },
});

/** The account of the provider with this number. */
export const accountOf = (provider: number, perAccount: number): string =>
  `a${Math.floor(provider / perAccount) + 1}`;

/** The state folder of one machine, and who works on it. */
export class Home {
  readonly id: string;
  readonly disk: StateDisk;
  /** Whose lock can be tried here. */
  readonly owners = new Map<string, Life>();
  /** Owners that work on the state of which this is a copy: their locks say nothing here. */
  readonly elsewhere: ReadonlySet<string>;
  readonly keys: VaultKeys;
  /** No lock of another owner can be tried. */
  readonly noLocks: boolean;
  /** Its machine has been up so much longer than the world has lasted. */
  uptimeAheadMs = 0;
  readonly processes = new Set<SimProcess>();

  constructor(id: string, { disk = new StateDisk(), elsewhere = new Set(), ...more }: HomeOptions = {}) {
    this.id = id;
    this.disk = disk;
    this.elsewhere = elsewhere;
    this.keys = more.keys ?? KEYS;
    this.noLocks = more.noLocks ?? false;
  }

  /** Some of its owners can only be watched. */
  get hasLeases(): boolean {
    return this.noLocks || this.elsewhere.size > 0;
  }

  /** Another machine with a copy of the folder. */
  async copy(id: string): Promise<Home> {
    const elsewhere = new Set([...this.elsewhere, ...this.owners.keys()]);
    return new Home(id, { disk: await this.disk.copy(), elsewhere, noLocks: this.noLocks });
  }
}

interface StartOptions {
  readonly isWorker?: boolean;
  /** It has no key. */
  readonly sealed?: boolean;
}

/** One run of the program: a vault over simulated ports. It ends by `close`, or by `kill`, which asks nobody. */
export class SimProcess {
  readonly life: Life;
  readonly vault: OpenedVault;
  readonly home: Home;
  /** How far its wall clock is ahead. */
  readonly jump: { ms: number };
  /** It looks after what others put. */
  readonly isWorker: boolean;
  readonly #share: Share;

  private constructor(
    home: Home,
    life: Life,
    vault: OpenedVault,
    share: Share,
    { jump, isWorker }: { readonly jump: { ms: number }; readonly isWorker: boolean },
  ) {
    this.isWorker = isWorker;
    this.home = home;
    this.life = life;
    this.vault = vault;
    this.jump = jump;
    this.#share = share;
  }

  /** @param as a worker without `sealed` has the key. */
  static async start(stage: Stage, home: Home, as: StartOptions = {}): Promise<SimProcess> {
    const { isWorker = false, sealed: isSealed = false } = as;
    const { world, streams, config, sealed } = stage;
    const life = new Life(world);
    const jump = { ms: 0 };
    const clock = clockOf(world, life, () => jump.ms);
    const random = (length: number): Uint8Array => streams.secrets.bytes(length);
    const seat = takeSeat();
    const share = new Share(seat, life);
    const byId = new Map(stage.providers.map((provider) => [provider.id, provider]));
    const kind = kindFor(async ({ id }, deps) => adapterFromDriver(byId.get(id)!.driverFor(life), deps));
    const composed = await assemble(
      config,
      { keys: isSealed ? NO_KEYS : home.keys, bound: !isSealed },
      {
        clock,
        random,
        blake3,
        secondBlake3: async () => blake3,
        engine: engineOn(home.disk, stage, life),
        owners: ownersOf(home, life, toHex(random(8))),
        kinds: adapterKinds([kind]),
        env: {},
        arena: share.arena,
        cpu: watchedStage(
          seat,
          world,
          sealed,
          (key) => stage.violation(`key ${key} sealed two things`),
          (bytes) => blake3.hash(bytes),
        ),
        uptimeMs: () => world.nowMs + home.uptimeAheadMs,
      },
      observersOf(world),
    );
    const vault = new OpenedVault(composed, { background: 'later' });
    const process = new SimProcess(home, life, vault, share, { jump, isWorker });
    home.processes.add(process);
    return process;
  }

  kill(): void {
    if (!this.life.alive) return;
    this.life.alive = false;
    this.home.processes.delete(this);
    this.#share.giveBack();
  }

  /** @returns slabs that the process had not released. */
  async close(): Promise<number> {
    await this.vault.close();
    const left = this.#share.outstanding;
    this.kill();
    return left;
  }
}

/** Warnings and failed attempts are counted: they tell which branches a run has taken. */
const observersOf = (world: World): Observers => ({
  ...silent,
  log(_, event, fields) {
    world.count(`event ${event}`);
    world.note('log', event, JSON.stringify(fields));
  },
  onAttempt(attempt) {
    if (attempt.error !== undefined) world.count(`attempt ${attempt.operation} ${attempt.error.code}`);
  },
});

/** A lock is free as soon as its process has ended, however it ended. */
function ownersOf(home: Home, life: Life, run: string): Owners {
  const name = `${run}-${'0'.repeat(16)}`;
  return {
    async current() {
      home.owners.set(name, life);
      return name;
    },
    standing: async (owner) => {
      if (owner === name) return 'alive';
      if (home.noLocks || home.elsewhere.has(owner)) return 'unknown';
      return home.owners.get(owner)?.alive ? 'alive' : 'dead';
    },
    host: async () => home.id.padEnd(16, '0'),
    tidy: async () => {},
    async close() {
      home.owners.delete(name);
    },
  };
}
