import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { shimIn } from '../../bench/faults-run.ts';
import { COMMANDS, killAtCalls } from '../../bench/kill-calls-run.ts';
import { mulberry } from '../../bench/kill-vaults.ts';
import { drawn, every } from '../../bench/strikes.ts';
import { absent } from '../helpers/absent.ts';
import { SLOW } from '../helpers/cli.ts';

/** Calls of a command that are struck where not all are; others each time. */
const STRUCK = 4;

const tried = mkdtempSync(join(tmpdir(), 'holdfast-shim-'));
const shim = shimIn(tried);
rmSync(tried, { recursive: true });
if ('why' in shim) absent(shim.why, 'kills at single system calls');

describe.skipIf('why' in shim)('a command that is killed at one of its calls that change a file', () => {
  for (const command of COMMANDS) {
    it(`${command} leaves the old or the new, and no blob that no record knows`, async () => {
      const seed = Date.now() % 1_000_000;
      const choose = SLOW ? every(1) : drawn(STRUCK, mulberry(seed));
      const { calls, killed, failures } = await killAtCalls(command, tmpdir(), choose);
      console.log(`kills at calls: ${command}, seed ${seed}, of ${calls}: ${[...killed].join(' ')}`);
      expect(failures).toEqual([]);
      expect(calls).toBeGreaterThan(0);
      // How many calls a run makes depends on who was late in it.
      const sum = [...killed.values()].reduce((a, b) => a + b, 0);
      expect(sum).toBeGreaterThanOrEqual((SLOW ? calls : STRUCK) / 2);
    });
  }
});
