import { describe, expect, it } from 'vitest';
import type { NodeCatalog } from '../../src/catalog/catalog.ts';
import { abortable } from '../../src/core/abort.ts';
import { newWorld, Probed } from './world.ts';

describe('probing', () => {
  it('has a bounded number of probes under way', async () => {
    let now = 0;
    let most = 0;
    const nodes = Array.from({ length: 12 }, (_, i) => new Probed(`p${i}`));
    for (const node of nodes) {
      node.probe = async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setImmediate(resolve));
        now--;
        return { rttMs: 1 };
      };
    }
    const world = newWorld({ probe: { intervalMs: 1000, refreshMs: 1000, timeoutMs: 5000, concurrency: 3 } });
    const reports = await (await world.open(nodes)).probeAll();
    expect(reports.map(({ provider }) => provider)).toEqual(nodes.map(({ provider }) => provider.id));
    expect(most).toBe(3);
  });

  it('counts a probe that hangs as failed, and goes on with the others', async () => {
    const [stuck, fine] = [new Probed('stuck'), new Probed('fine', 7)];
    stuck.probe = () => new Promise(() => {});
    const world = newWorld({ probe: { intervalMs: 1000, refreshMs: 1000, timeoutMs: 20, concurrency: 1 } });
    const catalog = await world.open([stuck, fine]);
    const asked = catalog.probeAll();
    await world.clock.advance(20);
    expect(await asked).toMatchObject([
      { provider: 'stuck', rttMs: undefined, error: expect.stringContaining('20 ms') },
      { provider: 'fine', rttMs: 7, error: undefined },
    ]);
    expect(catalog.snapshot()[0]!.lossRate).toBeCloseTo(0.2, 12);
    expect(catalog.snapshot()[0]!.why).toContain('its last probe failed: Timeout');
  });

  it('asks a single provider when told to, and counts what it finds', async () => {
    const [stuck, fine] = [new Probed('stuck'), new Probed('fine', 7)];
    stuck.probe = () => new Promise(() => {});
    const world = newWorld({ probe: { intervalMs: 1000, refreshMs: 1000, timeoutMs: 20, concurrency: 1 } });
    const catalog = await world.open([stuck, fine]);
    const asked = catalog.probe('stuck');
    await world.clock.advance(20);
    expect(await asked).toMatchObject({ provider: 'stuck', rttMs: undefined });
    expect(catalog.snapshot()[0]!.lossRate).toBeCloseTo(0.2, 12);
    expect(fine.probes).toBe(0);
    await expect(async () => catalog.probe('nobody')).rejects.toMatchObject({ code: 'unknown_provider' });
  });

  it('counts an abort against no provider', async () => {
    const node = new Probed('a');
    node.probe = () => new Promise(() => {});
    const catalog = await newWorld().open([node]);
    const controller = new AbortController();
    const probing = catalog.probeAll({ signal: controller.signal });
    controller.abort();
    await expect(probing).rejects.toMatchObject({ kind: 'Aborted' });
    expect(catalog.snapshot()[0]!.lossRate).toBe(0);
    await expect(catalog.probeAll({ signal: AbortSignal.abort() })).rejects.toMatchObject({
      kind: 'Aborted',
    });
    expect(node.probes).toBe(1);
  });

  it('asks once more when an answer came by a new connection, and goes by what that takes', async () => {
    const world = newWorld();
    const far = new Probed('far');
    const near = new Probed('near', 15);
    let probes = 0;
    far.probe = async () => ({ rttMs: probes++ === 0 ? 160 : 40 });
    const catalog = await world.open([far, near]);
    await catalog.probeAll();
    expect(catalog.snapshot()[0]!.rttMs).toBe(40);
    expect([probes, near.probes]).toEqual([4, 1]);
    await catalog.probeAll();
    expect(probes).toBe(5);
    // The next command within the quarter of a minute asks only whether it is there.
    await catalog.close();
    world.clock.move(1_000);
    probes = 0;
    const next = await world.open([far, near]);
    await next.probeCandidates({ canSpare: () => false });
    expect(probes).toBe(1);
    expect(next.snapshot()[0]!.rttMs).toBe(40);
  });

  it('asks up to three times more when the way seems to have become much longer, and takes the shortest', async () => {
    const world = newWorld();
    const node = new Probed('a', 40);
    const before = await world.open([node]);
    for (let i = 0; i < 4; i++) await before.probeAll();
    await before.close();
    const later = async (...answers: number[]): Promise<number> => {
      const left = [...answers];
      node.probe = async () => ({ rttMs: left.shift()! });
      const catalog = await world.open([node]);
      await catalog.probeAll();
      expect(left).toEqual([]);
      return catalog.snapshot()[0]!.rttMs!;
    };
    expect(await later(300, 250, 45)).toBeCloseTo(0.8 * 40 + 0.2 * 45, 12);
    expect(await later(300, 75)).toBeCloseTo(0.8 * 40 + 0.2 * 75, 12);
    expect(await later(300, 250, 240, 260)).toBeCloseTo(0.8 * 40 + 0.2 * 240, 12);
  });

  it('remembers of one that is far away what it knows when the command ends before it is measured', async () => {
    const world = newWorld();
    const [far, near] = [new Probed('far'), new Probed('near', 30)];
    const command = async (): Promise<NodeCatalog> => {
      let probes = 0;
      far.probe = ({ signal }) =>
        probes++ === 0 ? Promise.resolve({ rttMs: 860 }) : abortable(new Promise(() => {}), signal, 'probe');
      const catalog = await world.open([far, near]);
      const ended = new AbortController();
      const probed = catalog.probeCandidates({ canSpare: () => false, signal: ended.signal });
      await expect.poll(() => world.clock.move(250) ?? probes).toBe(2);
      expect(catalog.ranked().map(({ provider }) => provider.id)).toEqual(['near', 'far']);
      ended.abort();
      await probed.catch(() => {});
      await expect.poll(() => catalog.snapshot()[0]!.rttMs).toBe(430);
      return catalog;
    };
    await (await command()).close();
    world.clock.move(1_000);
    const next = await world.open([far, near]);
    expect(next.ranked().map(({ provider }) => provider.id)).toEqual(['near', 'far']);
  });

  it('asks once more too when others have asked lately and nobody got to know the way', async () => {
    const world = newWorld();
    const node = new Probed('a');
    const before = await world.open([node]);
    node.probe = async () => ({ rttMs: 860 });
    // Asked about by itself, a provider is not measured.
    await before.probe('a');
    await before.close();
    let probes = 0;
    node.probe = async () => ({ rttMs: probes++ === 0 ? 860 : 429 });
    world.clock.move(1_000);
    const next = await world.open([node]);
    await next.probeCandidates({ canSpare: () => false });
    await expect.poll(() => next.snapshot()[0]!.rttMs).toBe(429);
  });

  it('times a probe itself when the adapter names no possible RTT', async () => {
    const world = newWorld();
    const node = new Probed('a');
    node.probe = async () => {
      world.clock.move(25);
      return { rttMs: Number.NaN, freeBytes: -1 };
    };
    const catalog = await world.open([node]);
    expect(await catalog.probeAll()).toMatchObject([{ rttMs: 25 }]);
    expect(catalog.snapshot()[0]!.freeBytes).toBeUndefined();
  });

  it('tells each probe to whoever keeps the figures', async () => {
    const told: unknown[] = [];
    const health = { providerHealth: (...figures: unknown[]) => told.push(figures), providerFailures() {} };
    const node = new Probed('a', 12);
    const catalog = await newWorld().open([node], { health });
    await catalog.probeAll();
    node.fails();
    await catalog.probeAll();
    expect(told).toEqual([
      ['a', 12, 0],
      ['a', 12, 0.2],
    ]);
  });

  it('repeats at the interval and stores what it saw, until told to stop', async () => {
    const world = newWorld();
    const node = new Probed('a', 10);
    const catalog = await world.open([node]);
    const controller = new AbortController();
    const running = catalog.start({ signal: controller.signal });
    for (let round = 1; round <= 3; round++) {
      await expect.poll(() => world.clock.asleep).toBe(1);
      expect(node.probes).toBe(round);
      world.clock.move(world.policy.probe.intervalMs);
    }
    await expect.poll(() => world.clock.asleep).toBe(1);
    controller.abort();
    await running;
    expect((await world.open([node])).snapshot()[0]).toMatchObject({ rttMs: 10, state: 'ok' });
    await expect(catalog.start({ signal: controller.signal })).rejects.toThrow(TypeError);
  });

  it('goes on after a step of a round that failed, says so, and tells of the round', async () => {
    const world = newWorld();
    const node = new Probed('a', 10);
    const catalog = await world.open([node]);
    await world.engine.close();
    const controller = new AbortController();
    let rounds = 0;
    const running = catalog.start({ signal: controller.signal, onRound: () => rounds++ });
    await expect.poll(() => world.clock.asleep).toBe(1);
    world.clock.move(world.policy.probe.intervalMs);
    await expect.poll(() => node.probes).toBe(2);
    controller.abort();
    await running;
    expect(rounds).toBe(2);
    expect(world.events[0]).toMatchObject({ type: 'round_failed', error: { code: 'engine_closed' } });
  });
});
