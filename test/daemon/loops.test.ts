import { describe, expect, it } from 'vitest';
import { type Loop, Loops } from '../../src/daemon/loops.ts';
import { FakeClock } from '../helpers/fake-clock.ts';

function world(...made: (Partial<Loop> & Pick<Loop, 'name' | 'run'>)[]) {
  const clock = new FakeClock();
  const failed = new Map<string, number>();
  const done = new Map<string, number>();
  const events: string[] = [];
  const loops = new Loops(
    made.map((loop) => ({ firstAfterMs: 0, everyMs: 1000, deadlineMs: 100, ...loop })),
    {
      clock,
      metrics: {
        choreFailed: (name, count) => void failed.set(name, (failed.get(name) ?? 0) + count),
        choreDone: (name, seconds) => void done.set(name, seconds),
      },
      log: (_, event, { loop }) => void events.push(`${event} ${loop}`),
    },
  );
  loops.start();
  const of = (name: string) => loops.report().find((report) => report.name === name)!;
  return { clock, loops, failed, done, events, of };
}

const hang = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

describe('the loops of a daemon', () => {
  it('run at their time, counted from the end of the run before', async () => {
    const at: number[] = [];
    const { clock, of, done } = world({
      name: 'a',
      firstAfterMs: 500,
      run: async () => {
        at.push(clock.ms);
        await clock.sleep(50);
      },
    });
    await clock.advance(400);
    expect(of('a')).toEqual({ name: 'a', state: 'waiting', last: 'none', failures: 0 });
    await clock.advance(2300);
    expect(at).toEqual([500, 1550, 2600]);
    expect(of('a')).toMatchObject({ state: 'waiting', last: 'ok', failures: 0, took_ms: 50 });
    expect(done.get('a')).toBe(clock.now() / 1000 - 0.05);
  });

  it('have nothing to do with each other: one fails, one hangs, one goes on', async () => {
    let runs = 0;
    const { clock, of, failed, events } = world(
      { name: 'throws', run: () => Promise.reject(new Error('no')) },
      {
        name: 'throws at once',
        run: () => {
          throw new Error('no');
        },
      },
      { name: 'hangs', run: hang },
      { name: 'works', run: async () => void runs++ },
    );
    await clock.advance(3500);
    expect(runs).toBe(4);
    expect(of('works')).toMatchObject({ last: 'ok', failures: 0 });
    expect(of('throws')).toMatchObject({ last: 'failed', failures: 4 });
    expect(of('throws at once')).toMatchObject({ last: 'failed', failures: 4 });
    expect(of('hangs')).toMatchObject({ state: 'waiting', last: 'failed', failures: 4, took_ms: 100 });
    expect([failed.get('throws'), failed.get('works')]).toEqual([4, 0]);
    expect(events.filter((event) => event === 'loop_failed hangs')).toHaveLength(4);
  });

  it('begin anew when the next run is done', async () => {
    let broken = true;
    const { clock, of } = world({
      name: 'a',
      run: async () => {
        if (broken) throw new Error('no');
      },
    });
    await clock.advance(3500);
    expect(of('a').failures).toBe(4);
    broken = false;
    await clock.advance(1000);
    expect(of('a')).toMatchObject({ last: 'ok', failures: 0 });
  });

  it('are stuck, and begin no second run, while one that was cut off has not ended', async () => {
    let runs = 0;
    let end = (): void => {};
    const { clock, of } = world({
      name: 'deaf',
      run: () => {
        runs++;
        return new Promise<void>((resolve) => {
          end = resolve;
        });
      },
    });
    await clock.advance(10_000);
    expect(runs).toBe(1);
    expect(of('deaf')).toMatchObject({ state: 'stuck', last: 'failed', failures: 1 });
    end();
    await clock.advance(1000);
    expect(runs).toBe(2);
  });

  it('let what is under way finish when they are stopped, and begin nothing more', async () => {
    let ended = 0;
    let begun = 0;
    const { clock, loops, of } = world(
      {
        name: 'a',
        deadlineMs: 60_000,
        run: async () => {
          await clock.sleep(2000);
          ended++;
        },
      },
      { name: 'b', firstAfterMs: 500, run: () => Promise.resolve(begun++) },
    );
    await clock.advance(100);
    const stopped = loops.stop(5000);
    await clock.advance(3000);
    await stopped;
    expect([ended, begun, clock.ms]).toEqual([1, 0, 3100]);
    expect([of('a').last, of('a').state, of('b').last]).toEqual(['ok', 'ended', 'none']);
  });

  it('cut off what does not finish, and wait for nothing that hears of nothing', async () => {
    let heard = false;
    const { clock, loops, failed, events } = world(
      {
        name: 'long',
        deadlineMs: 60_000,
        run: (signal) =>
          hang(signal).finally(() => {
            heard = true;
          }),
      },
      { name: 'deaf', deadlineMs: 60_000, run: () => new Promise(() => {}) },
    );
    await clock.advance(100);
    const stopped = loops.stop(5000).then(() => clock.ms);
    await clock.advance(20_000);
    expect(await stopped).toBeLessThanOrEqual(10_100);
    expect(heard).toBe(true);
    // A run that was told to end has not failed.
    expect(failed.size).toBe(0);
    expect(events).toEqual(['loop_cut_off long', 'loop_cut_off deaf']);
  });
});
