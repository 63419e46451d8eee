import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { COMMANDS, killAtCalls, shimmable } from '../../bench/kill-calls-run.ts';
import { SLOW } from '../helpers/cli.ts';

const possible = shimmable();
if (!possible) console.warn('SKIPPED: kills at single calls of the C library (no C compiler, or not Linux)');

describe.skipIf(!possible)('a command that is killed at one of its calls that change a file', () => {
  for (const command of COMMANDS) {
    it(`${command} leaves the old or the new, and no blob that no record knows`, async () => {
      const { calls, killed, failures } = await killAtCalls(command, tmpdir(), SLOW ? 1 : 41);
      expect(failures).toEqual([]);
      expect(calls).toBeGreaterThan(0);
      expect([...killed.values()].reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(Math.floor(calls / 41));
    });
  }
});
