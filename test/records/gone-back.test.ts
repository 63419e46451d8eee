import { describe, expect, it } from 'vitest';
import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import { TABLE_NAMES } from '../../src/engine/tables.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { generationOf } from '../../src/records/generation.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { noise, testVault } from '../helpers/vault.ts';

/** An engine that can be put back to an earlier state under whoever has it open, and says so. */
class Rolling {
  readonly engine: Engine;
  #inner = createMemoryEngine();
  #history = 0;

  constructor() {
    this.engine = {
      name: 'memory',
      table: (name) => {
        const its = (): ReturnType<Engine['table']> => this.#inner.table(name);
        return {
          get: (...args) => its().get(...args),
          put: (...args) => its().put(...args),
          delete: (...args) => its().delete(...args),
          compareAndSet: (...args) => its().compareAndSet(...args),
          entries: (...args) => its().entries(...args),
        };
      },
      batch: (...args) => this.#inner.batch(...args),
      revision: () => this.#inner.revision(),
      history: () => this.#history,
      close: async () => {},
    };
  }

  /** @returns puts it back to what it is now. */
  async snapshot(): Promise<() => void> {
    const copy = createMemoryEngine();
    for (const table of TABLE_NAMES)
      for await (const [key, value] of this.#inner.table(table).entries())
        await copy.table(table).put(key, value);
    return () => {
      this.#inner = copy;
      this.#history++;
    };
  }
}

describe('an engine that goes back under a running process', () => {
  it.each([1, 3])(
    'is known to be behind, though %i changes take the place of one that was lost',
    async (changes) => {
      const rolling = new Rolling();
      const { context } = await testVault({ engine: rolling.engine });
      const put = (name: string, seed: number) => putObject(context, noise(2000, seed), { name });
      await put('a', 1);
      const goBack = await rolling.snapshot();
      await put('lost', 2);
      expect((await generationOf(context).standing()).state).toBe('confirmed');
      goBack();
      for (let i = 0; i < changes; i++) await put(`after ${i}`, 3 + i);
      expect((await generationOf(context).standing()).state).toBe('behind');
      await recoverVault(context);
      expect((await generationOf(context).standing()).state).toBe('confirmed');
      const found: string[] = [];
      for await (const [key] of rolling.engine.table('names').entries()) found.push(key);
      expect(found).toHaveLength(2 + changes);
    },
  );

  it('goes on where nothing was lost', async () => {
    const rolling = new Rolling();
    const { context } = await testVault({ engine: rolling.engine });
    await putObject(context, noise(2000, 1), { name: 'a' });
    (await rolling.snapshot())();
    expect(await putObject(context, noise(2000, 2), { name: 'b' })).toMatchObject({ stateBehind: false });
    expect((await generationOf(context).standing()).state).toBe('confirmed');
  });
});
