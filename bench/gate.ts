/** Fails when a put or a get costs more, beside the kernels' own sum, than it did: `gate.js [--update] [--spread N]`. */
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { inArea } from './area.ts';
import { measureRatios, OPERATIONS, type OperationName, type Ratio, type Ratios } from './gate-measure.ts';
import { columns, median } from './numbers.ts';

const BASELINE = fileURLToPath(new URL('../../bench/baseline.json', import.meta.url));
const ROUNDS = 5;
/** How often a baseline is measured; the median stays for long. */
const UPDATES = 3;
/** What may be added to a ratio. Wall time on a shared machine says less. */
const TOLERANCE: Ratio = { cpu: 0.1, wall: 0.25 };
const KINDS = ['cpu', 'wall'] as const;

/** Ratios of processor time are the same wherever; those of wall time go with the number of cores. */
interface Baseline {
  readonly cores: number;
  readonly ratios: Ratios;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { update: { type: 'boolean', default: false }, spread: { type: 'string' } },
  });
  if (values.spread !== undefined) return spread(Number(values.spread));
  const started = performance.now();
  const ratios = values.update ? await measuredOften(UPDATES) : await measured();
  if (values.update) {
    const baseline: Baseline = { cores: availableParallelism(), ratios: rounded(ratios) };
    await writeFile(BASELINE, `${JSON.stringify(baseline, null, 2)}\n`);
  }
  const baseline = JSON.parse(await readFile(BASELINE, 'utf8')) as Baseline;
  const worse = compare(ratios, baseline);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stdout.write(
    `${values.update ? UPDATES * ROUNDS : ROUNDS} rounds in ${seconds} s, load ${loadavg()[0]!.toFixed(1)} at the end\n`,
  );
  for (const line of worse) process.stderr.write(`WORSE: ${line}\n`);
  if (worse.length > 0) process.exitCode = 1;
}

async function measuredOften(times: number): Promise<Ratios> {
  const all: Ratios[] = [];
  for (let i = 0; i < times; i++) all.push(await measured());
  const middle = (operation: OperationName, kind: keyof Ratio): number =>
    median(all.map((ratios) => ratios[operation][kind]));
  const entries = OPERATIONS.map((operation) => [
    operation,
    { cpu: middle(operation, 'cpu'), wall: middle(operation, 'wall') },
  ]);
  return Object.fromEntries(entries) as Ratios;
}

function measured(): Promise<Ratios> {
  const say = (text: string): void => void (process.stderr.isTTY && process.stderr.write(`  ${text}\n`));
  return inArea(undefined, (area) => measureRatios(area, ROUNDS, say));
}

/** Prints all ratios beside the baseline's. @returns one line for each that is worse than may be. */
function compare(ratios: Ratios, baseline: Baseline): string[] {
  const sameCores = baseline.cores === availableParallelism();
  const worse: string[] = [];
  const rows = OPERATIONS.map((operation) => {
    const cells = KINDS.flatMap((kind) => {
      const [now, before] = [ratios[operation][kind], baseline.ratios[operation][kind]];
      const change = now / before - 1;
      const counts = kind === 'cpu' || sameCores;
      if (counts && change > TOLERANCE[kind]) {
        worse.push(
          `${operation}, ${kind === 'cpu' ? 'processor' : 'wall'} time: ${now.toFixed(2)} times the kernels, ` +
            `the baseline is ${before.toFixed(2)}; at most ${percent(TOLERANCE[kind])} is let pass`,
        );
      }
      return [now.toFixed(2), before.toFixed(2), counts ? percent(change) : 'other cores'];
    });
    return [operation, ...cells];
  });
  const head = ['times the kernels', 'CPU', 'baseline', '', 'wall', 'baseline', ''];
  process.stdout.write(`${columns([head, ...rows])}\n`);
  return worse;
}

/** How sure it is: measures so many times and prints the range of each ratio. */
async function spread(times: number): Promise<void> {
  const all: Ratios[] = [];
  for (let i = 0; i < times; i++) {
    all.push(await measured());
    process.stderr.write(`${i + 1} of ${times}: ${JSON.stringify(rounded(all[i]!))}\n`);
  }
  const rows = OPERATIONS.map((operation) => [
    operation,
    ...KINDS.flatMap((kind) => {
      const values = all.map((ratios) => ratios[operation][kind]).sort((a, b) => a - b);
      const [least, middle, most] = [values[0]!, values[values.length >> 1]!, values.at(-1)!];
      return [least.toFixed(2), middle.toFixed(2), most.toFixed(2), percent(most / middle - 1)];
    }),
  ]);
  const head = ['times the kernels', 'CPU least', 'median', 'most', '', 'wall least', 'median', 'most', ''];
  process.stdout.write(`${columns([head, ...rows])}\n`);
}

const percent = (share: number): string => `${share < 0 ? '' : '+'}${(100 * share).toFixed(0)} %`;

function rounded(ratios: Ratios): Ratios {
  const entries = Object.entries(ratios).map(([operation, { cpu, wall }]) => [
    operation,
    { cpu: Number(cpu.toFixed(3)), wall: Number(wall.toFixed(3)) },
  ]);
  return Object.fromEntries(entries) as Ratios;
}

await main();
