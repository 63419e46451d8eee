import { describe, expect, it } from 'vitest';
import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { verifyObject } from '../../src/upkeep/verify.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';

async function copyOf(engine: Engine): Promise<Engine> {
  const copy = createMemoryEngine();
  for (const name of ['names', 'manifests', 'manifest_order', 'manifest_times', 'journal']) {
    for await (const [key, value] of engine.table(name).entries()) await copy.table(name).put(key, value);
  }
  return copy;
}

describe('a state that is older than the objects', () => {
  it.each([3_000, 700_000])(
    'says so when it reads an object of %i bytes, and how to mend it',
    async (size) => {
      const { context } = await testVault({ policy: { packTargetBytes: 64 * 1024 } });
      await putObject(context, noise(size, 1), { name: 'x' });
      const restored = { ...context, engine: await copyOf(context.engine) };
      await putObject(context, noise(size, 2), { name: 'x' });
      const read = async () => readAll(await getObject(restored, 'x'));
      await expect(read()).rejects.toMatchObject({
        code: 'state_behind',
        hint: expect.stringContaining('holdfast recover'),
      });
      await expect(verifyObject(restored, 'x')).rejects.toMatchObject({ code: 'state_behind' });
      await recoverVault(restored);
      expect(Buffer.compare(await read(), noise(size, 2))).toBe(0);
    },
  );

  it('is not blamed for what is really gone', async () => {
    const { context, providers } = await testVault({ providers: 3 });
    const { manifest } = await putObject(context, noise(3000), { name: 'x' });
    const fresh = { ...context, engine: await copyOf(context.engine) };
    await fresh.engine.table('manifests').delete(manifest);
    for (const { adapter } of providers) await adapter.delete(manifest);
    await expect(getObject(fresh, 'x')).rejects.toMatchObject({ kind: 'NotFound', code: 'NotFound' });
  });
});
