import { damagesOf, makeFixture, tryDamaged } from '../test/helpers/damaged-records.ts';
import { mulberry } from './kill-vaults.ts';

export interface RecordsRun {
  readonly seed: number;
  /** Of so many parts which one, from 0, for several processes. */
  readonly part: number;
  readonly parts: number;
  /** Only records of this table. */
  readonly table?: string | undefined;
  /** As many trials at the most. */
  readonly most: number;
}

const TELL_EVERY = 250;

/**
 * Damages one record of the state after the other, cut off at each length and with a bit of each byte flipped, in an order
 * that the seed draws. @returns how many trials failed.
 */
export async function damageRecords({ seed, part, parts, table: only, most }: RecordsRun): Promise<number> {
  const fixture = await makeFixture();
  const random = mulberry(seed);
  const all = damagesOf(fixture, random)
    .filter(({ record }) => only === undefined || record.table === only)
    .map((damaged) => ({ damaged, at: random() }));
  const mine = all.sort((a, b) => a.at - b.at).filter((_, nth) => nth % parts === part);
  const kinds = new Map<string, number>();
  const started = performance.now();
  let [done, failed] = [0, 0];
  const count = (what: string): void => void kinds.set(what, (kinds.get(what) ?? 0) + 1);
  for (const { damaged } of mine.slice(0, most)) {
    const { table, key } = damaged.record;
    const { kind } = damaged.damage;
    const { wrong, said } = await tryDamaged(fixture, damaged);
    count(`${table}, ${kind}`);
    for (const code of new Set([...said].map((each) => each.slice(each.lastIndexOf(': ') + 2))))
      count(`${table}, ${kind}: ${code}`);
    if (wrong.length > 0) failed++;
    for (const each of wrong)
      console.error(`FAILED ${table} ${key} ${JSON.stringify(damaged.damage)}: ${each}`);
    if (++done % TELL_EVERY === 0) console.log(`${done} of ${mine.length}, ${failed} failed`);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(
    `${done} of ${all.length} damages to records tried, ${failed} failed, ${seconds} s, seed ${seed}`,
  );
  for (const kind of [...kinds.keys()].sort())
    console.log(`  ${String(kinds.get(kind)).padStart(6)}  ${kind}`);
  return failed;
}
