import { runSeed } from '../run.ts';
import { isHarmed } from '../tending.ts';

/**
 * Runs seeds until one fails with something else than `known`, and says a line of JSON for each: in a process of its own,
 * for a bug may end it.
 */
const [from, seeds, mostMs] = process.argv.slice(2, 5).map(Number) as [number, number, number];
const known = process.argv[5] ?? '';
/** Only runs with something for repair to do. */
const harmed = process.argv[6] === 'harmed';

/** What is loaded late is loaded before any run counts. */
for (let seed = 0; seed < 3; seed++) await runSeed(-1 - seed);

const before = process.cpuUsage();
const spentMs = (): number => {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
};
for (let seed = from; seed < from + seeds && spentMs() < mostMs; seed++) {
  if (harmed && !isHarmed(seed)) continue;
  console.log(JSON.stringify({ seed, ms: spentMs(), violations: [] }));
  const found = (await runSeed(seed)).violations;
  const violations = found.filter((what) => known === '' || !what.startsWith(known));
  if (violations.length === 0) continue;
  console.log(JSON.stringify({ seed, ms: spentMs(), violations }));
  break;
}
