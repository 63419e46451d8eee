import { expect, it } from 'vitest';
import { Keeper } from '../../src/cli/agent/keeper.ts';
import type { VaultSubkeys } from '../../src/keys/derivation.ts';

const HOUR = 3_600_000;

/** A keeper of keys for an hour, and clocks that the test moves. */
function keeper() {
  const key = (): Uint8Array => new Uint8Array(32).fill(7);
  const keys: VaultSubkeys = { id: 'a', wrap: key(), pointer: key(), name: key(), slot: key() };
  const time = { ms: 1000, wallMs: 1_700_000_000_000 };
  const clock = { monotonic: () => time.ms, now: () => time.wallMs };
  const kept = new Keeper(keys, HOUR, clock);
  /** Looks every ten seconds, as the agent does. @returns whether the keys are held at the end. */
  const pass = (ms: number, wallMs = ms): boolean => {
    const looks = Math.ceil(ms / 10_000);
    for (let look = 0; look < looks; look++) {
      time.ms += ms / looks;
      time.wallMs += wallMs / looks;
      kept.held();
    }
    return kept.held() !== undefined;
  };
  return { kept, keys, time, pass };
}

it('holds the keys for their time, and then wipes them', () => {
  const { kept, keys, pass } = keeper();
  expect(pass(HOUR - 10_000)).toBe(true);
  expect(kept.leftMs()).toBeCloseTo(10_000, 3);
  expect(pass(10_001)).toBe(false);
  for (const key of [keys.wrap, keys.pointer, keys.name, keys.slot]) expect([...new Set(key)]).toEqual([0]);
});

it('forgets when the machine has slept: the wall clock went on and the monotonic one did not', () => {
  const { kept, time, pass } = keeper();
  expect(pass(60_000)).toBe(true);
  time.wallMs += 30_000;
  expect(kept.held()).toBeUndefined();
});

it('forgets where the monotonic clock counts sleep too, and when the process itself was stopped', () => {
  const { kept, time, pass } = keeper();
  expect(pass(60_000)).toBe(true);
  time.ms += 120_000;
  time.wallMs += 120_000;
  expect(kept.held()).toBeUndefined();
});

it('takes a clock that is set or drifts for what it is', () => {
  const drifting = keeper();
  expect(drifting.pass(HOUR / 2, (HOUR / 2) * 1.01)).toBe(true);
  const back = keeper();
  back.time.wallMs -= 10 * HOUR;
  expect(back.pass(HOUR - 10_000)).toBe(true);
  expect(back.pass(10_001)).toBe(false);
});
