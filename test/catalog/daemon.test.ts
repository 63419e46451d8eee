import { describe, expect, it } from 'vitest';
import { createMemoryEngine } from '../../src/engine/index.ts';
import { newWorld, Probed } from './world.ts';

/** An engine that counts what is read of it, and says of itself what it is told to. */
function countedEngine(mark: () => string | undefined) {
  const inner = createMemoryEngine();
  const reads = { count: 0 };
  const engine = {
    ...inner,
    name: inner.name,
    close: () => inner.close(),
    revision: async () => mark(),
    table: (name: string) => {
      const table = inner.table(name);
      return new Proxy(table, {
        get(target, key) {
          if (key === 'get') reads.count++;
          const member = Reflect.get(target, key) as unknown;
          return typeof member === 'function' ? member.bind(target) : member;
        },
      });
    },
  } as unknown as typeof inner;
  return { engine, reads };
}

describe('the daemon loop', () => {
  it('sees within seconds that another process put a provider into maintenance, and says so', async () => {
    const world = newWorld();
    const nodes = [new Probed('a'), new Probed('b')];
    const [operator, daemon] = [await world.open(nodes), await world.open(nodes)];
    const end = new AbortController();
    const running = daemon!.start({ signal: end.signal });
    await expect.poll(() => world.clock.asleep).toBe(1);
    await operator!.setMaintenance('a', true);
    const probes = nodes[0]!.probes;
    world.clock.move(5_000);
    await expect.poll(() => daemon!.snapshot()[0]!.state).toBe('maintenance');
    expect(nodes[0]!.probes).toBe(probes);
    expect(world.events).toContainEqual({
      type: 'maintenance_on',
      provider: 'a',
      why: 'the operator said so',
    });
    await expect.poll(() => world.clock.asleep).toBe(1);
    await operator!.setMaintenance('a', false);
    world.clock.move(5_000);
    await expect.poll(() => daemon!.snapshot()[0]!.state).toBe('ok');
    expect(world.events.at(-1)).toMatchObject({ type: 'maintenance_off', provider: 'a' });
    end.abort();
    await running;
  });

  it('reads nothing of an engine that nobody else has opened since', async () => {
    let mark = '1';
    const { engine, reads } = countedEngine(() => mark);
    const world = newWorld();
    const catalog = await world.open([new Probed('a')], { engine });
    const end = new AbortController();
    const running = catalog.start({ signal: end.signal });
    const round = async (): Promise<number> => {
      await expect.poll(() => world.clock.asleep).toBe(1);
      const before = reads.count;
      world.clock.move(5_000);
      await expect.poll(() => world.clock.asleep).toBe(1);
      return reads.count - before;
    };
    expect(await round()).toBe(0);
    mark = '2';
    expect(await round()).toBeGreaterThan(0);
    expect(await round()).toBe(0);
    end.abort();
    await running;
  });

  it('begins later where one operation may be all there is', async () => {
    const world = newWorld();
    const node = new Probed('a');
    const catalog = await world.open([node]);
    const end = new AbortController();
    let rounds = 0;
    const onRound = (): void => void rounds++;
    const running = catalog.start({ signal: end.signal, firstAfterMs: 30_000, onRound });
    for (let at = 0; at < 30_000; at += 5_000) {
      await expect.poll(() => world.clock.asleep).toBe(1);
      expect([node.probes, rounds]).toEqual([0, 0]);
      world.clock.move(5_000);
    }
    await expect.poll(() => node.probes).toBe(1);
    await expect.poll(() => rounds).toBe(1);
    end.abort();
    await running;
  });
});
