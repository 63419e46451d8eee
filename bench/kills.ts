// Kills processes at random instants of their work: npm run kills -- --count 10000 --seed 1 [--phase commit]
// [--vaults 4] [--folder /dev/shm] [--minutes 30]
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { OPERATIONS, PHASES, runKills, total } from './kill-run.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    phase: { type: 'string' },
    vaults: { type: 'string', default: '4' },
    folder: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
    minutes: { type: 'string' },
  },
});

const started = performance.now();
const report = await runKills({
  count: Number(values.count),
  seed: Number(values.seed),
  folder: values.folder,
  vaults: Number(values.vaults),
  phase: values.phase,
  stopAfterMs: values.minutes === undefined ? undefined : Number(values.minutes) * 60_000,
});
const seconds = (performance.now() - started) / 1000;

console.log(
  `seed ${values.seed}, ${values.folder}: ${report.kills} kills struck ${report.struck} operations`,
);
for (const op of OPERATIONS) {
  const phases = report.counts.get(op);
  const parts = PHASES.filter((phase) => phases?.has(phase)).map((phase) => `${phase} ${phases?.get(phase)}`);
  console.log(`  ${op.padEnd(10)} ${String(total(phases)).padStart(6)}  ${parts.join(', ')}`);
}
console.log(
  `  ${report.reads} reads checked, providers emptied ${report.emptied} times, ${seconds.toFixed(0)} s`,
);
for (const failure of report.failures) console.error(`FAILED ${failure}`);
if (report.failures.length > 0) process.exitCode = 1;
