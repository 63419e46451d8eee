import { randomBytes } from 'node:crypto';
import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RepairResult, Vault } from '../src/index.ts';
import type { Area } from './area.ts';
import { columns, MIB, median } from './numbers.ts';
import { MovedBytes } from './repair-moved.ts';
import { nineFolders, type ShardsRead, shardClasses } from './repair-shards.ts';
import { blobs } from './vault-state.ts';

const LOST = 'p5';
const OBJECT_BYTES = 32 * MIB;
/** The default. */
const CAP = 50 * MIB;
/** One that a busy machine reaches too. */
const LOW_CAP = 20 * MIB;
const UNPACED = 2 ** 36;
/** Of what is not asked for by its size. */
const MOST = { unpaced: 512 * MIB, low: 1024 * MIB, gets: 3072 * MIB };
/** What is read beside a repair, one after the other, with a pause after each. */
const READ_BYTES = MIB;
const READ_OBJECTS = 16;
const READ_PAUSE_MS = 5;
/** Repair rests and goes on in turn, so that both see the same of what else the machine does. */
const TURN_MS = 3_000;
const TURNS = 24;
const SETTLE_MS = 300;

export interface RepairFigures {
  readonly shards: readonly ShardsRead[];
  readonly lost: readonly LostFigure[];
  readonly gets: GetFigure;
}

interface LostFigure {
  readonly name: string;
  readonly cap: number;
  readonly objectBytes: number;
  readonly lostBytes: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** By all reads of the process, where its system tells: the rest is what was read back, and the state. */
  readonly allRead: number | undefined;
  /** The most that was read and written within five seconds, by all of the process. */
  readonly mostInWindow: number | undefined;
  readonly firstMs: number;
  readonly ms: number;
  /** Objects that survived fewer losses than they could have among eight providers, or were not intact. */
  readonly wrong: readonly string[];
}

interface GetFigure {
  readonly idle: readonly number[];
  readonly beside: readonly number[];
}

/** One shard lost, by the class of the shard; then one of nine providers, under several limits, and with the default one beside gets. */
export async function benchRepair(
  area: Area,
  size: number,
  say: (text: string) => void,
): Promise<RepairFigures> {
  say('one shard lost');
  const shards = await shardClasses(join(area.dir, 'repair-shards'));
  const lost: LostFigure[] = [];
  for (const [name, bytes, cap] of [
    ['no limit', Math.min(size, MOST.unpaced), UNPACED],
    [`at most ${LOW_CAP / MIB} MiB/s`, Math.min(size, MOST.low), LOW_CAP],
    [`at most ${CAP / MIB} MiB/s`, size, CAP],
  ] as const) {
    say(`one provider lost, ${name}`);
    const figure = await World.with(join(area.dir, 'repair-lost'), bytes, cap, async (world) => {
      await world.lose();
      return world.repair(name);
    });
    lost.push(figure);
  }
  say('gets beside repair');
  const bytes = Math.min(size, MOST.gets);
  const gets = await World.with(join(area.dir, 'repair-gets'), bytes, CAP, (world) => world.gets());
  return { shards, lost, gets };
}

class World {
  readonly #dir: string;
  readonly #vault: Vault;
  readonly #cap: number;
  #objectBytes = 0;
  #lostBytes = 0;
  #names: string[] = [];

  private constructor(dir: string, vault: Vault, cap: number) {
    this.#dir = dir;
    this.#cap = cap;
    this.#vault = vault;
  }

  static async with<T>(
    dir: string,
    size: number,
    bytesPerSecond: number,
    work: (world: World) => Promise<T>,
  ): Promise<T> {
    const vault = await nineFolders(dir, { bytesPerSecond, clusterBytesPerSecond: bytesPerSecond });
    const world = new World(dir, vault, bytesPerSecond);
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

  async repair(name: string): Promise<LostFigure> {
    const moved = new MovedBytes();
    const started = performance.now();
    let firstMs = 0;
    const onProgress = ({ chunks }: Pick<RepairResult, 'chunks'>): void => {
      if (chunks.success > 0) firstMs ||= performance.now() - started;
    };
    const { bytesRead, bytesRestored, chunks, incomplete } = await this.#vault.repair({ onProgress });
    const ms = performance.now() - started;
    const { read: allRead, mostInWindow } = moved.end();
    const wrong = await this.#wrong();
    if (chunks.failure + chunks.skipped + chunks.fatal > 0 || incomplete) {
      wrong.push(JSON.stringify(chunks));
      for await (const { status, error } of this.#vault.repairHistory({ limit: 100 }))
        if (status !== 'success') wrong.push(`${status}: ${error}`);
    }
    const sizes = { objectBytes: this.#objectBytes, lostBytes: this.#lostBytes };
    const all = { bytesRead, bytesWritten: bytesRestored, allRead, mostInWindow };
    return { name, cap: this.#cap, ...sizes, ...all, firstMs, ms, wrong };
  }

  async #wrong(): Promise<string[]> {
    const wrong: string[] = [];
    for (const name of this.#names) {
      const { live } = await this.#vault.statObject(name);
      if (live.certificate.tolerates < 2 || live.without.length > 0) wrong.push(name);
    }
    return wrong;
  }

  /** Gets while a repair rests and goes on in turn. */
  async gets(): Promise<GetFigure> {
    await this.lose();
    await this.#timed(TURN_MS);
    const idle: number[] = [];
    const beside: number[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      idle.push(...(await this.#timed(TURN_MS)));
      const hasEnded = this.#repairFor(TURN_MS + SETTLE_MS);
      await sleep(SETTLE_MS);
      const times = await this.#timed(TURN_MS);
      if (await hasEnded()) break;
      beside.push(...times);
    }
    return { idle, beside };
  }

  /** @returns waits until it has stopped, and tells whether nothing was left to repair. */
  #repairFor(ms: number): () => Promise<boolean> {
    const signal = AbortSignal.timeout(ms);
    const done = this.#vault.repair({ signal }).then(
      () => true,
      () => false,
    );
    return () => done;
  }

  /** One get after the other. */
  async #timed(ms: number): Promise<number[]> {
    const times: number[] = [];
    const until = performance.now() + ms;
    for (let i = 0; performance.now() < until; i++) {
      const started = performance.now();
      await (await this.#vault.getObject(`read ${i % READ_OBJECTS}`)).bytes();
      times.push(performance.now() - started);
      await sleep(READ_PAUSE_MS);
    }
    return times;
  }
}

const mib = (bytes: number): string => (bytes / MIB).toFixed(1);
const times = (value: number, of: number): string => `${(value / of).toFixed(2)}x`;
const percentile = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(part * values.length) - 1)] ?? Number.NaN;

export function renderRepair({ shards, lost, gets }: RepairFigures): string {
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
        'MiB/s',
        'of the cap',
        'at most in 5 s',
        'wrong',
      ],
      ...lost.map(row),
    ]),
    columns([
      [
        `gets of ${READ_BYTES / MIB} MiB`,
        'gets',
        'p50 ms',
        'p99 ms',
        'idle: gets',
        'p50 ms',
        'p99 ms',
        'p99 of idle',
      ],
      [
        'beside a repair',
        ...[gets.beside, gets.idle].flatMap((all) => [
          `${all.length}`,
          median(all).toFixed(1),
          percentile(all, 0.99).toFixed(1),
        ]),
        times(percentile(gets.beside, 0.99), percentile(gets.idle, 0.99)),
      ],
    ]),
    ...lost.flatMap(({ wrong }) => wrong).slice(0, 10),
  ].join('\n\n');
}

function row(it: LostFigure): string[] {
  const { bytesRead, bytesWritten, lostBytes, allRead, mostInWindow, firstMs, ms, wrong } = it;
  // What was written is read back, and counts for the cap too.
  const rate = (bytesRead + 2 * bytesWritten) / (ms / 1000);
  const ofCap = (bytesPerSecond: number | undefined): string =>
    it.cap === UNPACED || bytesPerSecond === undefined
      ? ''
      : `${((100 * bytesPerSecond) / it.cap).toFixed(1)} %`;
  return [
    it.name,
    mib(it.objectBytes),
    mib(lostBytes),
    times(bytesRead, lostBytes),
    times(bytesWritten, lostBytes),
    allRead === undefined ? '' : times(allRead - bytesRead, lostBytes),
    firstMs.toFixed(0),
    (ms / 1000).toFixed(1),
    mib(rate),
    ofCap(rate),
    ofCap(mostInWindow),
    `${wrong.length}`,
  ];
}
