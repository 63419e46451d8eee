// Lets every write, flush, rename and unlink of a put, an overwrite, a rm, a gc and a recover fail, each in turn, and looks
// what is left: npm run faults -- [--step 1] [--from 0] [--only put] [--disk home] [--fault EIO] [--folder /dev/shm].
// Needs Linux and a C compiler. Or damages every record of a state: npm run faults -- --records [--table journal]
// [--part 0] [--parts 1] [--most 1000] [--seed 1].
import { parseArgs } from 'node:util';
import { COMMANDS, DISKS, FAULTS, FaultBench } from './faults-run.ts';
import { every } from './strikes.ts';

const { values } = parseArgs({
  options: {
    step: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    only: { type: 'string' },
    disk: { type: 'string' },
    fault: { type: 'string' },
    folder: { type: 'string' },
    records: { type: 'boolean', default: false },
    table: { type: 'string' },
    part: { type: 'string', default: '0' },
    parts: { type: 'string', default: '1' },
    most: { type: 'string', default: 'Infinity' },
    seed: { type: 'string', default: '1' },
  },
});
const chosen = <T extends string>(all: readonly T[], one: string | undefined): readonly T[] =>
  all.filter((each) => one === undefined || each === one);
const listed = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([what, times]) => `${what} ${times}`).join(', ');

if (values.records) {
  const { damageRecords } = await import('./record-damage.ts');
  const [seed, part, parts] = [Number(values.seed), Number(values.part), Number(values.parts)];
  const run = { seed, part, parts, table: values.table, most: Number(values.most) };
  if ((await damageRecords(run)) > 0) process.exitCode = 1;
} else await strikeCalls();

async function strikeCalls(): Promise<void> {
  const bench = await FaultBench.create(values.folder);
  const kinds = new Map<string, number>();
  let strikes = 0;
  let failed = 0;
  try {
    for (const command of chosen(COMMANDS, values.only))
      for (const disk of chosen(DISKS, values.disk))
        for (const fault of chosen(FAULTS, values.fault)) {
          const started = performance.now();
          const series = { command, disk, fault };
          const report = await bench.run(series, every(Number(values.step), Number(values.from) + 1));
          const sum = [...report.struck.values()].reduce((a, b) => a + b, 0);
          const seconds = ((performance.now() - started) / 1000).toFixed(0);
          console.log(
            `${command}, ${disk}, ${fault}: ${report.calls} calls, struck at ${sum}, ${report.spared} not reached: ${listed(report.said)}; ${report.failures.length} failures, ${seconds} s`,
          );
          for (const [kind, times] of report.struck) kinds.set(kind, (kinds.get(kind) ?? 0) + times);
          for (const failure of report.failures) console.error(`FAILED ${failure}`);
          strikes += sum;
          failed += report.failures.length;
        }
  } finally {
    await bench.remove();
  }
  console.log(`${strikes} calls struck, ${failed} failures, by kind of call and file:`);
  for (const kind of [...kinds.keys()].sort())
    console.log(`  ${String(kinds.get(kind)).padStart(6)}  ${kind}`);
  if (failed > 0) process.exitCode = 1;
}
