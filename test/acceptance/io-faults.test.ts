import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS, type Disk, type Fault, FaultBench, shimIn } from '../../bench/faults-run.ts';
import { mulberry } from '../../bench/kill-vaults.ts';
import { drawn } from '../../bench/strikes.ts';
import { absent } from '../helpers/absent.ts';
import { SLOW } from '../helpers/cli.ts';

const tried = mkdtempSync(join(tmpdir(), 'holdfast-shim-'));
const shim = shimIn(tried);
rmSync(tried, { recursive: true });
if ('why' in shim) absent(shim.why, 'failing system calls');

const SERIES: readonly (readonly [Disk, Fault])[] = [
  ['home', 'EIO'],
  ['providers', 'ENOSPC lasting'],
];
/** Calls of each series that are struck, others each time; of thousands in all. `npm run faults` strikes all. */
const STRUCK = SLOW ? 40 : 2;

describe.skipIf('why' in shim)('a failing write, flush, rename or unlink', () => {
  it.each(COMMANDS)(
    'of a %s: a typed error or success, the old or the new, nothing left',
    async (command) => {
      const bench = await FaultBench.create(tmpdir());
      const seed = Date.now() % 1_000_000;
      console.log(`faults of calls: ${command}, seed ${seed}`);
      const random = mulberry(seed);
      let struck = 0;
      try {
        for (const [disk, fault] of SERIES) {
          const report = await bench.run({ command, disk, fault }, drawn(STRUCK, random));
          expect(report.failures).toEqual([]);
          for (const times of report.struck.values()) struck += times;
        }
      } finally {
        await bench.remove();
      }
      expect(struck).toBeGreaterThan(SERIES.length);
    },
    900_000,
  );
});
