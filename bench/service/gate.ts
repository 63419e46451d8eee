/**
 * Fails when the service got slower beside a plain server than it was:
 * `gate.js [--update] [--planted [NAME…]] [--only PHASE,…] [--rounds N] [--slice MS] [--program main.js]`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { inArea } from '../area.ts';
import { COMMAND } from '../holdfast.ts';
import { type Baseline, baselineOf, compare, type Finding } from './compare.ts';
import { type Measured, measureService } from './measure.ts';
import { PHASES, type PhaseName } from './phases.ts';
import { buildPlanted, PLANTED } from './planted.ts';

const BASELINE = fileURLToPath(new URL('../../../bench/service/baseline.json', import.meta.url));
/** How often a baseline is measured: how far the runs are apart is what a run may be off by. */
const UPDATES = 3;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    update: { type: 'boolean', default: false },
    planted: { type: 'boolean', default: false },
    only: { type: 'string', default: PHASES.join(',') },
    rounds: { type: 'string', default: '20' },
    slice: { type: 'string', default: '150' },
    program: { type: 'string', default: COMMAND },
  },
});

async function main(): Promise<void> {
  const started = performance.now();
  if (values.update) await update();
  const baseline = JSON.parse(await readFile(BASELINE, 'utf8')) as Baseline;
  if (values.planted) await planted(baseline);
  else if (!(await gate(baseline, values.program))) process.exitCode = 1;
  process.stdout.write(`${((performance.now() - started) / 1000).toFixed(0)} s\n`);
}

async function update(): Promise<void> {
  const runs: Measured[] = [];
  for (let i = 0; i < UPDATES; i++) runs.push(await measured(values.program));
  await writeFile(BASELINE, `${JSON.stringify(baselineOf(runs), null, 2)}\n`);
}

/** What is worse is measured once more, by itself: what else the machine did then hardly does so twice. */
async function gate(baseline: Baseline, program: string): Promise<boolean> {
  const first = compare(await measured(program), baseline);
  process.stdout.write(`${first.table}\n`);
  if (first.worse.length === 0) return true;
  const worst = first.worse.map(({ phase }) => phase);
  // What a gateway needs of memory is measured by what a plain server needs for long bodies.
  const phases = [...new Set([...worst, ...(worst.includes('decoded') ? (['long'] as const) : [])])];
  const again = compare(await measured(program, phases), baseline);
  const worse = again.worse.filter((one) => first.worse.some((other) => same(one, other)));
  if (worse.length > 0) process.stdout.write(`again\n${again.table}\n`);
  for (const { text } of worse) process.stderr.write(`WORSE: ${text}\n`);
  return worse.length === 0;
}

const same = (a: Finding, b: Finding): boolean => a.phase === b.phase && a.kind === b.kind;

/** The gate must see each of these slowdowns. */
async function planted(baseline: Baseline): Promise<void> {
  const names = positionals.length > 0 ? positionals : Object.keys(PLANTED);
  const missed: string[] = [];
  for (const name of names) {
    process.stdout.write(`\n== planted: ${name}\n`);
    const program = await buildPlanted(name);
    const green = await gate(baseline, program);
    process.stdout.write(`planted: ${name}: ${green ? 'GREEN, it was missed' : 'RED, it was seen'}\n`);
    if (green) missed.push(name);
  }
  process.stdout.write(`\n${names.length - missed.length} of ${names.length} planted slowdowns were seen\n`);
  if (missed.length > 0) process.exitCode = 1;
}

function measured(
  program: string,
  only: readonly PhaseName[] = PHASES.filter((phase) => values.only.split(',').includes(phase)),
): Promise<Measured> {
  const say = (text: string): void => void (process.stderr.isTTY && process.stderr.write(`  ${text}\n`));
  return inArea(undefined, ({ dir }) =>
    measureService({
      ...{ program, only, say, dir: join(dir) },
      rounds: Number(values.rounds),
      sliceMs: Number(values.slice),
    }),
  );
}

await main();
// Sockets and timers of what was killed keep nothing waiting.
process.exit();
