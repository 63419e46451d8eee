import { describe, expect, it } from 'vitest';
import type { NodeCatalog, Outcome, ProviderSnapshot } from '../../src/catalog/catalog.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { newWorld, Probed } from './world.ts';

const state = (catalog: NodeCatalog, id = 'a'): ProviderSnapshot =>
  catalog.snapshot().find((provider) => provider.id === id)!;
const lost: Outcome = {
  type: 'read_failed',
  error: new HoldfastError('Timeout', 'far behind', { code: 'lost_race' }),
  bytes: 1_000_000,
  elapsedMs: 10_000,
};
const failed: Outcome = { type: 'store_failed', error: new HoldfastError('Unavailable', 'gone') };
const lied: Outcome = { type: 'read_failed', error: new HoldfastError('HashMismatch', 'other bytes') };
const denied: Outcome = { type: 'store_failed', error: new HoldfastError('PermissionDenied', 'no') };
const stored: Outcome = { type: 'stored', bytes: 1_000_000, elapsedMs: 100 };

describe('slow, failing, lying and denied', () => {
  it('are counted apart, in the profile and for the metrics', async () => {
    const counted: string[] = [];
    const health = {
      providerHealth() {},
      providerFailures: (id: string, kind: string, count: number) => {
        if (count > 0) counted.push(`${id} ${kind}`);
      },
    };
    const world = newWorld();
    const catalog = await world.open([new Probed('a')], { health });
    for (const outcome of [lost, lost, failed, lied, denied]) catalog.report('a', outcome);
    expect(counted).toEqual(['a slow', 'a slow', 'a failing', 'a lying', 'a denied']);
    await catalog.close();
    const later = state(await world.open([new Probed('a')]));
    expect(later).toMatchObject({ totalSlow: 2, totalFailures: 1, totalLies: 1 });
  });

  it('a lost race is no failure: the provider takes shards on, with a lower score for a while', async () => {
    const world = newWorld();
    const catalog = await world.open([new Probed('a'), new Probed('b')]);
    await catalog.probeAll();
    for (let i = 0; i < 5; i++) catalog.report('a', lost);
    expect(state(catalog)).toMatchObject({ state: 'ok', successRate: 1, totalFailures: 0 });
    expect(state(catalog).why).toBe('takes new shards, fewer while it is slow (races lost lately: 3)');
    const [first, second] = catalog.ranked();
    expect([first!.provider.id, second!.provider.id]).toEqual(['b', 'a']);
    expect(second!.score).toBeLessThan(first!.score / 60);
    await catalog.close();
    const later = await world.open([new Probed('a'), new Probed('b')]);
    expect(state(later).why).toContain('slow');
    world.clock.move(world.policy.slow.rememberMs);
    expect(state(catalog).why).toBe('takes new shards');
    expect(state(await world.open([new Probed('a'), new Probed('b')])).why).toBe('takes new shards');
  });

  it('each success takes a lost race back', async () => {
    const catalog = await newWorld().open([new Probed('a')]);
    for (let i = 0; i < 2; i++) catalog.report('a', lost);
    for (let i = 0; i < 2; i++) catalog.report('a', stored);
    expect(state(catalog).why).not.toContain('slow');
  });

  it('a lie leaves the provider alone whatever it answers rightly, in a later process too, for a minute', async () => {
    const world = newWorld();
    const catalog = await world.open([new Probed('a')]);
    catalog.report('a', lied);
    for (let i = 0; i < 50; i++) catalog.report('a', stored);
    expect(state(catalog)).toMatchObject({ state: 'lying', totalLies: 1, totalFailures: 0 });
    expect(state(catalog).why).toContain(
      'gone or altered (a read: HashMismatch, other bytes); tried again in 60 s',
    );
    await catalog.close();
    world.clock.move(30_000);
    const later = await world.open([new Probed('a')]);
    expect(state(later).state).toBe('lying');
    world.clock.move(30_000);
    expect(state(later).state).toBe('ok');
  });

  it.each([1, 3, 4])(
    'after %i lies in a row it is in doubt, and no longer mostly right after four',
    async (lies) => {
      const catalog = await newWorld().open([new Probed('a'), new Probed('b')]);
      for (let i = 0; i < lies; i++) catalog.report('a', lied);
      const { candidates, doubtful } = catalog.eligible({ bytes: 1 });
      expect(candidates.map(({ provider }) => provider.id)).toEqual(['b']);
      expect(doubtful.map(({ provider, isMostlyRight }) => [provider.id, isMostlyRight])).toEqual([
        ['a', lies < 4],
      ]);
      catalog.report('a', denied);
      expect(catalog.eligible({ bytes: 1 }).doubtful).toEqual([]);
    },
  );

  it('a refused token is this process’s affair: others, and later ones, use the provider as before', async () => {
    const world = newWorld();
    const node = new Probed('a');
    const [wrong, right] = [await world.open([node]), await world.open([node])];
    for (let i = 0; i < 5; i++) wrong!.report('a', denied);
    expect(state(wrong!)).toMatchObject({ state: 'denied', totalFailures: 0, successRate: 1 });
    expect(state(wrong!).why).toContain(
      'refused the credentials of this process (a store: PermissionDenied)',
    );
    await wrong!.flush();
    await right!.refresh();
    expect(state(right!).state).toBe('unprobed');
    expect(state(await world.open([node])).state).toBe('unprobed');
    world.clock.move(60_000);
    expect(state(wrong!).state).toBe('unprobed');
  });

  it('a probe that is refused says nothing of the provider either', async () => {
    const world = newWorld();
    const node = new Probed('a');
    node.probe = async () => {
      throw new HoldfastError('PermissionDenied', 'no');
    };
    const catalog = await world.open([node]);
    for (let i = 0; i < 5; i++) await catalog.probeAll();
    expect(state(catalog)).toMatchObject({ state: 'denied', lossRate: 0 });
    await catalog.flush();
    expect(state(await world.open([node])).state).toBe('unprobed');
  });
});

it('who is far behind the best is told that it gets no more than needed', async () => {
  const catalog = await newWorld().open([new Probed('a', 429), new Probed('b', 18)]);
  await catalog.probeAll();
  expect(state(catalog)).toMatchObject({
    state: 'ok',
    why: 'takes new shards, no more than needed while others are far ahead',
  });
  expect(state(catalog, 'b').why).toBe('takes new shards');
});

it('who does what is asked of it is there, whatever became of its last probe', async () => {
  const world = newWorld();
  const node = new Probed('a');
  node.fails();
  const catalog = await world.open([node]);
  await catalog.probeAll();
  expect(state(catalog).state).toBe('unreachable');
  catalog.report('a', { type: 'read', bytes: 1, elapsedMs: 1 });
  expect(state(catalog)).toMatchObject({ state: 'ok', why: 'takes new shards' });
  await catalog.close();
  expect(state(await world.open([node])).state).toBe('ok');
});

describe('how long it lasts', () => {
  it('a failing provider’s minute is over in time, however often it is probed meanwhile', async () => {
    const world = newWorld();
    const node = new Probed('a');
    const first = await world.open([node]);
    for (let i = 0; i < 3; i++) first.report('a', failed);
    await first.close();
    // Commands every ten seconds, each with a probe of its own.
    const states = [];
    for (let at = 10; at <= 60; at += 10) {
      world.clock.move(10_000);
      const catalog = await world.open([node]);
      await catalog.probeAll();
      states.push(state(catalog).state);
      await catalog.close();
    }
    expect(states).toEqual([...new Array(5).fill('recently_failing'), 'ok']);
  });

  it('quarantine ends with the first good probe that the operator asks for, for later processes too', async () => {
    const world = newWorld();
    const node = new Probed('a');
    const catalog = await world.open([node]);
    node.fails();
    for (let i = 0; i < 10; i++) await catalog.probeAll();
    node.answers(9);
    await catalog.probeAll();
    expect(state(catalog).state).toBe('quarantined');
    await catalog.probeAll({ mode: 'pardon' });
    expect(state(catalog)).toMatchObject({ state: 'ok', rttMs: 9, lossRate: 0 });
    await catalog.close();
    expect(state(await world.open([node])).state).toBe('ok');
    expect(world.events.map(({ type }) => type)).toEqual(['quarantined', 'returned']);
  });

  it('... and does not end with one that fails or takes too long', async () => {
    const world = newWorld();
    const node = new Probed('a');
    const catalog = await world.open([node]);
    node.fails();
    for (let i = 0; i < 10; i++) await catalog.probeAll();
    await catalog.probeAll({ mode: 'pardon' });
    expect(state(catalog).state).toBe('quarantined');
    node.answers(9_000);
    await catalog.probeAll({ mode: 'pardon' });
    expect(state(catalog).state).toBe('quarantined');
  });

  it('many commands in a row count as one probe, and know of each other who does not answer', async () => {
    const world = newWorld();
    const node = new Probed('a');
    const other = new Probed('b');
    node.fails();
    const run = async (): Promise<ProviderSnapshot> => {
      const catalog = await world.open([node, other]);
      const before = state(catalog);
      await catalog.probeCandidates({ canSpare: () => false });
      await catalog.close();
      world.clock.move(100);
      return before;
    };
    expect((await run()).state).toBe('unprobed');
    for (let i = 0; i < 20; i++) expect(await run()).toMatchObject({ state: 'unreachable' });
    const after = state(await world.open([node, other]));
    expect(after.lossRate).toBeCloseTo(0.2, 12);
    node.answers(5);
    const running = world.open([node, other]).then(async (catalog) => {
      await catalog.probeCandidates({ canSpare: () => false });
      await catalog.close();
      return state(catalog);
    });
    expect((await running).state).toBe('ok');
  });
});
