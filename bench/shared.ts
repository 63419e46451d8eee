// Kills processes that share a vault on PostgreSQL, and the server under them:
//   npm run kills:postgres -- [--minutes 10] [--every 4000] [--seed 1]
// Three gateways, two daemons and two writers; what each saw is judged by the checker of linearizable.ts.
import { parseArgs } from 'node:util';
import { killShared } from './shared-kills.ts';
import { putsLine } from './shared-puts.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    every: { type: 'string', default: '4000' },
    seed: { type: 'string', default: '1' },
  },
});

const report = await killShared({
  seconds: Number(values.minutes) * 60,
  killEveryMs: Number(values.every),
  seed: Number(values.seed),
  say: (text) => console.error(text),
});
const { kills, restarts, operations, pending, anomalies, undecided, lost, repaired, repairedTwice } = report;
console.log(`${kills} processes killed, the server started again ${restarts} times, seed ${values.seed}`);
console.log(`  ${operations} operations on names and slots, ${pending} of them of unknown end`);
console.log(
  `  ${anomalies.length} anomalies, ${undecided.length} registers undecided, ${lost.length} objects lost`,
);
console.log(`  ${repaired} chunks repaired, ${repairedTwice.length} of them more than once`);
console.log(`  ${report.claimsPerSecond} claims/s in batches of 500`);
for (const puts of report.puts) console.log(`  ${putsLine(puts)}`);
for (const [why, count] of [...report.failed].toSorted(([, a], [, b]) => b - a).slice(0, 12))
  console.log(`  ${String(count).padStart(6)} failed: ${why}`);
for (const what of [...anomalies.map((name) => `anomaly in ${name}`), ...lost, ...repairedTwice])
  console.error(`FAILED ${what}`);
if (anomalies.length + undecided.length + lost.length + repairedTwice.length > 0) process.exitCode = 1;
