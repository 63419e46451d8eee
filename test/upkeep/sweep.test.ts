import { expect, it } from 'vitest';
import { utf8Decode, utf8Encode } from '../../src/core/bytes.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import type { BatchOp } from '../../src/engine/engine.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { type PutOptions, putObject } from '../../src/pipeline/put/put.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { sweepJournal } from '../../src/upkeep/sweep.ts';
import { aroundWrites, touches } from '../helpers/engine.ts';
import { noise, readAll, type TestVault, testVault } from '../helpers/vault.ts';

/** The process dies at its first write to a table: this one and all after it are never done. */
function dyingAt(context: VaultContext, table: string, done: 'before' | 'after'): VaultContext {
  let dead = false;
  const engine = aroundWrites(context.engine, async (write, work) => {
    const last = touches(write, table);
    if (dead || (last && done === 'before')) {
      dead = true;
      throw new Error('the process is gone');
    }
    const result = await work();
    if (last) {
      dead = true;
      throw new Error('the process is gone');
    }
    return result;
  });
  return { ...context, engine, owner: async () => 'dead' };
}

const [old, fresh] = [noise(200_000, 1), noise(200_000, 2)];
const isDead = (owner: string): boolean => owner === 'dead';

async function blobsOf({ providers }: TestVault): Promise<number> {
  let count = 0;
  for (const { adapter } of providers) for await (const _ of adapter.list()) count++;
  return count;
}

async function journalOf({ context }: TestVault): Promise<string[]> {
  const keys: string[] = [];
  for await (const [key] of context.engine.table('journal').entries()) keys.push(key);
  return keys;
}

const contentOf = async (vault: TestVault, reference: string): Promise<Buffer> =>
  Buffer.from(await readAll(await getObject(vault.context, reference)));

/** A vault with an old version of `x`, and a put of a new one whose process died. */
async function interrupted(table: string, done: 'before' | 'after', options: PutOptions): Promise<TestVault> {
  const vault = await testVault();
  await putObject(vault.context, old, { name: 'x' });
  await putObject(dyingAt(vault.context, table, done), fresh, options).catch(() => {});
  return vault;
}

const ofVersion1 = (op: BatchOp): BatchOp => {
  const { v, state, ...header } = JSON.parse(utf8Decode(op.value!)) as Record<string, unknown>;
  expect([v, state]).toEqual([2, 'committed']);
  return { ...op, value: utf8Encode(JSON.stringify(header)) };
};

/** Earlier versions noted and kept a manifest before they pointed the name, each in a step of its own. */
async function leftByAnEarlierVersion(steps: readonly string[]): Promise<TestVault> {
  const vault = await oldOnly();
  const engine = aroundWrites(vault.context.engine, async (write, work) => {
    if (!touches(write, 'names')) return work();
    const ops = write.ops.filter(({ table }) => steps.includes(table));
    await vault.context.engine.batch(ops.map((op) => (op.table === 'journal' ? ofVersion1(op) : op)));
    throw new Error('the process is gone');
  });
  await putObject({ ...vault.context, engine, owner: async () => 'dead' }, fresh, { name: 'x' }).catch(
    () => {},
  );
  return vault;
}

it.each([
  ['before it was committed', () => interrupted('names', 'before', { name: 'x' })],
  ['of an earlier version, before the manifest was remembered', () => leftByAnEarlierVersion(['journal'])],
  [
    'of an earlier version, before the name was pointed',
    () => leftByAnEarlierVersion(['journal', 'manifests', 'manifest_times', 'manifest_order']),
  ],
] as const)('a put that died %s is undone: its blobs go, the old version stays', async (_, leave) => {
  const whole = await blobsOf(await oldOnly());
  const vault = await leave();
  expect(await blobsOf(vault)).toBeGreaterThan(whole);
  await sweepJournal(vault.context, isDead);
  expect(await blobsOf(vault)).toBe(whole);
  expect((await contentOf(vault, 'x')).equals(old)).toBe(true);
  expect(await journalOf(vault)).toEqual([]);
  const roots: string[] = [];
  for await (const [key] of vault.context.engine.table('manifests').entries()) roots.push(key);
  expect(roots).toHaveLength(1);
});

async function oldOnly(): Promise<TestVault> {
  const vault = await testVault();
  await putObject(vault.context, old, { name: 'x' });
  return vault;
}

it('a put that died after its name was pointed stands, and the version before goes', async () => {
  const whole = await blobsOf(await oldOnly());
  const vault = await interrupted('names', 'after', { name: 'x' });
  await sweepJournal(vault.context, isDead);
  expect((await contentOf(vault, 'x')).equals(fresh)).toBe(true);
  expect(await blobsOf(vault)).toBe(whole);
  expect(await journalOf(vault)).toEqual([]);
});

it('a put without a name that died once its manifest was remembered stands', async () => {
  const vault = await interrupted('manifest_order', 'after', {});
  const before = await blobsOf(vault);
  const roots: string[] = [];
  for await (const [key] of vault.context.engine.table('manifests').entries()) roots.push(key);
  expect(roots).toHaveLength(2);
  await sweepJournal(vault.context, isDead);
  expect(await blobsOf(vault)).toBe(before);
  const contents = await Promise.all(roots.map((root) => contentOf(vault, root)));
  expect(contents.some((content) => content.equals(old))).toBe(true);
  expect(contents.some((content) => content.equals(fresh))).toBe(true);
});

it('nothing of a put whose process is alive is touched', async () => {
  const vault = await interrupted('names', 'before', { name: 'x' });
  const [blobs, journal] = [await blobsOf(vault), await journalOf(vault)];
  expect(await sweepJournal(vault.context, () => false)).toMatchObject({ finished: 0, blobs: 0 });
  expect([await blobsOf(vault), await journalOf(vault)]).toEqual([blobs, journal]);
});

it.each([
  ['before', 'is there whole'],
  ['after', 'is gone whole'],
] as const)('an object whose removal died %s the name was removed %s', async (done, _) => {
  const vault = await oldOnly();
  const whole = await blobsOf(vault);
  await deleteObject(dyingAt(vault.context, 'names', done), 'x').catch(() => {});
  await sweepJournal(vault.context, isDead);
  expect(await blobsOf(vault)).toBe(done === 'before' ? whole : 0);
  if (done === 'before') expect((await contentOf(vault, 'x')).equals(old)).toBe(true);
  else await expect(getObject(vault.context, 'x')).rejects.toMatchObject({ kind: 'NotFound' });
  expect(await journalOf(vault)).toEqual([]);
});

it('a recovery finds the version whose put died before its name was copied, and not the one that was deleted', async () => {
  const vault = await interrupted('names', 'after', { name: 'x' });
  await sweepJournal(vault.context, isDead);
  const elsewhere = { ...vault.context, engine: createMemoryEngine() };
  expect(await recoverVault(elsewhere)).toMatchObject({ names: 1, lost: [] });
  expect(Buffer.from(await readAll(await getObject(elsewhere, 'x'))).equals(fresh)).toBe(true);
});

it('a recovery finds no name whose removal died before it was copied', async () => {
  const vault = await oldOnly();
  await deleteObject(dyingAt(vault.context, 'names', 'after'), 'x').catch(() => {});
  await sweepJournal(vault.context, isDead);
  const elsewhere = { ...vault.context, engine: createMemoryEngine() };
  expect(await recoverVault(elsewhere)).toMatchObject({ names: 0, deleted: 1, lost: [] });
});

it('a sweep leaves what a dead put replaced where another home has changed the name too, and says so', async () => {
  const vault = await oldOnly();
  const elsewhere = { ...vault.context, engine: createMemoryEngine() };
  await recoverVault(elsewhere);
  await putObject(elsewhere, noise(200_000, 3), { name: 'x' });
  const { context } = vault;
  await putObject(dyingAt(context, 'names', 'after'), fresh, { name: 'x' }).catch(() => {});
  expect((await sweepJournal(context, isDead)).forks).toMatchObject([{ name: 'x', version: 2 }]);
  expect((await contentOf(vault, 'x')).equals(fresh)).toBe(true);
  const third = { ...context, engine: createMemoryEngine() };
  expect(await recoverVault(third)).toMatchObject({ names: 2, lost: [], forks: [] });
});

it('a journal that cannot be finished keeps no other from it, and is tried again', async () => {
  const vault = await oldOnly();
  const { context } = vault;
  await deleteObject(dyingAt(context, 'names', 'after'), 'x').catch(() => {});
  await putObject(dyingAt(context, 'names', 'before'), fresh, { name: 'y' }).catch(() => {});
  const failure = new HoldfastError('PermissionDenied', 'not now');
  const retire = async (): Promise<never> => {
    throw failure;
  };
  const swept = await sweepJournal({ ...context, retention: { replacedMs: 0, retire } }, isDead);
  expect(swept).toMatchObject({ finished: 1, failures: [{ error: failure }] });
  expect([...swept.owners]).toEqual(['dead']);
  expect(await sweepJournal(context, isDead)).toMatchObject({ finished: 1, failures: [] });
  expect(await blobsOf(vault)).toBe(0);
  expect(await journalOf(vault)).toEqual([]);
});
