import { expect, it } from 'vitest';
import { createPunctuality } from '../../src/catalog/directory.ts';
import type { StragglerPolicy } from '../../src/core/stragglers.ts';
import { Stragglers } from '../../src/core/stragglers.ts';
import { FakeClock } from '../helpers/fake-clock.ts';

const POLICY: StragglerPolicy = { floorMs: 200, factor: 3, quorum: 0.5 };

it('one that stands still is given up on once half of the others have got something done, and not before', async () => {
  const clock = new FakeClock();
  const laggards = new Stragglers(clock, POLICY);
  const late: string[] = [];
  const turns = ['a', 'b', 'c', 'd', 'e'].map((id) => laggards.begin(undefined, 'work', () => late.push(id)));
  await clock.advance(1_000);
  expect(late).toEqual([]);
  turns[0]!.progressed(10);
  turns[1]!.progressed(10);
  await clock.advance(100);
  // Two of the other four: the three that have got nothing done for longer than the floor.
  expect(late).toEqual(['c', 'd', 'e']);
  expect(turns.map((turn) => turn.late)).toEqual([false, false, true, true, true]);
  expect(turns[2]!.signal.reason).toMatchObject({ code: 'lost_race' });
  for (const turn of turns) turn.end();
  laggards.close();
});

it('one that got on before has its time from then, and as many times what the slowest took', async () => {
  const clock = new FakeClock();
  const laggards = new Stragglers(clock, POLICY);
  const [done, other] = [laggards.begin(undefined, 'work'), laggards.begin(undefined, 'work')];
  done.progressed(100);
  done.end();
  await clock.advance(150);
  other.progressed(150);
  await clock.advance(440);
  expect(other.late).toBe(false);
  await clock.advance(20);
  expect(other.late).toBe(true);
  other.end();
  laggards.close();
});

it('one that says it is there is waited for, and asked again; one that does not is given up on', async () => {
  const clock = new FakeClock();
  const laggards = new Stragglers(clock, POLICY);
  const asked: number[] = [];
  let there = true;
  const quick = laggards.begin(undefined, 'work');
  const slow = laggards.begin(undefined, 'work', undefined, async () => {
    asked.push(clock.monotonic());
    return there;
  });
  quick.progressed(10);
  quick.end();
  await clock.advance(4_000);
  expect([asked, slow.late]).toEqual([[200], false]);
  there = false;
  await clock.advance(2_000);
  expect([asked, slow.late]).toEqual([[200, 5_200], true]);
  slow.end();
  laggards.close();
});

it('who was late is asked last for half a minute or until it is heard of; a moment puts nothing off', async () => {
  const clock = new FakeClock();
  const { late, heard, isLate, isSilent, lateSince } = createPunctuality(clock);
  late('a', 150);
  late('b');
  expect([isLate('a'), isSilent('a'), isLate('b'), isSilent('b'), isLate('c')]).toEqual([
    true,
    false,
    true,
    true,
    false,
  ]);
  heard('b');
  expect([isLate('b'), isSilent('b')]).toEqual([false, false]);
  await clock.advance(29_999);
  expect([isLate('a'), lateSince(-1), lateSince(10)]).toEqual([true, true, false]);
  await clock.advance(1);
  expect(isLate('a')).toBe(false);
});

it('parts that are still to come count among the others, and what is usual for a part is its measure', async () => {
  const clock = new FakeClock();
  const watch = new Stragglers(clock, POLICY, 4);
  const late: string[] = [];
  const part = (id: string, p95Ms?: number) =>
    watch.watch({
      p95Ms: () => p95Ms,
      onLate: () => {
        late.push(id);
        return undefined;
      },
    });
  const [first, , far] = [part('first'), part('slow'), part('far', 500)];
  first.progressed(10);
  first.end();
  await clock.advance(1_000);
  // One of three others is done.
  expect(late).toEqual([]);
  const fourth = part('fourth');
  fourth.progressed(10);
  fourth.end();
  expect(late).toEqual(['slow']);
  await clock.advance(500);
  expect([late, far.late]).toEqual([['slow', 'far'], true]);
  watch.close();
});

it('a part that is late and not given up on is judged again when it asked to be at the latest, and when another got on', async () => {
  const clock = new FakeClock();
  const watch = new Stragglers(clock, { ...POLICY, aloneMs: 100 });
  const judged: number[] = [];
  const part = watch.watch({
    onLate: (elapsedMs) => {
      judged.push(elapsedMs);
      return judged.length < 4 ? 1_000 : undefined;
    },
  });
  const other = watch.watch({ onLate: () => 5_000 });
  await clock.advance(1_100);
  expect(judged).toEqual([100, 1_100]);
  await clock.advance(10);
  other.end();
  expect([judged, part.late]).toEqual([[100, 1_100, 1_110], false]);
  await clock.advance(10_000);
  expect([judged, part.late]).toEqual([[100, 1_100, 1_110, 2_100], true]);
  watch.close();
});
