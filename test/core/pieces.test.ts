import { expect, it } from 'vitest';
import { eachAlone } from '../../src/core/pieces.ts';
import { FakeClock } from '../helpers/fake-clock.ts';

const never = (): Promise<void> => new Promise(() => {});
const nameOf = (piece: string): string => piece;

it('a piece that fails, or hangs whatever its signal says, keeps none of the others from being done', async () => {
  const clock = new FakeClock();
  const done: string[] = [];
  const signals = new Map<string, AbortSignal>();
  const options = { eachMs: 1_000, settleMs: 100, parallel: 1 };
  const all = eachAlone(clock, ['hangs', 'fails', 'works'], nameOf, options, async (piece, signal) => {
    signals.set(piece, signal);
    if (piece === 'hangs') await never();
    if (piece === 'fails') throw new Error('it cannot be done');
    done.push(piece);
  });
  await clock.advance(1_000);
  expect(signals.get('hangs')?.aborted).toBe(true);
  await clock.advance(100);
  expect(done).toEqual(['works']);
  expect(await all).toMatchObject([
    { piece: 'hangs', error: { kind: 'Timeout' } },
    { piece: 'fails', error: { kind: 'Unexpected' } },
  ]);
});

it('once the outer signal fires no further piece is begun, and those left have failed', async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const begun: string[] = [];
  const options = { settleMs: 100, parallel: 1, signal: stop.signal };
  const all = eachAlone(clock, ['first', 'second'], nameOf, options, (piece) => {
    begun.push(piece);
    return never();
  });
  let isOver = false;
  void all.then(() => {
    isOver = true;
  });
  stop.abort();
  await clock.advance(100);
  expect(isOver).toBe(true);
  expect(await all).toMatchObject([{ piece: 'first' }, { piece: 'second' }]);
  expect(begun).toEqual(['first']);
});
