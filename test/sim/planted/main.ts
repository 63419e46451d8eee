import { spawn, spawnSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { runSeed } from '../run.ts';
import type { PlantedBug } from './bug.ts';
import { PLANTED } from './bugs.ts';
import { misfits, plant } from './plant.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    /** Of the processor, at most so many for each bug. */
    seconds: { type: 'string', default: '150' },
    /** What begins so does not count, where it comes without any bug too. */
    except: { type: 'string', default: '' },
    /** Only seeds in which something comes over a provider, and workers look after it. */
    harmed: { type: 'boolean', default: false },
    /** Only these, by comma. */
    only: { type: 'string' },
  },
});
const ROOT = process.cwd();
const FROM = Number(values.from);
const END = FROM + Number(values.seeds);
const MOST_MS = Number(values.seconds) * 1_000;
const HUNG_FACTOR = 20;
/** Of what was violated so much is said. */
const LONGEST = 70;

interface Hunted {
  /** The last seed that was begun. */
  readonly seed: number;
  /** Empty: that seed did not fail, but time or seeds were over. */
  readonly violations: readonly string[];
  /** Of the processor: others may be at work on the machine. */
  readonly ms: number;
}

/** From a seed on, until one fails or the time is over. */
async function hunt(at: string, from: number, mostMs: number): Promise<Hunted> {
  const main = join(at, 'dist-sim/test/sim/planted/hunt.js');
  const args = [from, END - from, mostMs, values.except, values.harmed ? 'harmed' : ''].map(String);
  const child = spawn(process.execPath, ['--max-semi-space-size=32', main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // A seed that comes to no end has failed.
  const timer = setTimeout(() => child.kill('SIGKILL'), HUNG_FACTOR * MOST_MS);
  let last: Hunted = { seed: from, violations: [], ms: 0 };
  let said = '';
  child.stderr.on('data', (data) => {
    said = (said + data).slice(-2_000);
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  for await (const line of createInterface({ input: child.stdout })) last = JSON.parse(line) as Hunted;
  const code = await ended;
  clearTimeout(timer);
  if (code === 0) return last;
  const why = said.split('\n').find((line) => /Error/.test(line)) ?? 'it came to no end';
  return { ...last, violations: [`the process ended: ${why}`] };
}

let isWarm = false;

async function holdsWithout(seed: number): Promise<boolean> {
  // What is loaded late is loaded before any run counts.
  for (let before = 1; before <= 3 && !isWarm; before++) await runSeed(-before);
  isWarm = true;
  return (await runSeed(seed)).violations.length === 0;
}

/** A seed counts only if it does not fail without the bug. */
async function look(bug: PlantedBug): Promise<string> {
  const wrong = await misfits(ROOT, bug);
  if (wrong.length > 0) return `does not fit: ${wrong.join('; ')}`;
  const at = join(ROOT, 'dist-sim/planted', bug.id);
  await plant(ROOT, at, bug);
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  const built = spawnSync(tsc, ['-p', 'tsconfig.sim.json', '--noCheck'], { cwd: at, encoding: 'utf8' });
  if (built.status !== 0) return `does not build: ${built.stdout.split('\n')[0]}`;
  let ms = 0;
  let seed = FROM;
  while (seed < END && ms < MOST_MS) {
    const found = await hunt(at, seed, MOST_MS - ms);
    seed = found.seed;
    ms += found.ms;
    // Time or seeds are over.
    if (found.violations.length === 0) break;
    if (await holdsWithout(seed)) {
      await rm(at, { recursive: true, force: true });
      return `${seed} | ${(ms / 1_000).toFixed(0)} s | ${found.violations[0]!.slice(0, LONGEST)}`;
    }
    seed++;
  }
  return `not caught | ${(ms / 1_000).toFixed(0)} s | up to seed ${seed}`;
}

const chosen = values.only?.split(',');
let caught = 0;
let tried = 0;
for (const bug of PLANTED) {
  if (chosen !== undefined && !chosen.includes(bug.id)) continue;
  const result = await look(bug);
  console.log(`| ${bug.id} | ${bug.what} | ${result} |`);
  tried++;
  if (/^\d/.test(result)) caught++;
}
console.log(`${caught} of ${tried} planted bugs were caught`);
process.exitCode = caught === tried ? 0 : 1;
