import { expect, it } from 'vitest';
import { createAdmission } from '../../src/http/admission.ts';
import type { HttpProblem } from '../../src/http/problem.ts';
import { createTransferAllowance } from '../../src/http/slow-peers.ts';
import { silentMetrics } from '../../src/telemetry/index.ts';
import { FakeClock } from '../helpers/fake-clock.ts';

const LIMITS = { graceMs: 15_000, minBytesPerSecond: 16 * 1024 };

it('a peer that moves a byte now and then has the grace once, not each time', async () => {
  const clock = new FakeClock();
  const allowance = createTransferAllowance(clock, LIMITS);
  let outcome = 'waiting';
  const drip = async (): Promise<void> => {
    for (;;) {
      await allowance.wait(clock.sleep(1_000));
      allowance.moved(1);
    }
  };
  drip().catch((error: { code: string }) => {
    outcome = error.code;
  });
  await clock.advance(14_900);
  expect(outcome).toBe('waiting');
  await clock.advance(1_100);
  expect(outcome).toBe('peer_too_slow');
});

it('every 16 KiB that moved are worth another second', async () => {
  const clock = new FakeClock();
  const allowance = createTransferAllowance(clock, LIMITS);
  allowance.moved(10 * 16 * 1024);
  let outcome = 'waiting';
  allowance.wait(new Promise(() => {})).catch((error: { code: string }) => {
    outcome = error.code;
  });
  await clock.advance(24_999);
  expect(outcome).toBe('waiting');
  await clock.advance(1);
  expect(outcome).toBe('peer_too_slow');
});

it('Retry-After is as long as the rate needs, in whole seconds', () => {
  const clock = new FakeClock();
  const limits = { maxInflight: 10, maxRps: undefined, maxClientRps: 0.25 };
  const admission = createAdmission(limits, { clock, metrics: silentMetrics.services });
  admission.enter('read', 'c');
  admission.enter('read', 'c');
  const refused = (): HttpProblem | undefined => {
    try {
      admission.enter('read', 'c');
      return undefined;
    } catch (error) {
      return error as HttpProblem;
    }
  };
  expect(refused()).toMatchObject({ status: 429, headers: { 'retry-after': '4' } });
});
