import { randomBytes } from 'node:crypto';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RepairResult, Vault } from '../src/index.ts';
import type { Area } from './area.ts';
import { columns, MIB, median } from './numbers.ts';
import { nineFolders, type ShardsRead, shardClasses } from './repair-shards.ts';
import { blobs } from './vault-state.ts';

const LOST = 'p5';
const OBJECT_BYTES = 32 * MIB;
/** The default. */
const CAP = 50 * MIB;
/** One that a busy machine reaches too. */
const LOW_CAP = 20 * MIB;
const UNPACED = 2 ** 36;
/** What is read beside a repair, one after the other, with a pause after each. */
const READ_BYTES = MIB;
const READ_OBJECTS = 16;
const READ_PAUSE_MS = 20;
const IDLE_MS = 10_000;

export interface RepairFigures {
  readonly shards: readonly ShardsRead[];
  readonly unpaced: LostFigure;
  readonly low: LostFigure;
  readonly capped: LostFigure & { readonly gets: readonly GetFigure[] };
}

export interface LostFigure {
  readonly objectBytes: number;
  readonly lostBytes: number;
  /** Bytes that the cap is for. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** By all reads of the process, where its system tells: the rest is what was read back, and the state. */
  readonly allRead: number | undefined;
  readonly firstMs: number;
  readonly ms: number;
  /** Objects that survived fewer losses than they could have among eight providers, or were not intact. */
  readonly wrong: readonly string[];
}

export interface GetFigure {
  readonly when: string;
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}

/** One shard lost, by the class of the shard; then one of nine providers, without a limit, and with the default one beside gets. */
export async function benchRepair(
  area: Area,
  size: number,
  say: (text: string) => void,
): Promise<RepairFigures> {
  say('one shard lost');
  const shards = await shardClasses(join(area.dir, 'repair-shards'));
  say('one provider lost, no limit');
  const alone = (name: string, cap: number): Promise<LostFigure> =>
    World.with(join(area.dir, name), size, cap, async (world) => {
      await world.lose();
      return world.repair();
    });
  const unpaced = await alone('repair-unpaced', UNPACED);
  say('one provider lost, limited');
  const low = await alone('repair-low', LOW_CAP);
  say('one provider lost, limited, beside gets');
  const capped = await World.with(join(area.dir, 'repair-capped'), size, CAP, async (world) => {
    const idle = await world.gets('idle, all nine there', sleep(IDLE_MS));
    await world.lose();
    const lost = await world.gets('idle, one lost', sleep(IDLE_MS));
    const repairing = world.repair();
    const beside = await world.gets('while it is repaired', repairing);
    const figure = await repairing;
    const after = await world.gets('idle, repaired', sleep(IDLE_MS));
    return { ...figure, gets: [idle, lost, beside, after] };
  });
  return { shards, unpaced, low, capped };
}

class World {
  readonly #dir: string;
  readonly #vault: Vault;
  #objectBytes = 0;
  #lostBytes = 0;
  #names: string[] = [];

  private constructor(dir: string, vault: Vault) {
    this.#dir = dir;
    this.#vault = vault;
  }

  static async with<T>(
    dir: string,
    size: number,
    bytesPerSecond: number,
    work: (world: World) => Promise<T>,
  ): Promise<T> {
    const vault = await nineFolders(dir, { bytesPerSecond, clusterBytesPerSecond: bytesPerSecond });
    const world = new World(dir, vault);
    try {
      await world.#fill(size);
      return await work(world);
    } finally {
      await vault.close();
      await rm(dir, { recursive: true, force: true });
    }
  }

  async #fill(size: number): Promise<void> {
    for (let left = size; left > 0; left -= OBJECT_BYTES) {
      await this.#put(`object ${this.#names.length}`, randomBytes(Math.min(left, OBJECT_BYTES)));
    }
    for (let i = 0; i < READ_OBJECTS; i++) await this.#put(`read ${i}`, randomBytes(READ_BYTES));
  }

  async #put(name: string, bytes: Uint8Array): Promise<void> {
    await this.#vault.putObject(bytes, { name });
    this.#names.push(name);
    this.#objectBytes += bytes.length;
  }

  /** All that one provider has vanishes, and it is declared lost. */
  async lose(): Promise<void> {
    const folder = join(this.#dir, 'home', 'providers', LOST);
    for (const path of await blobs(folder)) this.#lostBytes += (await stat(path)).size;
    await rm(folder, { recursive: true });
    await writeFile(folder, 'a file where a folder was');
    await this.#vault.providers.setLost(LOST, true);
  }

  async repair(): Promise<LostFigure> {
    const before = await readSoFar();
    const started = performance.now();
    let firstMs = 0;
    const onProgress = ({ chunks }: Pick<RepairResult, 'chunks'>): void => {
      if (chunks.success > 0) firstMs ||= performance.now() - started;
    };
    const { bytesRead, bytesRestored, chunks, incomplete } = await this.#vault.repair({ onProgress });
    const ms = performance.now() - started;
    const after = await readSoFar();
    const allRead = before === undefined || after === undefined ? undefined : after - before;
    const wrong = await this.#wrong();
    if (chunks.failure + chunks.skipped + chunks.fatal > 0 || incomplete) wrong.push(JSON.stringify(chunks));
    const sizes = { objectBytes: this.#objectBytes, lostBytes: this.#lostBytes };
    return { ...sizes, bytesRead, bytesWritten: bytesRestored, allRead, firstMs, ms, wrong };
  }

  async #wrong(): Promise<string[]> {
    const wrong: string[] = [];
    for (const name of this.#names) {
      const { live } = await this.#vault.statObject(name);
      if (live.certificate.tolerates < 2 || live.without.length > 0) wrong.push(name);
    }
    return wrong;
  }

  /** One get after the other until that has happened. */
  async gets(when: string, until: Promise<unknown>): Promise<GetFigure> {
    const times: number[] = [];
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    until.then(over, over);
    for (let i = 0; !isOver; i++) {
      const started = performance.now();
      await (await this.#vault.getObject(`read ${i % READ_OBJECTS}`)).bytes();
      times.push(performance.now() - started);
      await sleep(READ_PAUSE_MS);
    }
    const sorted = times.sort((a, b) => a - b);
    const p99 = sorted[Math.ceil(0.99 * sorted.length) - 1]!;
    return { when, count: sorted.length, p50: median(sorted), p99 };
  }
}

/** Bytes that this process ever read, of files and of everything. */
async function readSoFar(): Promise<number | undefined> {
  const text = await readFile('/proc/self/io', 'utf8').catch(() => '');
  const [, bytes] = /^rchar: (\d+)$/m.exec(text) ?? [];
  return bytes === undefined ? undefined : Number(bytes);
}

const mib = (bytes: number): string => (bytes / MIB).toFixed(1);
const times = (value: number, of: number): string => `${(value / of).toFixed(2)}x`;

export function renderRepair({ shards, unpaced, low, capped }: RepairFigures): string {
  const idle = capped.gets[0]!;
  return [
    columns([
      ['one shard lost', 'shards of the class', 'shards read', 'bytes read per byte', 'written'],
      ...shards.map(({ kind, count, reads, read, written }) => [
        kind,
        `${count}`,
        [...new Set(reads)].sort((a, b) => a - b).join(' or '),
        times(read, 1),
        times(written, 1),
      ]),
    ]),
    columns([
      [
        'one of nine providers lost',
        'MiB stored',
        'MiB lost',
        'read per byte lost',
        'written',
        'read back',
        'first ms',
        's',
        'MiB/s read and written',
        'of the cap',
        'wrong',
      ],
      ...[
        { name: 'no limit', cap: undefined, it: unpaced },
        { name: `at most ${LOW_CAP / MIB} MiB/s`, cap: LOW_CAP, it: low },
        { name: `at most ${CAP / MIB} MiB/s, beside gets`, cap: CAP, it: capped },
      ].map(({ name, cap, it }) => row(name, cap, it)),
    ]),
    columns([
      [`gets of ${READ_BYTES / MIB} MiB`, 'gets', 'p50 ms', 'p99 ms', 'p99 of idle'],
      ...capped.gets.map(({ when, count, p50, p99 }) => [
        when,
        `${count}`,
        p50.toFixed(1),
        p99.toFixed(1),
        times(p99, idle.p99),
      ]),
    ]),
    ...[...unpaced.wrong, ...low.wrong, ...capped.wrong].slice(0, 10),
  ].join('\n\n');
}

function row(name: string, cap: number | undefined, it: LostFigure): string[] {
  const { bytesRead, bytesWritten, lostBytes, allRead, firstMs, ms, wrong } = it;
  const rate = (bytesRead + bytesWritten) / (ms / 1000);
  return [
    name,
    mib(it.objectBytes),
    mib(lostBytes),
    times(bytesRead, lostBytes),
    times(bytesWritten, lostBytes),
    // Gets are in there too where some went on.
    cap === CAP || allRead === undefined ? '' : times(allRead - bytesRead, lostBytes),
    firstMs.toFixed(0),
    (ms / 1000).toFixed(1),
    mib(rate),
    cap === undefined ? '' : `${((100 * rate) / cap).toFixed(1)} %`,
    `${wrong.length}`,
  ];
}
