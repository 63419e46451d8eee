import { expect, it } from 'vitest';
import { createMemoryEngine, createRoutedEngine } from '../../src/engine/index.ts';
import { engineConformance } from './conformance.ts';

const one = Uint8Array.of(1);
const routed = () => {
  const [main, other] = [createMemoryEngine(), createMemoryEngine()];
  const opened = new Map([
    ['level', main],
    ['memory', other],
  ] as const);
  return createRoutedEngine(main, { away: 'memory', away_too: 'memory' }, opened);
};

engineConformance('routed', { make: async () => ({ engine: routed(), cleanUp: async () => {} }) });

it('a batch over tables of one engine is written, one over tables of two is refused whole', async () => {
  const engine = routed();
  const op = (table: string, key = 'a') => ({ table, key, value: one });
  expect(await engine.batch([op('away'), op('away_too')])).toBe(true);
  expect(await engine.table('away_too').get('a')).toEqual(one);
  const refused = {
    kind: 'ConfigInvalid',
    code: 'batch_across_engines',
    hint: expect.stringContaining('engine.overrides'),
  };
  await expect(engine.batch([op('here'), op('away', 'b')])).rejects.toMatchObject(refused);
  const elsewhere = { table: 'away', key: 'a', expected: one };
  await expect(engine.batch([op('here')], [elsewhere])).rejects.toMatchObject(refused);
  expect(await engine.table('here').get('a')).toBeUndefined();
  expect(await engine.table('away').get('b')).toBeUndefined();
});
