import { configFrom } from '../../src/config/load.ts';
import { selectBlake3 } from '../../src/core/b3/select.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { secureRandom } from '../../src/core/random.ts';
import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { createArena } from '../../src/pipeline/arena.ts';
import { createInlineStage } from '../../src/pipeline/cpu/inline.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import type { AdapterKind } from '../../src/providers/kind.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { adapterKinds } from '../../src/providers/registry.ts';
import { assemble } from '../../src/vault/assemble.ts';
import { OpenedVault } from '../../src/vault/opened-vault.ts';
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

/** For one process of several on a state. */
const stayingOpen = (engine: Engine): Engine => ({
  name: engine.name,
  table: (name) => engine.table(name),
  batch: (...args) => engine.batch(...args),
  revision: () => engine.revision(),
  close: async () => {},
});

/** One home and its providers over virtual time, for the runs of many processes one after another. */
export class VirtualHome {
  readonly clock = new FakeClock();
  readonly engine: Engine = createMemoryEngine();
  readonly log: LoggedEvent[] = [];
  /** Providers whose calls never answer, whatever their signal says. */
  readonly hanging = new Set<string>();
  /** Providers that nobody can reach: each call fails at once. */
  readonly down = new Set<string>();
  /** Calls that never answer, whatever their signal says, as `provider.operation`. */
  readonly stuck = new Set<string>();
  /** Owners of whom nobody can tell whether they live. */
  readonly hidden = new Set<string>();
  /** What each call to a provider takes. */
  latencyMs = 0;
  /** How long this machine has been up. */
  uptimeMs = (): number => this.clock.ms;
  readonly #adapters = new Map<string, BlobAdapter>();
  readonly #settings: Readonly<Record<string, unknown>>;
  #runs = 0;
  readonly #alive = new Set<string>();

  /** @param settings sections of the configuration. */
  constructor(ids: readonly string[], settings: Readonly<Record<string, unknown>> = {}) {
    const deps = { clock: this.clock, random: secureRandom, blake3 };
    for (const id of ids) this.#adapters.set(id, createMemoryAdapter({ id, ...deps }));
    this.#settings = settings;
  }

  adapter(id: string): BlobAdapter {
    return this.#adapters.get(id)!;
  }

  /** A new process on this home. */
  async open(): Promise<OpenedVault> {
    const open: AdapterKind['open'] = async ({ id }) => this.#slow(id, this.adapter(id));
    const kinds = adapterKinds([{ name: KIND, keys: {}, open }]);
    const providers = [...this.#adapters.keys()].map((id) => ({ id, adapter: KIND }));
    const config = configFrom({ ...this.#settings, providers } as never, {}, '/virtual', kinds);
    const arena = createArena(config.limits.memoryBytes);
    const run = `${String(++this.#runs).padStart(16, '0')}-${'0'.repeat(16)}`;
    const composed = await assemble(
      config,
      { keys: KEYS, bound: true },
      {
        clock: this.clock,
        random: secureRandom,
        blake3,
        secondBlake3: async () => blake3,
        engine: stayingOpen(this.engine),
        owners: {
          current: async () => {
            this.#alive.add(run);
            return run;
          },
          standing: async (owner) => {
            if (this.hidden.has(owner))
              throw new HoldfastError('PermissionDenied', 'its folder cannot be read');
            return this.#alive.has(owner) ? 'alive' : 'dead';
          },
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
    return new OpenedVault(composed, {});
  }

  /** Lets time pass until it has settled. @returns how long that took, in virtual milliseconds. */
  async until(work: Promise<unknown>): Promise<number> {
    const from = this.clock.ms;
    let settled = false;
    const over = work.finally(() => {
      settled = true;
    });
    over.catch(() => {});
    while (!settled) await this.clock.advance(5);
    await over;
    return this.clock.ms - from;
  }

  /** One command, from its start to its end. @returns how long its `close` took. */
  async command(work: (vault: OpenedVault) => Promise<unknown>): Promise<number> {
    const vault = await this.open();
    await this.until(work(vault));
    return this.until(vault.close());
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
  #slow(id: string, inner: BlobAdapter): BlobAdapter {
    const wait = async (name: string): Promise<void> => {
      if (this.hanging.has(id) || this.stuck.has(`${id}.${name}`)) await new Promise(() => {});
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
