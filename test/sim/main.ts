import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { countedAs, FAULTS, WORK } from './faults.ts';
import { type RunResult, runSeed, warmUp } from './run.ts';
import { runYear } from './year.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    /** Processes at once. */
    jobs: { type: 'string', default: `${availableParallelism()}` },
    worker: { type: 'boolean', default: false },
    /** Years of a vault, with repair and without. */
    year: { type: 'boolean', default: false },
    objects: { type: 'string', default: '60' },
    days: { type: 'string', default: '365' },
  },
});

/** Most objects die young: room for them saves a tenth of the time. */
const YOUNG_MIB = 32;
/** One in so many seeds is run a second time, by another process where there are several. */
const TWICE = 25;
/** From so many runs on every kind of fault must have fired. */
const ENOUGH_SEEDS = 500;

/** Runs the seeds that it is sent. */
async function work(): Promise<void> {
  await warmUp();
  process.on('message', (seed: number) => {
    void runSeed(seed).then((result) => process.send!(result));
  });
  process.send!('ready');
}

/** Has other processes run the seeds. */
async function share(from: number, seeds: number, take: (result: RunResult) => void): Promise<void> {
  const queue = Array.from({ length: seeds }, (_, i) => from + i);
  queue.push(...queue.filter((_, i) => i % TWICE === 0));
  const serve = (): Promise<void> =>
    new Promise((resolve, reject) => {
      let running: number | undefined;
      const worker: ChildProcess = fork(fileURLToPath(import.meta.url), ['--worker'], {
        execArgv: [`--max-semi-space-size=${YOUNG_MIB}`],
        serialization: 'advanced',
      });
      worker.on('message', (message: 'ready' | RunResult) => {
        if (message !== 'ready') take(message);
        running = queue.shift();
        if (running === undefined) worker.disconnect();
        else worker.send(running);
      });
      worker.on('exit', (code, signal) => {
        if (code === 0 && running === undefined) resolve();
        else reject(new Error(`the process of seed ${running} ended with ${signal ?? code}`));
      });
    });
  await Promise.all(Array.from({ length: Math.min(Number(values.jobs), seeds) }, serve));
}

/** What came of all seeds. */
class Summary {
  failed = 0;
  steps = 0;
  compared = 0;
  virtualMs = 0;
  readonly seen = new Map<string, number>();
  readonly #hashes = new Map<number, string>();

  take(result: RunResult): void {
    const before = this.#hashes.get(result.seed);
    if (before !== undefined) {
      if (before !== result.hash) this.#fail(result.seed, ['its trace was another the second time']);
      return;
    }
    this.steps += result.steps;
    this.compared += result.compared;
    this.virtualMs += result.virtualMs;
    this.#hashes.set(result.seed, result.hash);
    for (const [what, times] of result.seen) this.seen.set(what, (this.seen.get(what) ?? 0) + times);
    if (result.violations.length > 0) this.#fail(result.seed, result.violations);
  }

  #fail(seed: number, violations: readonly string[]): void {
    this.failed++;
    console.log(`seed ${seed}: ${violations.join('\n  ')}`);
  }

  /** The trace's of one seed; of many the hash of theirs, in the order of the seeds. */
  get hash(): string {
    const all = [...this.#hashes].sort(([a], [b]) => a - b).map(([, hash]) => hash);
    return all.length === 1 ? all[0]! : createHash('sha256').update(all.join('\n')).digest('hex');
  }

  /** Why the runs prove nothing. */
  get hollow(): string | undefined {
    const idle = FAULTS.filter((fault) => !this.seen.has(countedAs(fault)));
    const undone = WORK.filter((work) => !this.seen.has(work));
    if (this.compared === 0) return 'nothing was compared';
    if (idle.length === FAULTS.length) return 'no fault fired';
    if (idle.length > 0 && this.#hashes.size >= ENOUGH_SEEDS) return `never fired: ${idle.join(', ')}`;
    if (undone.length > 0 && this.#hashes.size >= ENOUGH_SEEDS) return `never met: ${undone.join(', ')}`;
    return undefined;
  }
}

async function main(): Promise<void> {
  const from = Number(values.from);
  const seeds = Number(values.seeds);
  const summary = new Summary();
  if (seeds === 1) await warmUp();
  const started = performance.now();
  if (seeds === 1) summary.take(await runSeed(from));
  else await share(from, seeds, (result) => summary.take(result));
  const seconds = (performance.now() - started) / 1000;
  const { seen, failed, steps, compared, virtualMs, hollow, hash } = summary;
  for (const [what, times] of seeds > 1 ? [...seen].sort() : []) {
    console.log(`${String(times).padStart(9)} ${what}`);
  }
  console.log(
    `${seeds} seeds from ${from}: ${failed} failed, ${steps} steps, ${compared} compared, ` +
      `${(virtualMs / 3_600_000).toFixed(1)} h of virtual time, ${(seeds / seconds).toFixed(1)} seeds per second`,
  );
  if (hollow !== undefined) console.log(hollow);
  console.log(hash);
  process.exitCode = failed > 0 || hollow !== undefined ? 1 : 0;
}

/** Each seed twice: the same calamities come over a vault that is repaired, and over one that is not. */
async function years(from: number, seeds: number): Promise<void> {
  const of = { objects: Number(values.objects), days: Number(values.days) };
  for (let seed = from; seed < from + seeds; seed++) {
    for (const repaired of [true, false]) {
      const year = await runYear(seed, { ...of, repaired });
      const { deaths, rotten, objects, lost, expected, repairs, bytesRead, bytesRestored, problems } = year;
      console.log(
        `year ${seed} ${repaired ? 'with' : 'without'} repair: ${deaths} providers died, ${rotten} blobs rotted, ` +
          `${repairs} chunks repaired, ${bytesRead} bytes read and ${bytesRestored} written for it, ` +
          `${lost} of ${objects} objects lost, ${expected.toFixed(3)} expected`,
      );
      for (const problem of problems) console.log(`  ${problem}`);
      if (problems.length > 0 || (repaired && expected < 1 && lost > 0)) process.exitCode = 1;
    }
  }
}

if (values.year) await years(Number(values.from), Number(values.seeds));
else await (values.worker ? work() : main());
