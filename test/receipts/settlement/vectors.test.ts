import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { fromHex, utf8Decode, utf8Encode } from '../../../src/core/bytes.ts';
import { createMemoryEngine } from '../../../src/engine/index.ts';
import { epochOf, newLedger, served, type Terms } from './world.ts';

type Rows = Readonly<Record<string, string>>;

const vectors: {
  readonly terms: Partial<Terms>;
  readonly hours: readonly {
    readonly epoch: number;
    readonly digest: string;
    readonly providers: readonly [string, number, number][];
  }[];
  readonly gateway: string;
  readonly at: number;
  readonly tables: Readonly<Record<string, Rows>>;
} = JSON.parse(await readFile(new URL('../../vectors/ledger-v1.json', import.meta.url), 'utf8'));

test('a ledger has the records that the page gives, byte for byte', async () => {
  const world = newLedger(vectors.terms);
  world.clock.jump = vectors.at - world.clock.now();
  for (const { epoch, digest, providers } of vectors.hours) {
    const its = providers.map(([id, bytes, readers]) => served(id, bytes, { readers }));
    const more = { gateway: fromHex(vectors.gateway), digest: fromHex(digest) };
    await world.settlement.issueRead(epochOf(epoch, its, more));
  }
  for (const [table, rows] of Object.entries(vectors.tables)) {
    const found: Record<string, string> = {};
    for await (const [key, value] of world.engine.table(table).entries()) found[key] = utf8Decode(value);
    expect(found).toEqual(rows);
  }
});

test('a ledger that was written by the page is read and goes on', async () => {
  const engine = createMemoryEngine();
  for (const [table, rows] of Object.entries(vectors.tables))
    for (const [key, value] of Object.entries(rows)) await engine.table(table).put(key, utf8Encode(value));
  const { settlement, balances } = newLedger(vectors.terms, engine);
  const [hour] = vectors.hours;
  const again = { gateway: fromHex(vectors.gateway), digest: fromHex(hour!.digest) };
  expect(await settlement.issueRead(epochOf(hour!.epoch, [], again))).toBe('already');
  const before = (await balances())['provider/p1']!;
  expect(await settlement.issueRead(epochOf(500_002, [served('p1', 9)]))).toBe('credited');
  expect(await balances()).toMatchObject({ 'provider/p1': before + 9n });
});
