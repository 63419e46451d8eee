import { describe, expect, it } from 'vitest';
import type { NodeCatalog, Outcome } from '../../src/catalog/catalog.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { newWorld, Probed } from './world.ts';

const MIB = 1024 ** 2;
const ids = (catalog: NodeCatalog, bytes = 1): string[] =>
  catalog.eligible({ bytes }).candidates.map(({ provider }) => provider.id);
const reasons = (catalog: NodeCatalog, bytes = 1): Record<string, string> =>
  Object.fromEntries(catalog.eligible({ bytes }).leftOut.map((out) => [out.provider.id, out.reason]));
const why = (catalog: NodeCatalog, id: string): string => catalog.snapshot().find((s) => s.id === id)!.why;
const stored = (bytes = MIB, elapsedMs = 100): Outcome => ({ type: 'stored', bytes, elapsedMs, rttMs: 10 });
const stalled: Outcome = {
  type: 'store_failed',
  error: new HoldfastError('Timeout', 'never done', { code: 'stalled' }),
};
const failed: Outcome = { type: 'store_failed', error: new HoldfastError('Unavailable', 'gone') };
const probeTimes = async (catalog: NodeCatalog, times: number): Promise<void> => {
  for (let i = 0; i < times; i++) await catalog.probeAll();
};

describe('ranking', () => {
  it('takes providers that were never probed', async () => {
    const catalog = await newWorld().open([new Probed('b'), new Probed('a')]);
    expect(ids(catalog)).toEqual(['a', 'b']);
    expect(catalog.snapshot()[0]).toMatchObject({ id: 'b', state: 'unprobed', rttMs: undefined });
  });

  it('scores (1 − loss) · success rate / RTT', async () => {
    const [near, far, flaky] = [new Probed('near', 10), new Probed('far', 50), new Probed('flaky', 12)];
    const catalog = await newWorld().open([far, near, flaky]);
    await catalog.probeAll();
    expect(ids(catalog)).toEqual(['near', 'flaky', 'far']);
    near.fails();
    await catalog.probeAll();
    expect(catalog.ranked().find(({ provider }) => provider.id === 'near')!.score).toBeCloseTo(0.8 / 10, 12);
    near.answers(10);
    await catalog.probeAll();
    expect(catalog.ranked().find(({ provider }) => provider.id === 'near')!.score).toBeCloseTo(0.84 / 10, 12);
    expect(ids(catalog)).toEqual(['near', 'flaky', 'far']);
    catalog.report('flaky', failed);
    catalog.report('flaky', failed);
    expect(catalog.ranked().find(({ provider }) => provider.id === 'flaky')!.score).toBeCloseTo(
      0.64 / 12,
      12,
    );
  });

  it('refuses two providers of one id, and one that is not registered', async () => {
    const world = newWorld();
    await expect(world.open([new Probed('a'), new Probed('a')])).rejects.toMatchObject({
      kind: 'ConfigInvalid',
    });
    const catalog = await world.open([new Probed('a')]);
    expect(() => catalog.report('x', stored())).toThrow(
      expect.objectContaining({ code: 'unknown_provider' }),
    );
    await expect(catalog.setMaintenance('x', true)).rejects.toMatchObject({ code: 'unknown_provider' });
  });
});

describe('quarantine', () => {
  it('does not come for one failed probe, and comes for a loss over the limit', async () => {
    const node = new Probed('a');
    const world = newWorld();
    const catalog = await world.open([node, new Probed('b')]);
    node.fails();
    await probeTimes(catalog, 3);
    expect(reasons(catalog)).toEqual({ a: 'unreachable' });
    expect(why(catalog, 'a')).toBe('its last probe failed: Unexpected, no answer');
    await catalog.probeAll();
    expect(reasons(catalog)).toEqual({ a: 'quarantined' });
    expect(why(catalog, 'a')).toMatch(/^probe loss 59\.0 % \(limit 50\.0 %\); 0 of 3 good probes to return/);
    expect(world.events).toMatchObject([{ type: 'quarantined', provider: 'a' }]);
  });

  it('ends after three good probes in a row with the averages within the limits', async () => {
    const node = new Probed('a');
    const world = newWorld();
    const catalog = await world.open([node]);
    node.fails();
    await probeTimes(catalog, 4);
    node.answers(10);
    await probeTimes(catalog, 2);
    node.fails();
    await catalog.probeAll();
    node.answers(10);
    await probeTimes(catalog, 2);
    expect(reasons(catalog)).toEqual({ a: 'quarantined' });
    await catalog.probeAll();
    expect(ids(catalog)).toEqual(['a']);
    expect(world.events.map(({ type }) => type)).toEqual(['quarantined', 'returned']);
  });

  it('comes for a slow link and keeps it until the average has recovered', async () => {
    const node = new Probed('a', 9000);
    const catalog = await newWorld().open([node]);
    await probeTimes(catalog, 4);
    expect(why(catalog, 'a')).toContain('RTT 9000 ms (limit 2000 ms)');
    node.answers(10);
    await probeTimes(catalog, 3);
    expect(reasons(catalog)).toEqual({ a: 'quarantined' });
    await probeTimes(catalog, 4);
    expect(ids(catalog)).toEqual(['a']);
  });

  it('still ranks a quarantined provider for reading', async () => {
    const node = new Probed('a', 9000);
    const catalog = await newWorld().open([node]);
    await catalog.probeAll();
    expect(catalog.ranked().map(({ provider }) => provider.id)).toEqual(['a']);
  });

  it('is remembered over a restart by what the averages say', async () => {
    const world = newWorld();
    const node = new Probed('a');
    const first = await world.open([node]);
    node.fails();
    await probeTimes(first, 4);
    await first.close();
    expect(reasons(await world.open([node]))).toEqual({ a: 'quarantined' });
  });
});

describe('failing and full providers', () => {
  it('leaves a provider alone after three recent failures, until the cooldown is over', async () => {
    const world = newWorld();
    const catalog = await world.open([new Probed('a')]);
    catalog.report('a', failed);
    catalog.report('a', failed);
    expect(ids(catalog)).toEqual(['a']);
    catalog.report('a', { type: 'read_failed', error: new Error('boom') });
    expect(reasons(catalog)).toEqual({ a: 'recently_failing' });
    expect(why(catalog, 'a')).toContain(
      '3 recent failures, the last a read: Unexpected, boom; tried again in 60 s',
    );
    world.clock.move(59_999);
    expect(reasons(catalog)).toEqual({ a: 'recently_failing' });
    world.clock.move(1);
    expect(ids(catalog)).toEqual(['a']);
    catalog.report('a', failed);
    expect(reasons(catalog)).toEqual({ a: 'recently_failing' });
    for (let i = 0; i < 3; i++) catalog.report('a', stored());
    expect(ids(catalog)).toEqual(['a']);
  });

  it('leaves a provider alone after a grave failure, whatever succeeds meanwhile', async () => {
    const world = newWorld();
    const catalog = await world.open([new Probed('a')]);
    catalog.report('a', stalled);
    for (let i = 0; i < 100; i++) catalog.report('a', stored());
    expect(reasons(catalog)).toEqual({ a: 'recently_failing' });
    expect(why(catalog, 'a')).toContain('the last a store: stalled, never done; tried again in 60 s');
    world.clock.move(60_000);
    expect(reasons(catalog)).toEqual({});
  });

  it('remembers a grave failure over a restart', async () => {
    const world = newWorld();
    const node = new Probed('a');
    const first = await world.open([node]);
    first.report('a', stalled);
    await first.close();
    expect(reasons(await world.open([node]))).toEqual({ a: 'recently_failing' });
  });

  it('remembers recent failures over a restart, unless they are old or the clock was set back', async () => {
    const world = newWorld();
    const node = new Probed('a');
    const first = await world.open([node]);
    for (let i = 0; i < 3; i++) first.report('a', failed);
    await first.close();
    world.clock.move(30_000);
    const second = await world.open([node]);
    expect(reasons(second)).toEqual({ a: 'recently_failing' });
    expect(why(second, 'a')).toContain('the last a store: Unavailable');
    world.clock.move(30_000);
    expect(ids(second)).toEqual(['a']);
    expect(ids(await world.open([node]))).toEqual(['a']);
    world.clock.jump = -10_000_000;
    expect(ids(await world.open([node]))).toEqual(['a']);
  });

  it('counts a cancelled race against nobody', async () => {
    const catalog = await newWorld().open([new Probed('a')]);
    for (let i = 0; i < 5; i++) {
      catalog.report('a', { type: 'store_failed', error: new HoldfastError('Aborted', 'lost the race') });
    }
    expect(catalog.snapshot()[0]).toMatchObject({ state: 'unprobed', totalFailures: 0, successRate: 1 });
  });

  it('leaves a provider out that has no room, by its probe or by its refusal', async () => {
    const node = new Probed('a');
    const catalog = await newWorld().open([node]);
    node.answers(10, 1000);
    await catalog.probeAll();
    expect(ids(catalog, 1000)).toEqual(['a']);
    expect(reasons(catalog, 1001)).toEqual({ a: 'full' });
    catalog.report('a', { type: 'store_failed', error: new HoldfastError('QuotaExceeded', 'full') });
    expect(reasons(catalog, 1)).toEqual({ a: 'full' });
    await catalog.probeAll();
    expect(ids(catalog, 1000)).toEqual(['a']);
  });
});

describe('quota', () => {
  it('is one MiB a credit, filled by stores and freed by deletes', async () => {
    const catalog = await newWorld().open([new Probed('a', 10, { credits: 2 })]);
    expect(ids(catalog, 2 * MIB)).toEqual(['a']);
    expect(reasons(catalog, 2 * MIB + 1)).toEqual({ a: 'over_quota' });
    catalog.report('a', stored(MIB));
    catalog.report('a', { ...stored(MIB), existed: true } as Outcome);
    expect(ids(catalog, MIB)).toEqual(['a']);
    expect(reasons(catalog, MIB + 1)).toEqual({ a: 'over_quota' });
    expect(catalog.eligible({ bytes: 2 * MIB }).leftOut[0]!.why).toBe(
      '1048576 of 2097152 bytes of its quota are used',
    );
    catalog.report('a', { type: 'deleted', bytes: MIB });
    expect(ids(catalog, 2 * MIB)).toEqual(['a']);
  });

  it('of 0 credits is nothing, and unlimited only where the config says so', async () => {
    const nodes = (): Probed[] => [new Probed('zero', 10, { credits: 0 }), new Probed('unset')];
    expect(reasons(await newWorld().open(nodes()))).toEqual({ zero: 'over_quota' });
    const generous = await newWorld({ zeroCreditsUnlimited: true }).open(nodes());
    expect(ids(generous, 1e15)).toEqual(['unset', 'zero']);
    expect(generous.snapshot()[0]!.quotaBytes).toBeUndefined();
  });

  it('adds what was earned, and keeps the last balance when the settlement fails', async () => {
    const world = newWorld();
    let earned: number | undefined = 3;
    const settlement = {
      balanceSplit: async () => {
        if (earned === undefined) throw new Error('down');
        return { configured: 1, earned };
      },
    };
    const catalog = await world.open([new Probed('a')], { settlement });
    expect(catalog.snapshot()[0]!.quotaBytes).toBe(4 * MIB);
    earned = Number.NaN;
    await catalog.refresh();
    earned = undefined;
    await catalog.refresh();
    expect(catalog.snapshot()[0]!.quotaBytes).toBe(4 * MIB);
    expect(world.events.map(({ type }) => type)).toEqual(['settlement_failed', 'settlement_failed']);
    const unknown = await world.open([new Probed('a')], { settlement });
    expect(reasons(unknown)).toEqual({ a: 'over_quota' });
    expect(why(unknown, 'a')).toContain('did not answer');
  });

  it('is shared by processes: none of their bytes is lost', async () => {
    const world = newWorld();
    const node = new Probed('a', 10, { credits: 10 });
    const [one, two] = [await world.open([node]), await world.open([node])];
    one!.report('a', stored(3 * MIB));
    two!.report('a', stored(4 * MIB));
    await Promise.all([one!.flush(), two!.flush()]);
    await Promise.all([one!.flush(), two!.flush()]);
    expect((await world.open([node])).snapshot()[0]).toMatchObject({ usedBytes: 7 * MIB, totalChunks: 2 });
  });
});

describe('maintenance', () => {
  it('is stored at once, survives restarts and reaches processes that run', async () => {
    const world = newWorld();
    const nodes = [new Probed('a'), new Probed('b')];
    const [operator, daemon] = [await world.open(nodes), await world.open(nodes)];
    await operator!.setMaintenance('a', true);
    expect(reasons(operator!)).toEqual({ a: 'maintenance' });
    expect(reasons(await world.open(nodes))).toEqual({ a: 'maintenance' });
    daemon!.report('a', stored());
    await daemon!.flush();
    expect(reasons(daemon!)).toEqual({ a: 'maintenance' });
    await operator!.setMaintenance('a', false);
    await daemon!.refresh();
    expect(reasons(daemon!)).toEqual({});
    expect(daemon!.snapshot()[0]!.totalChunks).toBe(1);
  });

  it('is not guessed when the stored profile cannot be read, and mends it when set', async () => {
    const world = newWorld();
    await world.engine.table('provider_profiles').put('a', Buffer.from('{"v":9}'));
    const catalog = await world.open([new Probed('a')]);
    expect(reasons(catalog)).toEqual({ a: 'profile_unreadable' });
    expect(world.events).toMatchObject([{ type: 'profile_unreadable', provider: 'a' }]);
    await catalog.setMaintenance('a', false);
    expect(ids(await world.open([new Probed('a')]))).toEqual(['a']);
    expect(ids(catalog)).toEqual(['a']);
  });
});

describe('chunk length and tail', () => {
  it('names the rung that the profile has climbed to', async () => {
    const catalog = await newWorld().open([new Probed('a')]);
    expect(catalog.preferredChunk('a')).toBe(MIB);
    for (let i = 0; i < 3; i++) catalog.report('a', stored(MIB, 20));
    expect(catalog.preferredChunk('a')).toBe(2 * MIB);
  });

  it('hedges after the time of the slowest 5 % of recent transfers, apart for stores and reads', async () => {
    const catalog = await newWorld().open([new Probed('a')]);
    for (let i = 0; i < 7; i++) catalog.report('a', stored(MIB, 1000));
    expect(catalog.p95Ms('a', 'store', MIB)).toBeUndefined();
    catalog.report('a', stored(MIB, 4000));
    expect(catalog.p95Ms('a', 'store', MIB)).toBeCloseTo(4000, 6);
    for (let i = 0; i < 12; i++) catalog.report('a', stored(MIB, 1000));
    expect(catalog.p95Ms('a', 'store', MIB)).toBeCloseTo(1000, 6);
    expect(catalog.p95Ms('a', 'store', 2 * MIB)).toBeCloseTo(2000, 6);
    expect(catalog.p95Ms('a', 'read', MIB)).toBeUndefined();
    for (let i = 0; i < 8; i++) catalog.report('a', { type: 'read', bytes: MIB, elapsedMs: 50 });
    expect(catalog.p95Ms('a', 'read', MIB)).toBeCloseTo(50, 6);
  });

  it('forgets transfers that are no longer recent', async () => {
    const catalog = await newWorld().open([new Probed('a')]);
    for (let i = 0; i < 20; i++) catalog.report('a', stored(MIB, 9000));
    for (let i = 0; i < 128; i++) catalog.report('a', stored(MIB, 10));
    expect(catalog.p95Ms('a', 'store', MIB)).toBeCloseTo(10, 6);
  });
});
