import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { COMMANDS, killAtCalls, traceable } from '../../bench/kill-calls-run.ts';
import { SLOW } from '../helpers/cli.ts';

const possible = traceable();
if (!possible) console.warn('SKIPPED: kills at single system calls (strace is not there or not permitted)');

describe.skipIf(!possible)('a command that is killed at one of its system calls', () => {
  for (const command of COMMANDS) {
    it(`${command} leaves the old or the new, and no blob that no record knows`, async () => {
      const { places, killed, failures } = await killAtCalls(command, tmpdir(), SLOW ? 1 : 60);
      expect(failures).toEqual([]);
      expect(places).toBeGreaterThan(0);
      expect([...killed.values()].reduce((a, b) => a + b, 0)).toBeGreaterThan(0);
    });
  }
});
