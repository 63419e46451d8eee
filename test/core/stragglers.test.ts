import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/core/errors.ts';
import { type Attempt, createHedge } from '../../src/core/hedge.ts';
import { lateAfterMs, type StragglerPolicy } from '../../src/core/stragglers.ts';
import { FakeClock } from '../helpers/fake-clock.ts';

const POLICY: StragglerPolicy = { floorMs: 100, factor: 3, quorum: 0.5 };

describe('who is late', () => {
  it('is told by what others took, never before the floor', () => {
    expect(lateAfterMs(POLICY, { done: 7, running: 2, slowestMs: 10 })).toBe(100);
    expect(lateAfterMs(POLICY, { done: 7, running: 2, slowestMs: 200 })).toBe(600);
  });

  it('is nobody while too few of the others are done', () => {
    expect(lateAfterMs(POLICY, { done: 3, running: 6, slowestMs: 10 })).toBe(Number.POSITIVE_INFINITY);
    expect(lateAfterMs(POLICY, { done: 4, running: 5, slowestMs: 10 })).toBe(100);
    expect(lateAfterMs(POLICY, { done: 0, running: 1, slowestMs: 0 })).toBe(Number.POSITIVE_INFINITY);
  });

  it('is whoever takes long with nobody to compare with, where the policy says so', () => {
    const policy = { ...POLICY, aloneMs: 150 };
    expect(lateAfterMs(policy, { done: 0, running: 1, slowestMs: 0 })).toBe(150);
    expect(lateAfterMs(policy, { done: 3, running: 6, slowestMs: 10 })).toBe(150);
  });

  it('is told within a bound by those whose measure may be a suspend, and still not before its own usual time', () => {
    const policy = { ...POLICY, atMostMs: 2_000 };
    expect(lateAfterMs(policy, { done: 8, running: 1, slowestMs: 3_600_000 })).toBe(2_000);
    expect(lateAfterMs(policy, { done: 8, running: 1, slowestMs: 3_600_000 }, 1_000)).toBe(3_000);
  });

  it('is given what it usually takes', () => {
    expect(lateAfterMs({ ...POLICY, aloneMs: 150 }, { done: 0, running: 1, slowestMs: 0 }, 400)).toBe(1200);
    expect(lateAfterMs(POLICY, { done: 7, running: 2, slowestMs: 10 }, 400)).toBe(1200);
  });
});

describe('a hedged read', () => {
  const hangs: Attempt<never> = () => new Promise(() => {});
  const policy = { floorMs: 100, factor: 3, quorum: 0, aloneMs: 150 };

  it('goes round two that never answer, not even to being stopped, and names them', async () => {
    const clock = new FakeClock();
    const late: number[] = [];
    const run = createHedge(clock, policy).run<string>([hangs, hangs, async () => 'here'], {
      operation: 'read',
      onLate: (attempt) => late.push(attempt),
    });
    await clock.advance(320);
    expect(await run).toEqual({ value: 'here', attempt: 2 });
    expect(late).toEqual([0, 1]);
  });

  it('calls nobody late who would have been next when another won', async () => {
    const clock = new FakeClock();
    const late: number[] = [];
    const lasting = (ms: number) => async () => clock.sleep(ms).then(() => ms);
    const run = createHedge(clock, policy).run([lasting(400), lasting(400)], {
      operation: 'read',
      onLate: (attempt) => late.push(attempt),
    });
    await clock.advance(400);
    expect(await run).toEqual({ value: 400, attempt: 0 });
    expect(late).toEqual([]);
  });

  it('waits longer with each copy, so that a slow link is not filled with them', async () => {
    const clock = new FakeClock();
    const started: number[] = [];
    const slow = (ms: number) => async () => {
      started.push(clock.monotonic());
      return clock.sleep(ms).then(() => ms);
    };
    const run = createHedge(clock, policy).run(
      Array.from({ length: 9 }, () => slow(2_000)),
      {
        operation: 'read',
      },
    );
    await clock.advance(2_000);
    await run;
    expect(started).toEqual([0, 150, 300, 600, 1050, 1650]);
  });

  it('ends with whoever asked, whatever the attempts do', async () => {
    const clock = new FakeClock();
    const asked = new AbortController();
    const run = createHedge(clock, policy).run([hangs], { operation: 'read', signal: asked.signal });
    asked.abort(new HoldfastError('Aborted', 'gone'));
    await expect(run).rejects.toMatchObject({ kind: 'Aborted' });
  });

  it('leaves nothing behind on the signal of whoever asked', async () => {
    const clock = new FakeClock();
    const { signal } = new AbortController();
    const run = createHedge(clock, policy).run([hangs, async () => 'here'], { operation: 'read', signal });
    await clock.advance(200);
    await run;
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('has nothing to give when all have failed, and has told of each', async () => {
    const failures: string[] = [];
    const fails = (kind: 'NotFound' | 'Unavailable') => () => Promise.reject(new HoldfastError(kind, 'no'));
    const run = createHedge(new FakeClock(), policy).run([fails('NotFound'), fails('Unavailable')], {
      operation: 'read',
      onFailure: (attempt, error) => failures.push(`${attempt} ${error.kind}`),
    });
    expect(await run).toBeUndefined();
    expect(failures).toEqual(['0 NotFound', '1 Unavailable']);
  });
});
