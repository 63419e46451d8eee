import { describe, expect, it } from 'vitest';
import { newWorld, Probed } from './world.ts';

describe('probing where some may be late', () => {
  it('before a put waits only for those that may take shards, and goes on with the others', async () => {
    const world = newWorld();
    const [gone, fine] = [new Probed('gone'), new Probed('fine', 7)];
    const catalog = await world.open([gone, fine]);
    gone.fails();
    for (let i = 0; i < 4; i++) await catalog.probeAll();
    expect(catalog.snapshot()[0]!.state).toBe('quarantined');
    let answer = (): void => {};
    gone.probe = () =>
      new Promise((resolve) => {
        answer = () => resolve({ rttMs: 5 });
      });
    world.clock.move(15_000);
    const probed = catalog.probeCandidates({ canSpare: () => false });
    // Until somebody may be late, and until the others have had their time.
    await expect.poll(() => world.clock.asleep).toBe(2);
    world.clock.move(250);
    await probed;
    expect(fine.probes).toBe(5);
    answer();
    await expect.poll(() => catalog.snapshot()[0]!.why).not.toContain('its last probe failed');
    expect(catalog.snapshot()[0]!.why).toContain('1 of 3 good probes');
  });

  it('before a put goes on without one that hangs, if the caller can spare it, and hears of it later', async () => {
    const world = newWorld();
    const near = [new Probed('a', 7), new Probed('b', 7), new Probed('c', 7)];
    const hung = new Probed('hung');
    const catalog = await world.open([...near, hung]);
    let answer = (): void => {};
    hung.probe = () =>
      new Promise((resolve) => {
        answer = () => resolve({ rttMs: 5 });
      });
    const asked: string[][] = [];
    const probed = catalog.probeCandidates({
      canSpare: (late) => asked.push([...late]) > 0,
    });
    await expect.poll(() => world.clock.asleep).toBe(1);
    world.clock.move(500);
    await probed;
    expect(asked).toEqual([['hung']]);
    const shown = () => catalog.snapshot()[3]!;
    expect(shown()).toMatchObject({
      state: 'unreachable',
      why: 'no answer after 0.5 s, long after the others',
    });
    answer();
    await expect.poll(() => shown().state).toBe('ok');
  });

  it('says of one that was given up why, not that the caller has gone', async () => {
    const world = newWorld();
    const hung = new Probed('hung');
    const catalog = await world.open([new Probed('a', 7), new Probed('b', 7), hung]);
    hung.probe = () => new Promise(() => {});
    const closed = new AbortController();
    const probed = catalog.probeCandidates({ canSpare: () => true, signal: closed.signal });
    await expect.poll(() => catalog.snapshot().filter(({ rttMs }) => rttMs !== undefined)).toHaveLength(2);
    world.clock.move(500);
    await probed;
    closed.abort();
    const why = 'its last probe failed: Timeout, no answer after 0.5 s, long after the others';
    await expect.poll(() => catalog.snapshot()[2]!.why).toBe(why);
  });

  it('tells an operator soon who is silent, and tells what became of it after all', async () => {
    const world = newWorld();
    const hung = new Probed('hung');
    const catalog = await world.open([new Probed('a', 7), hung, new Probed('b', 7)]);
    let answer = (): void => {};
    hung.probe = () =>
      new Promise((resolve) => {
        answer = () => resolve({ rttMs: 5 });
      });
    const probed = catalog.probeAll({ mode: 'pardon', untilLate: true });
    await expect.poll(() => catalog.snapshot().filter(({ rttMs }) => rttMs !== undefined)).toHaveLength(2);
    await expect.poll(() => world.clock.asleep).toBe(1);
    world.clock.move(500);
    const why = 'no answer after 0.5 s, long after the others';
    expect(await probed).toEqual([
      { provider: 'a', rttMs: 7, error: undefined },
      { provider: 'hung', rttMs: undefined, error: why },
      { provider: 'b', rttMs: 7, error: undefined },
    ]);
    expect(catalog.snapshot()[1]).toMatchObject({ state: 'unreachable', why });
    answer();
    await expect.poll(() => catalog.snapshot()[1]!.state).toBe('ok');
  });

  it('before a put waits for one that hangs when the caller cannot spare it, or when it always took that long', async () => {
    const world = newWorld();
    const near = [new Probed('a', 7), new Probed('b', 7)];
    const far = new Probed('far', 400);
    const catalog = await world.open([...near, far]);
    await catalog.probeAll();
    let answer = (): void => {};
    far.probe = () =>
      new Promise((resolve) => {
        answer = () => resolve({ rttMs: 400 });
      });
    let over = false;
    const spared: string[] = [];
    const probed = catalog.probeCandidates({ canSpare: (late) => spared.push(...late) < 0 }).then(() => {
      over = true;
    });
    for (let i = 0; i < 50; i++) {
      await expect.poll(() => world.clock.asleep).toBe(1);
      // Three times what it usually takes are 1.2 s.
      expect(spared.length > 0).toBe(world.clock.ms >= 1_000_000 + 1_200);
      world.clock.move(i === 0 ? 500 : 25);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(over).toBe(false);
    answer();
    await expect.poll(() => over || world.clock.move(250)).toBe(true);
    await probed;
  });

  it('before a put takes no provider for late that is known to be far away and must be connected to first', async () => {
    const world = newWorld();
    const near = [new Probed('a', 7), new Probed('b', 7)];
    const far = new Probed('far', 400);
    const before = await world.open([...near, far]);
    await before.probeAll();
    await before.close();
    let answer = (): void => {};
    far.probe = () =>
      new Promise((resolve) => {
        answer = () => resolve({ rttMs: 1_600 });
      });
    const catalog = await world.open([...near, far]);
    let asked = false;
    const canSpare = (): boolean => {
      asked = true;
      return true;
    };
    const probed = catalog.probeCandidates({ canSpare });
    for (let i = 0; i < 50; i++) {
      await expect.poll(() => world.clock.asleep).toBe(1);
      world.clock.move(i === 0 ? 500 : 25);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(asked).toBe(false);
    far.answers(400);
    answer();
    await expect.poll(() => world.clock.move(250) ?? catalog.snapshot()[2]!.state).toBe('ok');
    await probed;
    expect(asked).toBe(false);
  });

  it('before a put waits for all when none may take shards: that is how they come back', async () => {
    const world = newWorld();
    const node = new Probed('a');
    const catalog = await world.open([node]);
    node.fails();
    for (let i = 0; i < 4; i++) await catalog.probeAll();
    node.answers(5);
    for (let i = 0; i < 10; i++) {
      world.clock.move(15_000);
      await catalog.probeCandidates({ canSpare: () => false });
    }
    expect(catalog.snapshot()[0]!.state).toBe('ok');
  });
});
