import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { PutResult, Vault } from '../src/index.ts';
import type { Area } from './area.ts';
import { columns, cpuSeconds } from './numbers.ts';

const LIBRARY = fileURLToPath(new URL('../../dist/index.js', import.meta.url));
const NAMES = [100, 1000, 10_000];
const IDS = Array.from({ length: 9 }, (_, i) => `p${i + 1}`);
/** Gone when a home is recovered; each object survives any three. */
const VANISHED = ['p2', 'p5', 'p9'];
/** Wrong names that are told of each size. */
const MAX_TOLD = 5;
const MAX_TRIES = 20;
const RETRY_MS = 3_000;
/** Puts, and reads, under way at once. */
const PARALLEL = 8;

export interface RecoverFigure {
  readonly names: number;
  /** Names kept beside them, since two homes had changed the name. */
  readonly forks: number;
  readonly removed: number;
  /** Of all puts so far. */
  readonly versions: number;
  readonly ms: number;
  readonly cpuMs: number;
  /** Names that came back with other content, or not at all, or though they were removed, and why. */
  readonly wrong: readonly string[];
}

/** What has to come back, by name; undefined: was removed. */
type Expected = Map<string, Uint8Array | undefined>;

/**
 * Homes that are gone, three of nine providers with them: the key alone brings back every name as it was. Each size is put
 * from the home that the size before was recovered to.
 */
export async function benchRecover(area: Area, say: (text: string) => void): Promise<RecoverFigure[]> {
  const dir = join(area.dir, 'recover');
  await mkdir(dir);
  const world = await World.create(dir);
  const figures: RecoverFigure[] = [];
  try {
    for (const names of NAMES) {
      await world.fill(names);
      figures.push(await world.recover());
      say(`${names} names: ${figures.at(-1)!.ms.toFixed(0)} ms`);
    }
  } finally {
    await world.close();
  }
  return figures;
}

class World {
  readonly #dir: string;
  readonly #open: (home: string) => Promise<Vault>;
  readonly #expected: Expected = new Map();
  readonly #contents = new Map<string, Uint8Array>();
  #vault: Vault;
  #names = 0;
  #forks = 0;
  #versions = 0;
  #homes = 0;

  private constructor(dir: string, open: (home: string) => Promise<Vault>, vault: Vault) {
    this.#dir = dir;
    this.#open = open;
    this.#vault = vault;
  }

  static async create(dir: string): Promise<World> {
    const { createVault, openVault } = (await import(LIBRARY)) as typeof import('../src/index.ts');
    const providers = IDS.map((id) => ({ id, adapter: 'fs', root: join(dir, 'providers', id) }) as const);
    const config = { providers, placement: { minTolerates: VANISHED.length } } as const;
    const home = join(dir, 'home');
    const vault = await createVault({ home, config, unwrapped: true, env: {} });
    const keyFile = join(home, 'vault.key');
    return new World(dir, (other) => openVault({ home: other, config, keyFile, env: {} }), vault);
  }

  /** Every third name has three versions, every tenth is removed, and every 25th another home changed too. */
  async fill(names: number): Promise<void> {
    const other = await this.#open(join(this.#dir, `other${this.#homes}`));
    try {
      const from = this.#names;
      await inParallel(names - from, (i) => this.#put(from + i, other));
    } finally {
      await other.close();
    }
    this.#names = names;
  }

  async #put(i: number, other: Vault): Promise<void> {
    const name = `name ${i}`;
    for (let version = 0; version < (i % 3 === 0 ? 3 : 1); version++) {
      await this.#putBy(this.#vault, name, contentOf(i, version));
    }
    if (i % 25 === 7) await this.#putBy(other, name, contentOf(i, 3));
    else if (i % 10 === 5) {
      await this.#vault.deleteObject(name);
      this.#expected.set(name, undefined);
    }
  }

  async #putBy(vault: Vault, name: string, bytes: Uint8Array): Promise<void> {
    const { manifest, forks } = await putPatiently(vault, name, bytes);
    this.#contents.set(manifest, bytes);
    for (const { manifest: of, keptAs } of forks) {
      if (of === undefined || keptAs === undefined) continue;
      this.#expected.set(keptAs, this.#contents.get(of));
      this.#forks++;
    }
    this.#expected.set(name, bytes);
    this.#versions++;
  }

  /** The home is gone; another takes its place. */
  async recover(): Promise<RecoverFigure> {
    await this.#vault.close();
    await this.#vanish(true);
    const home = join(this.#dir, `home${++this.#homes}`);
    this.#vault = await this.#open(home);
    const [started, cpu] = [performance.now(), cpuSeconds()];
    const { lost, unconfirmed } = await this.#vault.recover();
    const [ms, cpuMs] = [performance.now() - started, 1000 * (cpuSeconds() - cpu)];
    const wrong = [...lost, ...unconfirmed.names];
    const all = [...this.#expected];
    await inParallel(all.length, async (i) => {
      const problem = await problemWith(this.#vault, ...all[i]!);
      if (problem !== undefined) wrong.push(problem);
    });
    await this.#vault.close();
    await this.#vanish(false);
    // This process gives a rest to those that had failed; another tries them at once.
    this.#vault = await this.#open(home);
    await this.#vault.providers.probe();
    const removed = all.filter(([, bytes]) => bytes === undefined).length;
    const counts = { names: this.#names, forks: this.#forks, removed, versions: this.#versions };
    return { ...counts, ms, cpuMs, wrong };
  }

  async #vanish(gone: boolean): Promise<void> {
    for (const id of VANISHED) {
      const [here, away] = [join(this.#dir, 'providers', id), join(this.#dir, `${id} is gone`)];
      await rename(...((gone ? [here, away] : [away, here]) as [string, string]));
    }
  }

  close(): Promise<void> {
    return this.#vault.close();
  }
}

/** Most are kept as copies; one of eight is coded. */
function contentOf(i: number, version: number): Uint8Array {
  const length = i % 8 === 0 ? 6000 + (i % 100) : 300 + (i % 50);
  return new Uint8Array(length).map(
    (_, at) => ((i * 4 + version + 1) * 2_654_435_761 + at * at * 40_503) >>> 11,
  );
}

/** On a machine that is busy some providers are given a rest, and too few are left for a moment. */
async function putPatiently(vault: Vault, name: string, bytes: Uint8Array): Promise<PutResult> {
  for (let tries = 1; ; tries++) {
    try {
      return await vault.putObject(bytes, { name });
    } catch (error) {
      if (tries === MAX_TRIES) throw error;
      await setTimeout(RETRY_MS);
      await vault.providers.probe();
    }
  }
}

async function problemWith(
  vault: Vault,
  name: string,
  bytes: Uint8Array | undefined,
): Promise<string | undefined> {
  try {
    const got = await (await vault.getObject(name)).bytes();
    if (bytes === undefined) return `${name} was removed`;
    return Buffer.compare(got, bytes) === 0 ? undefined : `${name} has other content`;
  } catch (error) {
    if (bytes === undefined && (error as { kind?: string }).kind === 'NotFound') return undefined;
    return `${name}: ${error}`;
  }
}

async function inParallel(count: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) await work(i);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

export function renderRecover(figures: readonly RecoverFigure[]): string {
  const wrong = figures.flatMap(({ wrong: some }) => some.slice(0, MAX_TOLD));
  const each = (ms: number, { names, forks }: RecoverFigure): string => (ms / (names + forks)).toFixed(2);
  const table = columns([
    [
      'recover, home and three of nine providers gone',
      'forks',
      'removed',
      'versions',
      'ms',
      'ms a name',
      'CPU ms a name',
      'wrong',
    ],
    ...figures.map((figure) => [
      `${figure.names} names`,
      `${figure.forks}`,
      `${figure.removed}`,
      `${figure.versions}`,
      figure.ms.toFixed(0),
      each(figure.ms, figure),
      each(figure.cpuMs, figure),
      `${figure.wrong.length}`,
    ]),
  ]);
  return [table, ...wrong].join('\n');
}
