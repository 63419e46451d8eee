import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { utf8Decode } from '../../src/core/bytes.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { PutJournal } from '../../src/records/journal.ts';
import { sweepJournal } from '../../src/upkeep/sweep.ts';
import { aroundWrites } from '../helpers/engine.ts';
import { noise, testVault } from '../helpers/vault.ts';
import { blake3 } from '../providers/deps.ts';

const IDS = ['p1', 'p2', 'p3'];
const CONTENTS = [1, 2, 3].map((seed) => noise(100, seed));
const addressed = (bytes: Uint8Array): BlobAddress => addressOf(blake3.hash(bytes));
const everyone = (): boolean => true;

async function records({ engine }: VaultContext): Promise<string[]> {
  const values: string[] = [];
  for await (const [, value] of engine.table('journal').entries()) values.push(utf8Decode(value));
  return values;
}

/** Longer than a put needs to send a blob that it does not wait for. */
async function aFewTurns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await nextTurn();
}

/** Stores each of the blobs at each provider, as `intend` allows. */
async function storeAll(context: VaultContext, intend: (id: string, at: BlobAddress) => Promise<void>) {
  for (const bytes of CONTENTS) {
    const address = addressed(bytes);
    await Promise.all(
      IDS.map(async (id) => {
        await intend(id, address);
        await context.directory.get(id)!.adapter.store(address, [bytes]);
      }),
    );
  }
}

async function blobsLeft({ directory }: VaultContext): Promise<number> {
  let left = 0;
  for (const id of IDS) for await (const _ of directory.get(id)!.adapter.list()) left++;
  return left;
}

it('whatever a put sends is noted before, and flushed', async () => {
  const flushed = new Set<string>();
  let unnoted = 0;
  const { context } = await testVault({
    wrap: (adapter, index) =>
      new Proxy(adapter, {
        get: (its, key) => {
          const member: unknown = Reflect.get(its, key);
          if (typeof member !== 'function') return member;
          return (...args: unknown[]) => {
            if (key === 'store' && !flushed.has(`p${index + 1}/${String(args[0])}`)) unnoted++;
            return member.apply(its, args) as unknown;
          };
        },
      }),
  });
  const engine = aroundWrites(context.engine, async ({ ops, sync }, work) => {
    const done = await work();
    await aFewTurns();
    const noted = ops.filter(({ table, key, value }) => table === 'journal' && key.includes('/') && value);
    for (const { value } of sync ? noted : [])
      for (const place of utf8Decode(value!).split('\n')) flushed.add(place);
    return done;
  });
  await putObject({ ...context, engine }, noise(1_500_000, 1), { name: 'x' });
  expect(flushed.size).toBeGreaterThan(9);
  expect(unnoted).toBe(0);
});

it('copies of a blob share a record, which is there before any of them is sent', async () => {
  const { context } = await testVault();
  const engine = aroundWrites(context.engine, async (_, work) => {
    await aFewTurns();
    return work();
  });
  const journal = await PutJournal.begin({ ...context, engine }, undefined);
  await storeAll(context, async (id, address) => {
    await journal.intend(id, address);
    expect((await records(context)).join()).toContain(`${id}/${address}`);
  });
  expect(await records(context)).toHaveLength(1 + CONTENTS.length);
  await journal.end();
  expect(await records(context)).toEqual([]);
});

it('what a dead process had sent is found and deleted, once it is dead', async () => {
  const { context } = await testVault();
  const journal = await PutJournal.begin(context, undefined);
  await storeAll(context, (id, address) => journal.intend(id, address));
  expect(await blobsLeft(context)).toBe(9);
  expect(await sweepJournal(context, () => false)).toMatchObject({ finished: 0, blobs: 0 });
  expect(await blobsLeft(context)).toBe(9);
  expect(await sweepJournal(context, everyone)).toMatchObject({ finished: 1, blobs: 9 });
  expect(await blobsLeft(context)).toBe(0);
  expect(await records(context)).toEqual([]);
});

it('so is what an earlier version had sent, which kept a record for each blob', async () => {
  const { context } = await testVault();
  const table = context.engine.table('journal');
  await table.put('0123456789abcdef', Buffer.from(JSON.stringify({ owner: 'gone' })));
  await storeAll(context, (id, address) => table.put(`0123456789abcdef/${id}/${address}`, new Uint8Array(0)));
  expect(await sweepJournal(context, everyone)).toMatchObject({ finished: 1, blobs: 9 });
  expect(await blobsLeft(context)).toBe(0);
  expect(await records(context)).toEqual([]);
});
