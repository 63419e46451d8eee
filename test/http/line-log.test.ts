import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createLineLog } from '../../src/http/log.ts';
import { deps } from '../node/harness.ts';

/** Takes what is written only when told to. */
function reader(): { to: Writable; lines: () => Record<string, unknown>[]; take(): void } {
  let text = '';
  let waiting: (() => void) | undefined;
  let open = false;
  const to = new Writable({
    decodeStrings: false,
    write(chunk: string, _, done) {
      text += chunk;
      if (open) done();
      else waiting = done;
    },
  });
  return {
    to,
    lines: () =>
      text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
    take() {
      open = true;
      waiting?.();
    },
  };
}

describe('the log of a service', () => {
  it('leaves out events beyond a megabyte that nobody reads, and says how many', async () => {
    const { to, lines, take } = reader();
    const log = createLineLog(to, undefined, deps.clock);
    const filler = 'x'.repeat(10_000);
    for (let i = 0; i < 1000; i++) log.event('warn', 'request_failed', { i, filler });
    expect(to.writableLength).toBeLessThan(1_100_000);
    take();
    await expect.poll(() => to.writableLength).toBe(0);
    log.event('info', 'later', {});
    await expect.poll(() => lines().length).toBeGreaterThan(100);
    const events = lines();
    const kept = events.filter(({ event }) => event === 'request_failed').length;
    expect(events.slice(-2)).toMatchObject([{ event: 'later' }, { dropped_lines: 1000 - kept }]);
  });
});
