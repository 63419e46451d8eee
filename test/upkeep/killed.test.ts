import { expect, it } from 'vitest';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { emptyTrash } from '../../src/records/trash.ts';
import { createRetention } from '../../src/upkeep/retention.ts';
import { sweepJournal } from '../../src/upkeep/sweep.ts';
import { aroundWrites } from '../helpers/engine.ts';
import { noise, testVault } from '../helpers/vault.ts';

/** A vault, and the same as a process sees it that ends before any one of the steps that leave something behind. */
async function stoppable() {
  let left = Number.POSITIVE_INFINITY;
  let stopped = (): void => {};
  const over = new Promise<'stopped'>((resolve) => {
    stopped = () => resolve('stopped');
  });
  const step = async <T>(work: () => Promise<T>): Promise<T> => {
    if (left-- > 0) return work();
    stopped();
    return new Promise(() => {});
  };
  const { context, providers } = await testVault({
    policy: { packTargetBytes: 32 * 1024 },
    chunkBytes: 64 * 1024,
  });
  const doomed = {
    ...context,
    engine: aroundWrites(context.engine, (_, work) => step(work)),
    directory: context.directory,
  };
  doomed.retention = createRetention(doomed, 0);
  const itsProviders = providers.map((provider): Provider => {
    const { adapter } = provider;
    const store: BlobAdapter['store'] = (...given) => step(() => adapter.store(...given));
    const remove: BlobAdapter['delete'] = (...given) => step(() => adapter.delete(...given));
    return { ...provider, adapter: { ...adapter, store, delete: remove } };
  });
  doomed.directory = {
    ...context.directory,
    all: () => itsProviders,
    get: (id) => itsProviders.find((provider) => provider.id === id),
    forStore: () => ({ eligible: itsProviders, leftOut: [] }),
  };
  return {
    doomed,
    over,
    stopAfter(steps: number): void {
      left = steps;
    },
    /** The next process clears up. @returns how many blobs there are then. */
    async sweep(): Promise<number> {
      await sweepJournal(context, () => true);
      await emptyTrash(context, async () => true);
      let blobs = 0;
      for (const { adapter } of providers) for await (const _ of adapter.list()) blobs++;
      return blobs;
    },
  };
}

const object = noise(700_000, 1);
const next = noise(700_000, 2);

it('an overwriting put that is stopped at any point leaves one whole version and not a blob more', async () => {
  const counts = new Set<number>();
  let stoppedAt = 0;
  for (let steps = 1; ; steps += 5) {
    const vault = await stoppable();
    await putObject(vault.doomed, object, { name: 'x' });
    vault.stopAfter(steps);
    const put = putObject(vault.doomed, next, { name: 'x' }).then(() => 'done' as const);
    if ((await Promise.race([put, vault.over])) === 'done') break;
    // What had begun may end; nothing more begins.
    await new Promise((resolve) => setTimeout(resolve, 1));
    counts.add(await vault.sweep());
    stoppedAt = steps;
  }
  expect(stoppedAt).toBeGreaterThan(150);
  expect([...counts]).toHaveLength(1);
});
