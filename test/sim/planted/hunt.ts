import { runSeed } from '../run.ts';

/** Runs seeds until one fails, and says a line of JSON for each: in a process of its own, for a bug may end it. */
const [from, seeds, mostMs] = process.argv.slice(2).map(Number) as [number, number, number];

/** What is loaded late is loaded before any run counts. */
for (let seed = 0; seed < 3; seed++) await runSeed(-1 - seed);

const before = process.cpuUsage();
const spentMs = (): number => {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
};
for (let seed = from; seed < from + seeds && spentMs() < mostMs; seed++) {
  console.log(JSON.stringify({ seed, ms: spentMs(), violations: [] }));
  const { violations } = await runSeed(seed);
  if (violations.length === 0) continue;
  console.log(JSON.stringify({ seed, ms: spentMs(), violations }));
  break;
}
