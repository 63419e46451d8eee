import { getMaxListeners } from 'node:events';
import { expect, it } from 'vitest';
import { recordedTime, systemClock, withDeadline } from '../../src/core/clock.ts';

const at = (now: number): number => recordedTime({ ...systemClock, now: () => now });

it('the time as records keep it is whole, and from 1970 to 5138', () => {
  for (const now of [0, 1, Date.now(), 99_999_999_999_999]) expect(at(now)).toBe(now);
  expect(at(1234.9)).toBe(1234);
  expect(Object.is(at(-0), 0)).toBe(true);
  const never = [
    -1,
    -86_400_000,
    253_402_300_800_000,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ];
  for (const now of never) {
    expect(() => at(now)).toThrow(
      expect.objectContaining({ kind: 'ConfigInvalid', code: 'clock_implausible' }),
    );
  }
});

it('as many may listen to a deadline as an operation has requests in flight', async () => {
  const most = await withDeadline(systemClock, 60_000, 'asking', async (signal) => getMaxListeners(signal));
  expect(most).toBeGreaterThan(1_000);
});
