import { configFrom } from '../../src/config/load.ts';
import type { BlobAddress } from '../../src/core/address.ts';
import { selectBlake3 } from '../../src/core/b3/select.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { secureRandom } from '../../src/core/random.ts';
import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import { TABLE_NAMES } from '../../src/engine/tables.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { type Arena, createArena } from '../../src/pipeline/arena.ts';
import { createInlineStage } from '../../src/pipeline/cpu/inline.ts';
import type { BlobAdapter, SlotName } from '../../src/providers/adapter.ts';
import type { AdapterKind } from '../../src/providers/kind.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { adapterKinds } from '../../src/providers/registry.ts';
import { assemble } from '../../src/vault/assemble.ts';
import { OpenedVault } from '../../src/vault/opened-vault.ts';
import { pinVault } from '../../src/vault/pin.ts';
import { silent } from '../../src/vault/settings.ts';
import { FakeClock } from './fake-clock.ts';
import { ACCELERATION } from './vault.ts';

const KIND = 'test';
const KEYS = vaultKeysOf(deriveSubkeys(new Uint8Array(32).fill(9)));
const blake3 = await selectBlake3(ACCELERATION);

/** What is logged while a vault is open. */
export interface LoggedEvent {
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** No operation is to take so long in virtual time. */
const HANGS_MS = 600_000;

/** A process; what is killed is never answered again. */
interface Life {
  killed: boolean;
}

/** For one process of several on a state. */
function stayingOpen(engine: Engine, life: Life): Engine {
  const answered = async <T>(work: () => Promise<T>): Promise<T> => {
    if (life.killed) await new Promise(() => {});
    return work();
  };
  return {
    name: engine.name,
    table(name) {
      const inner = engine.table(name);
      return {
        get: (...args) => answered(() => inner.get(...args)),
        put: (...args) => answered(() => inner.put(...args)),
        delete: (...args) => answered(() => inner.delete(...args)),
        compareAndSet: (...args) => answered(() => inner.compareAndSet(...args)),
        async *entries(options) {
          await answered(async () => {});
          yield* inner.entries(options);
        },
      };
    },
    batch: (...args) => answered(() => engine.batch(...args)),
    revision: () => engine.revision(),
    close: async () => {},
  };
}

export interface StoredRecord {
  readonly table: string;
  readonly key: string;
  readonly value: Uint8Array;
}

/** What the disks of a home and of its providers held at some moment. */
export interface HomeCopy {
  readonly records: readonly StoredRecord[];
  readonly providers: readonly {
    readonly id: string;
    readonly blobs: readonly (readonly [BlobAddress, Uint8Array])[];
    readonly slots: readonly (readonly [SlotName, Uint8Array])[];
  }[];
  readonly settings: Readonly<Record<string, unknown>>;
  readonly ms: number;
  readonly runs: number;
}

/** One home and its providers over virtual time, for the runs of many processes one after another. */
export class VirtualHome {
  readonly clock = new FakeClock();
  readonly engine: Engine;
  readonly log: LoggedEvent[] = [];
  /** Providers whose calls never answer, whatever their signal says. */
  readonly hanging = new Set<string>();
  /** Providers that nobody can reach: each call fails at once. */
  readonly down = new Set<string>();
  /** Calls that never answer, whatever their signal says, as `provider.operation`. */
  readonly stuck = new Set<string>();
  /** Owners of whom nobody can tell whether they live. */
  readonly hidden = new Set<string>();
  /** … and whose lock cannot be tried at all. */
  readonly unproven = new Set<string>();
  /** What each call to a provider takes. */
  latencyMs = 0;
  /** How long this machine has been up. */
  uptimeMs = (): number => this.clock.ms;
  readonly #adapters = new Map<string, BlobAdapter>();
  readonly #settings: Readonly<Record<string, unknown>>;
  #runs = 0;
  #arena: Arena | undefined;
  readonly #alive = new Set<string>();
  readonly #lives = new WeakMap<OpenedVault, Life>();

  /** @param settings sections of the configuration. */
  constructor(
    ids: readonly string[],
    settings: Readonly<Record<string, unknown>> = {},
    engine: Engine = createMemoryEngine(),
  ) {
    this.engine = engine;
    const deps = { clock: this.clock, random: secureRandom, blake3 };
    for (const id of ids) this.#adapters.set(id, createMemoryAdapter({ id, ...deps }));
    this.#settings = settings;
  }

  /** As it was copied, with every process of then dead. */
  static async of(copy: HomeCopy, engine?: Engine): Promise<VirtualHome> {
    const ids = copy.providers.map(({ id }) => id);
    const home = new VirtualHome(ids, copy.settings, engine);
    home.clock.ms = copy.ms;
    home.#runs = copy.runs;
    for (const { table, key, value } of copy.records) await home.engine.table(table).put(key, value);
    for (const { id, blobs, slots } of copy.providers) {
      const adapter = home.adapter(id);
      for (const [address, bytes] of blobs) await adapter.store(address, [bytes]);
      for (const [name, bytes] of slots) await adapter.writeSlot(name, bytes, undefined);
    }
    return home;
  }

  async copy(): Promise<HomeCopy> {
    const records: StoredRecord[] = [];
    for (const table of TABLE_NAMES)
      for await (const [key, value] of this.engine.table(table).entries())
        records.push({ table, key, value });
    const providers: HomeCopy['providers'][number][] = [];
    for (const [id, adapter] of this.#adapters) {
      const blobs: [BlobAddress, Uint8Array][] = [];
      for await (const { address } of adapter.list()) blobs.push([address, await adapter.fetch(address)]);
      const slots: [SlotName, Uint8Array][] = [];
      for await (const name of adapter.listSlots()) slots.push([name, (await adapter.readSlot(name))!.bytes]);
      providers.push({ id, blobs, slots });
    }
    return { records, providers, settings: this.#settings, ms: this.clock.ms, runs: this.#runs };
  }

  adapter(id: string): BlobAdapter {
    return this.#adapters.get(id)!;
  }

  /** A new process on this home. */
  async open(): Promise<OpenedVault> {
    const life: Life = { killed: false };
    const open: AdapterKind['open'] = async ({ id }) => this.#slow(id, this.adapter(id), life);
    const kinds = adapterKinds([{ name: KIND, keys: {}, open }]);
    const providers = [...this.#adapters.keys()].map((id) => ({ id, adapter: KIND }));
    const config = configFrom({ ...this.#settings, providers } as never, {}, '/virtual', kinds);
    this.#arena ??= createArena(config.limits.memoryBytes);
    const arena = this.#arena;
    const run = `${String(++this.#runs).padStart(16, '0')}-${'0'.repeat(16)}`;
    await pinVault(this.engine, KEYS);
    const composed = await assemble(
      config,
      { keys: KEYS, bound: true },
      {
        clock: this.clock,
        random: secureRandom,
        blake3,
        secondBlake3: async () => blake3,
        engine: stayingOpen(this.engine, life),
        owners: {
          current: async () => {
            this.#alive.add(run);
            return run;
          },
          standing: async (owner) => this.#standing(owner),
          host: async () => '0'.repeat(16),
          tidy: async () => {},
          close: async () => void this.#alive.delete(run),
        },
        kinds,
        env: {},
        arena,
        cpu: createInlineStage(arena.memory, ACCELERATION, this.clock),
        uptimeMs: () => this.uptimeMs(),
      },
      { ...silent, log: (_, event, fields) => void this.log.push({ event, fields }) },
    );
    const vault = new OpenedVault(composed, {});
    this.#lives.set(vault, life);
    return vault;
  }

  /** From now on nothing that it does has any effect. Others find it dead in a copy of the home only. */
  kill(vault: OpenedVault): void {
    this.#lives.get(vault)!.killed = true;
  }

  #standing(owner: string): 'alive' | 'dead' | 'unknown' {
    if (this.hidden.has(owner)) throw new HoldfastError('PermissionDenied', 'its folder cannot be read');
    if (this.unproven.has(owner)) return 'unknown';
    return this.#alive.has(owner) ? 'alive' : 'dead';
  }

  /** Lets time pass until it has settled. @returns how long that took, in virtual milliseconds. */
  async until(work: Promise<unknown>): Promise<number> {
    const from = this.clock.ms;
    let settled = false;
    const over = work.finally(() => {
      settled = true;
    });
    over.catch(() => {});
    while (!settled) {
      if (this.clock.ms - from > HANGS_MS) throw new Error('it hangs');
      await this.clock.advance(this.clock.ms - from < 10_000 ? 5 : 250);
    }
    await over;
    return this.clock.ms - from;
  }

  /** One command, from its start to its end. @returns how long its `close` took. */
  async command(work: (vault: OpenedVault) => Promise<unknown>): Promise<number> {
    const vault = await this.open();
    let closing = 0;
    try {
      await this.until(work(vault));
    } finally {
      closing = await this.until(vault.close());
    }
    return closing;
  }

  async keysIn(table: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const [key] of this.engine.table(table).entries()) keys.push(key);
    return keys;
  }

  /** Blobs at all providers, as `provider/address`. */
  async blobs(): Promise<string[]> {
    const found: string[] = [];
    for (const [id, adapter] of this.#adapters)
      for await (const { address } of adapter.list()) found.push(`${id}/${address}`);
    return found.sort();
  }

  /** A process has its adapters for itself: closing them leaves what they hold. */
  #slow(id: string, inner: BlobAdapter, life: Life): BlobAdapter {
    const wait = async (name: string): Promise<void> => {
      const isHeld = this.hanging.has(id) || this.stuck.has(`${id}.${name}`);
      if (life.killed || isHeld) await new Promise(() => {});
      if (this.down.has(id)) throw new HoldfastError('Unavailable', 'connection refused', { provider: id });
      if (this.latencyMs > 0) await this.clock.sleep(this.latencyMs);
    };
    const slowed = Object.fromEntries(
      Object.entries(inner).map(([name, member]) => {
        if (typeof member !== 'function' || name === 'close') return [name, member];
        const call = member as (...args: unknown[]) => unknown;
        if (['list', 'listSlots', 'fetchStream'].includes(name))
          return [name, this.#stream(call, () => wait(name))];
        const slow = async (...args: unknown[]): Promise<unknown> => {
          await wait(name);
          return call(...args);
        };
        return [name, slow];
      }),
    );
    return { ...(slowed as unknown as BlobAdapter), close: async () => {} };
  }

  #stream(call: (...args: unknown[]) => unknown, wait: () => Promise<void>) {
    return async function* (...args: unknown[]): AsyncGenerator<unknown> {
      await wait();
      yield* call(...args) as AsyncIterable<unknown>;
    };
  }
}
