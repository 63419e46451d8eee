import { expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import { sealPointer } from '../../src/manifest/pointer.ts';
import type { RecordsContext } from '../../src/records/context.ts';
import { checkNames } from '../../src/records/name-check.ts';
import { listNames } from '../../src/records/name-listing.ts';
import { pointName, readName } from '../../src/records/names.ts';
import { testVault } from '../helpers/vault.ts';

const manifest = addressOf(new Uint8Array(32));
const target = { manifest, size: 7, createdMs: 1_700_000_000_000 };

async function vaultOf(names: readonly string[]): Promise<RecordsContext> {
  const { context } = await testVault({ providers: 1, arenaBytes: 4 * 1024 * 1024 });
  for (const name of names) await pointName(context, name, target);
  return context;
}

async function listed(context: RecordsContext): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for await (const one of listNames(context)) if ('name' in one) found[one.name] = one.version;
  return found;
}

const names = ['a', 'b', 'c'];

it('an index that says what the names say is left alone', async () => {
  const context = await vaultOf(names);
  expect(await checkNames(context)).toEqual({ damaged: [], stale: false });
  expect(await listed(context)).toEqual({ a: 1, b: 1, c: 1 });
});

it('an index that knows an older version of a name is made anew', async () => {
  const context = await vaultOf(names);
  const key = context.keys.nameKey('b');
  const pointer = { ...(await readName(context, 'b'))!, version: 9 };
  const sealed = sealPointer(pointer, key, context.keys.pointer, context.random);
  await context.engine.table('names').put(key, sealed);
  expect(await checkNames(context)).toEqual({ damaged: [], stale: true });
  expect(await listed(context)).toEqual({ a: 1, b: 9, c: 1 });
  expect((await checkNames(context)).stale).toBe(false);
});

it('an index that knows a name of which there is no record is made anew', async () => {
  const context = await vaultOf(names);
  await context.engine.table('names').delete(context.keys.nameKey('b'));
  expect(await checkNames(context)).toEqual({ damaged: [], stale: true });
  expect(await listed(context)).toEqual({ a: 1, c: 1 });
});

it('looks at no more than some names, however many there are', async () => {
  const context = await vaultOf(Array.from({ length: 400 }, (_, i) => `name ${i}`));
  let reads = 0;
  const table: typeof context.engine.table = (name) => {
    const inner = context.engine.table(name);
    return {
      ...inner,
      put: (...given) => inner.put(...given),
      delete: (...given) => inner.delete(...given),
      compareAndSet: (...given) => inner.compareAndSet(...given),
      entries: (...given) => inner.entries(...given),
      get: (...given) => {
        if (name === 'names') reads++;
        return inner.get(...given);
      },
    };
  };
  const engine = { ...context.engine, table, batch: context.engine.batch.bind(context.engine) };
  expect((await checkNames({ ...context, engine: engine as typeof context.engine })).stale).toBe(false);
  expect(reads).toBeGreaterThan(0);
  expect(reads).toBeLessThanOrEqual(200);
});
