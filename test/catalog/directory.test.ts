import { expect, it } from 'vitest';
import { createPunctuality, directoryOf } from '../../src/catalog/directory.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { possibleTakers } from '../../src/pipeline/put/plan.ts';
import { newWorld, Probed } from './world.ts';

const store = { operation: 'store', bytes: 1_000_000, elapsedMs: 100 } as const;
const failed = { ...store, error: new HoldfastError('Unavailable', 'gone') };

async function open(...nodes: Probed[]) {
  const world = newWorld();
  const catalog = await world.open(nodes);
  await catalog.probeAll();
  const directory = directoryOf(catalog, world.clock, createPunctuality(world.clock));
  return { world, catalog, directory };
}

it('a read costs more while a provider is left out after failures, and not a moment longer', async () => {
  const { world, directory } = await open(new Probed('a', 18, { price: 3 }), new Probed('b', 18));
  expect(directory.readCost('a')).toBe(3);
  for (let i = 0; i < 3; i++) directory.report('a', failed);
  expect(directory.readCost('a')).toBe(3_000);
  world.clock.move(60_000);
  expect(directory.readCost('a')).toBe(3);
});

it('a read costs four times as much for each step that a provider is behind the best', async () => {
  const { directory } = await open(new Probed('a', 18), new Probed('b', 100), new Probed('c', 429));
  expect(['a', 'b', 'c'].map((id) => directory.readCost(id))).toEqual([1, 4, 16]);
});

it('a provider that is full is read like any other', async () => {
  const { directory } = await open(new Probed('a', 18, { credits: 0 }), new Probed('b', 18));
  expect(directory.forStore().leftOut).toMatchObject([{ id: 'a' }]);
  expect(directory.readCost('a')).toBe(1);
});

it('what is left out tells why, and what is left in comes with its score, best first', async () => {
  const { catalog, directory } = await open(
    new Probed('far', 429),
    new Probed('near', 18),
    new Probed('out'),
  );
  await catalog.setMaintenance('out', true);
  const { eligible, scores, leftOut } = directory.forStore();
  expect(eligible.map(({ id }) => id)).toEqual(['near', 'far']);
  expect(scores).toEqual([1 / 18, 1 / 429]);
  expect(leftOut).toEqual([{ id: 'out', why: 'the operator put it in maintenance' }]);
});

it('who lied once may still take part in a put, who lies all the time may not', async () => {
  const { directory } = await open(new Probed('a', 18), new Probed('b', 18), new Probed('c', 18));
  const lied = {
    operation: 'fetch',
    bytes: 1,
    elapsedMs: 1,
    error: new HoldfastError('NotFound', 'gone'),
  } as const;
  directory.report('b', lied);
  for (let i = 0; i < 9; i++) directory.report('c', lied);
  expect(directory.forStore().eligible.map(({ id }) => id)).toEqual(['a']);
  expect(possibleTakers(directory).map(({ id }) => id)).toEqual(['a', 'b']);
});
