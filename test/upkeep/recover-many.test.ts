import { expect, it } from 'vitest';
import { createMemoryEngine } from '../../src/engine/index.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';

const SLOW = process.env.SLOW === '1';

/** Every third name has three versions. */
const versionsOf = (i: number): number => (i % 3 === 0 ? 3 : 1);
const contentOf = (i: number, version: number): Uint8Array => noise(300 + (i % 50), i * 4 + version);

it.each(SLOW ? [100, 1000, 10_000] : [60])(
  'a home that is gone and three of nine providers take none of %i names with them',
  async (count) => {
    const { context, gone } = await testVault({ providers: 9 });
    for (let i = 0; i < count; i++) {
      for (let version = 1; version <= versionsOf(i); version++) {
        await putObject(context, contentOf(i, version), { name: `${i}` });
      }
    }
    for (const id of ['p2', 'p5', 'p9']) gone.add(id);
    const fresh = { ...context, engine: createMemoryEngine() };
    const started = performance.now();
    const result = await recoverVault(fresh);
    const ms = performance.now() - started;
    expect(result).toMatchObject({ names: count, manifests: count, lost: [], forks: [], rolledBack: [] });
    expect(result.unconfirmed.names).toEqual([]);
    for (let i = 0; i < count; i++) {
      const bytes = await readAll(await getObject(fresh, `${i}`));
      expect(Buffer.compare(bytes, contentOf(i, versionsOf(i))), `${i}`).toBe(0);
    }
    if (SLOW)
      console.log(`recover: ${count} names in ${ms.toFixed(0)} ms, ${(ms / count).toFixed(2)} ms each`);
  },
  SLOW ? 280_000 : undefined,
);
