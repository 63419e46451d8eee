// Kills processes at random instants of their work: npm run kills -- --count 10000 --seed 1 [--vaults 12]
// [--folder /dev/shm] [--minutes 30] [--repairs]: then a provider loses what it held and others are left,
// and what is counted is repair, scrub, evacuate, replace and gc, beside puts and removals.
// --receipts: gateways that write down reads, close hours and settle them, at --count instants and, where there is a C
// compiler, before every --step-th call that changes a file; --step 0 leaves those out
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { killReceipts, killReceiptsAtCalls, type ReceiptKills } from './kill-receipts.ts';
import { runKills } from './kill-run.ts';
import { OPERATIONS, PHASES, REPAIR_OPERATIONS, struckAt, struckIn, UPKEEP } from './kill-vaults.ts';
import { every } from './strikes.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    vaults: { type: 'string', default: '12' },
    folder: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
    minutes: { type: 'string' },
    repairs: { type: 'boolean', default: false },
    receipts: { type: 'boolean', default: false },
    step: { type: 'string', default: '1' },
  },
});

const TELL_EVERY_MS = 60_000;
const count = Number(values.count);
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
const started = performance.now();
let told = started;

const secondsNow = (): number => (performance.now() - started) / 1000;
async function ofReceipts(): Promise<void> {
  const [seed, step] = [Number(values.seed), Number(values.step)];
  if (step > 0) {
    const { calls, torn, struck, ...rest } = await killReceiptsAtCalls(values.folder, every(step));
    const parts = [...struck].map(([kind, times]) => `${kind} ${times}`).join(', ');
    console.log(
      `receipts: killed before and in calls 1 to ${calls} that change a file (${parts}), ${torn} of them torn`,
    );
    show(rest);
  }
  const report = await killReceipts({
    ...{ count, seed, folder: values.folder, signal: stop.signal },
    onKill: ({ kills }) => {
      if (performance.now() - told < TELL_EVERY_MS) return;
      told = performance.now();
      console.error(`${secondsNow().toFixed(0)} s: ${kills} kills`);
    },
  });
  const after = [...report.after].map(([what, times]) => `${what} ${times}`).join(', ');
  console.log(`receipts: seed ${seed}, killed at random instants; what was said last: ${after}`);
  show(report);
}

function show({ kills, whole, homes, taken, books, failures }: ReceiptKills): void {
  console.log(
    `  ${kills} processes killed in ${homes} homes, ${whole} came to their end, ${secondsNow().toFixed(0)} s`,
  );
  console.log(`  ${taken} reads acknowledged, none lost or twice; debits equal credits after each kill`);
  if (books !== undefined) {
    console.log(
      `  in the last of them ${books.roots} roots, ${books.finals} finals, ${books.credits} credits`,
    );
    for (const [account, bytes] of books.balances) console.log(`  ${account.padEnd(14)} ${bytes}`);
  }
  for (const failure of failures) console.error(`FAILED ${failure}`);
  if (failures.length > 0) process.exitCode = 1;
}

async function ofVaults(): Promise<void> {
  const report = await runKills({
    count,
    balanced: true,
    repairs: values.repairs,
    signal: stop.signal,
    seed: Number(values.seed),
    folder: values.folder,
    vaults: Number(values.vaults),
    stopAfterMs: values.minutes === undefined ? undefined : Number(values.minutes) * 60_000,
    onRound: ({ struck, kills }) => {
      if (performance.now() - told < TELL_EVERY_MS) return;
      told = performance.now();
      console.error(`${((told - started) / 1000).toFixed(0)} s: ${kills} kills struck ${struck} operations`);
    },
  });
  const seconds = secondsNow();

  const { kills, struck, programs, opening, done, outlived, reads, failures } = report;
  const { harmed, mended, moved, refused, certified, emptied, scrubbed, late } = report;
  console.log(
    `seed ${values.seed}: ${kills} processes killed, ${struck} operations struck, ${seconds.toFixed(0)} s`,
  );
  const operations = values.repairs ? REPAIR_OPERATIONS : OPERATIONS;
  for (const op of operations) console.log(`  ${op.padEnd(10)} ${String(struckIn(report, op)).padStart(6)}`);
  if (values.repairs) {
    const struck = UPKEEP.reduce((sum, op) => sum + struckIn(report, op), 0);
    console.log(`  ${struck} of them in ${UPKEEP.join(', ')}`);
  }
  console.log(`  phases of puts: ${PHASES.map((phase) => `${phase} ${struckAt(report, phase)}`).join(', ')}`);
  console.log(`  ${programs} of the operations were commands of the program`);
  console.log(`  ${opening} vaults struck while they were opened; ${done} operations ended well`);
  if (values.repairs) {
    console.log(`  a provider harmed ${harmed} times, all repaired ${mended} times`);
    console.log(`  ${moved} shards moved from providers that were left, ${refused} segments refused`);
    console.log(`  ${certified} certificates compared with what was certified at the put`);
  }
  console.log(`  ${outlived} of them in a process beside a killed one; ${reads} reads checked`);
  console.log(
    `  vaults emptied ${emptied} times; ${scrubbed} blobs found only by the scrub, ${late} commands repeated`,
  );
  const short = [
    ...(values.repairs ? UPKEEP : OPERATIONS).filter((op) => struckIn(report, op) < count / 10),
    ...PHASES.filter((phase) => !values.repairs && struckAt(report, phase) < count / 100),
  ];
  if (short.length > 0) console.error(`too few strikes of ${short.join(', ')}`);
  for (const failure of failures) console.error(`FAILED ${failure}`);
  if (failures.length > 0 || short.length > 0) process.exitCode = 1;
}

await (values.receipts ? ofReceipts() : ofVaults());
