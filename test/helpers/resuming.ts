import { createHash } from 'node:crypto';
import { type FileHandle, mkdtemp, open, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { secureRandom } from '../../src/core/random.ts';
import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { type PutOptions, putObject } from '../../src/pipeline/put/put.ts';
import type { PutResult } from '../../src/pipeline/put/put-result.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { emptyTrash } from '../../src/records/trash.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { sweepJournal } from '../../src/upkeep/sweep.ts';
import { aroundWrites, type EngineWrite } from './engine.ts';
import { noise, readAll, type TestVault, testVault } from './vault.ts';

export const CHUNK = 64 * 1024;
export const HOUR = 3_600_000;
const EPOCH = new Date('2026-01-01');
const GONE = new Error('the process is gone');
const away = (): HoldfastError => new HoldfastError('Unavailable', 'nobody answers', { status: 'permanent' });

/** A vault whose runs can be killed at any store, and whose chunk keys and nonces are watched. */
export class World {
  readonly vault: TestVault;
  readonly #folder: string;
  readonly stores = new Map<string, number>();
  #runs = 0;
  #storesLeft = Number.POSITIVE_INFINITY;
  isDead = false;
  /** What each (key, nonce) of a chunk encrypted; the nonce is always zero. */
  readonly sealed = new Map<string, string>();
  /** The last chunk that the latest run encrypted. */
  furthest = 0;
  readonly nonces = new Set<string>();
  readonly misuses: string[] = [];
  readonly writes: EngineWrite[] = [];
  /** Calls that a provider does not answer. */
  fails: (operation: keyof BlobAdapter, provider: string) => boolean = () => false;
  /** The process dies at the first write of this kind, before it is done. */
  dieAt: ((write: EngineWrite) => boolean) | undefined;

  private constructor(vault: TestVault, folder: string) {
    this.vault = vault;
    this.#folder = folder;
  }

  static async create(engine: Engine = createMemoryEngine()): Promise<World> {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-resume-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    let world: World | undefined;
    const wrap = (adapter: BlobAdapter): BlobAdapter =>
      new Proxy(adapter, {
        get(target, key: keyof BlobAdapter) {
          const value = target[key] as unknown;
          if (typeof value !== 'function') return value;
          if (key === 'store')
            return (...args: Parameters<BlobAdapter['store']>) => world!.#store(target, args);
          return (...args: readonly unknown[]): unknown => {
            if (world?.isDead) throw GONE;
            if (world?.fails(key, target.adapterId)) return Promise.reject(away());
            return value.apply(target, args);
          };
        },
      });
    const policy = { packTargetBytes: CHUNK, maxInflight: 4 };
    const vault = await testVault({ engine, policy, chunkBytes: CHUNK, arenaBytes: 4 * 1024 * 1024, wrap });
    world = new World(vault, folder);
    return world;
  }

  async #store(
    adapter: BlobAdapter,
    args: Parameters<BlobAdapter['store']>,
  ): ReturnType<BlobAdapter['store']> {
    if (this.isDead) throw GONE;
    if (this.fails('store', adapter.adapterId)) throw away();
    if (--this.#storesLeft < 0) {
      this.isDead = true;
      throw GONE;
    }
    const stored = await adapter.store(...args);
    const place = `${adapter.adapterId}/${args[0]}`;
    this.stores.set(place, (this.stores.get(place) ?? 0) + 1);
    return stored;
  }

  /** The context of a new process; those before it are dead. */
  run(dieAfterStores = Number.POSITIVE_INFINITY): VaultContext {
    const owner = `run${++this.#runs}`;
    this.#storesLeft = dieAfterStores;
    this.isDead = false;
    const { context } = this.vault;
    const engine = aroundWrites(context.engine, async (write, work) => {
      if (this.dieAt?.(write)) this.isDead = true;
      this.dieAt = this.isDead ? undefined : this.dieAt;
      if (this.isDead) throw GONE;
      this.writes.push(write);
      return work();
    });
    return {
      ...context,
      engine,
      owner: async () => owner,
      isOver: async (other) => other !== owner,
      isGone: async (other) => other !== owner,
      random: (length) => this.#random(length),
      cpu: { ...context.cpu, encode: (job) => this.#encode(context, job) },
    };
  }

  #random(length: number): Uint8Array {
    const bytes = secureRandom(length);
    if (length !== 24) return bytes;
    const nonce = toHex(bytes);
    if (this.nonces.has(nonce)) this.misuses.push(`nonce ${nonce} twice`);
    this.nonces.add(nonce);
    return bytes;
  }

  #encode(
    context: VaultContext,
    job: Parameters<VaultContext['cpu']['encode']>[0],
  ): ReturnType<VaultContext['cpu']['encode']> {
    const { key, frame, plainLength, index, last } = job;
    const plain = new Uint8Array(context.arena.memory.buffer, frame, plainLength);
    const what = createHash('sha256').update(plain).update(`${index} ${last}`).digest('hex');
    this.furthest = index;
    const before = this.sealed.get(toHex(key));
    if (before !== undefined && before !== what) this.misuses.push(`chunk ${index}: one key, two plaintexts`);
    this.sealed.set(toHex(key), what);
    return context.cpu.encode(job);
  }

  async file(content: Uint8Array, name = 'source'): Promise<FileHandle> {
    const path = join(this.#folder, name);
    await writeFile(path, content);
    await utimes(path, EPOCH, EPOCH);
    const handle = await open(path, 'r');
    onTestFinished(() => handle.close());
    return handle;
  }

  /** Flips a bit of the file, which tells by its time or only by its content. */
  async change(content: Uint8Array, at: number, secretly: boolean): Promise<Uint8Array> {
    const other = content.slice();
    other[at]! ^= 1;
    const file = await open(this.path(), 'r+');
    await file.write(other, at, 1, at);
    await file.close();
    await utimes(this.path(), EPOCH, secretly ? EPOCH : new Date());
    return other;
  }

  path(name = 'source'): string {
    return join(this.#folder, name);
  }

  /** Nothing but what names lead to is at the providers: with the name removed, nothing is. */
  async expectNothingLeft(): Promise<void> {
    const context = this.run();
    await deleteObject(context, 'x');
    for (let i = 0; i < 3; i++) {
      await sweepJournal(context, (owner) => owner !== `run${this.#runs}`);
      await emptyTrash(context, async () => true);
    }
    expect(await this.records('journal')).toEqual([]);
    expect(await this.records('resume')).toEqual([]);
    expect(await this.blobs()).toEqual([]);
  }

  async content(name: string): Promise<Buffer> {
    return Buffer.from(await readAll(await getObject(this.vault.context, name)));
  }

  async blobs(): Promise<string[]> {
    const found: string[] = [];
    for (const { id, adapter } of this.vault.providers)
      for await (const { address } of adapter.list()) found.push(`${id}/${address}`);
    return found;
  }

  async records(table: string): Promise<string[]> {
    const keys: string[] = [];
    const add = (key: string): void => void keys.push(key);
    const entries = this.vault.context.engine.table(table).entries({ onDamaged: add });
    for await (const [key] of entries) add(key);
    return keys;
  }
}

export const put = (context: VaultContext, file: FileHandle, options: PutOptions = {}): Promise<PutResult> =>
  putObject(context, file, { name: 'x', resume: true, ...options });

export const bytes = noise(3 * 1024 * 1024 + 12_345, 7);
