import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HoldfastError } from '../../../src/core/errors.ts';
import { finalPath, rootPath } from '../../../src/receipts/log/folder.ts';
import { EPOCH_MS } from '../../../src/receipts/records/grants.ts';
import { decodeFinal } from '../../../src/receipts/settlement/final.ts';
import { flipped } from '../hours.ts';
import type { CrashingFiles } from '../world.ts';
import { Chain, FOLDER, GATEWAY_KEY, newChainWorld, putRoot } from './chain.ts';
import { MIB, sumOf } from './world.ts';

const briefly = (standings: readonly { epoch: number; state: string; depth?: number | undefined }[]) =>
  standings.map(({ epoch, state, depth }) => [epoch, state, ...(depth === undefined ? [] : [depth])]);

test('a root is anchored, becomes final at the depth that is asked for, and is credited then', async () => {
  const { files, chain, ledger, watcher, hasFinal } = newChainWorld();
  putRoot(files, 7);
  const one = watcher();
  expect(briefly(await one.round(chain))).toEqual([[7, 'anchoring']]);
  chain.mine();
  expect(briefly(await one.round(chain))).toEqual([[7, 'confirming', 1]]);
  chain.mine();
  expect(briefly(await one.round(chain))).toEqual([[7, 'confirming', 2]]);
  expect(hasFinal(7)).toBe(false);
  expect(await ledger.balances()).toEqual({});
  chain.mine();
  expect(briefly(await one.round(chain))).toEqual([[7, 'credited', 3]]);
  expect(decodeFinal(files.get(finalPath(FOLDER, 7)))).toMatchObject({
    ...{ gateway: GATEWAY_KEY, epoch: 7, anchor: 'evm', where: 'block 0', depth: 3 },
  });
  expect(await ledger.balances()).toMatchObject({ 'provider/p1': BigInt(MIB), 'provider/p2': BigInt(MIB) });
  expect(await one.round(chain)).toEqual([]);
  expect(await watcher().round(chain)).toEqual([]);
  expect(chain.submitted).toBe(1);
});

test('a chain that reorganises before the depth is given the root again, and nothing is credited meanwhile', async () => {
  const { files, chain, ledger, watcher } = newChainWorld();
  putRoot(files, 7);
  const one = watcher();
  await one.round(chain);
  chain.mine();
  chain.mine();
  chain.reorganise(2, false);
  expect(briefly(await one.round(chain))).toEqual([[7, 'anchoring']]);
  expect(chain.submitted).toBe(2);
  chain.mine();
  chain.reorganise(1, true);
  expect(briefly(await one.round(chain))).toEqual([[7, 'anchoring']]);
  expect(chain.submitted).toBe(2);
  expect(await ledger.balances()).toEqual({});
  for (let i = 0; i < 3; i++) chain.mine();
  expect(briefly(await one.round(chain))).toEqual([[7, 'credited', 3]]);
});

test('a chain that forgets what was credited is told of loudly and given it again; nobody is paid twice or unpaid', async () => {
  const { files, chain, ledger, watcher } = newChainWorld();
  putRoot(files, 7);
  putRoot(files, 8);
  const one = watcher();
  await one.round(chain);
  for (let i = 0; i < 3; i++) chain.mine();
  await one.round(chain);
  const before = await ledger.balances();
  chain.reorganise(3, false);
  for (const some of [one, watcher()])
    expect(await some.round(chain)).toEqual(
      [7, 8].map((epoch) => expect.objectContaining({ epoch, state: 'lost', code: 'anchor_lost' })),
    );
  for (let i = 0; i < 3; i++) chain.mine();
  expect(await one.round(chain)).toEqual([]);
  expect(await ledger.balances()).toEqual(before);
});

test('another anchor is given what was credited: it moves, and is lost only where it was there', async () => {
  const { files, chain, watcher } = newChainWorld();
  putRoot(files, 7);
  const one = watcher();
  await one.round(chain);
  for (let i = 0; i < 3; i++) chain.mine();
  await one.round(chain);
  const next = new Chain();
  const moving = { isMoving: true };
  expect(briefly(await one.round(next, undefined, moving))).toEqual([[7, 'moving']]);
  next.mine();
  expect(await one.round(next, undefined, moving)).toEqual([]);
  next.reorganise(1, false);
  expect(briefly(await one.round(next))).toEqual([[7, 'lost']]);
});

test('what was lost is looked for until it is there again, however many hours came since', async () => {
  const { files, chain, watcher } = newChainWorld();
  putRoot(files, 7);
  const first = watcher();
  await first.round(chain);
  for (let i = 0; i < 3; i++) chain.mine();
  await first.round(chain);
  chain.reorganise(3, false);
  for (let epoch = 10; epoch < 210; epoch++) putRoot(files, epoch);
  const taking = chain.submit.bind(chain);
  chain.submit = (items) => taking(items.filter(({ key }) => !key.endsWith('/7')));
  await first.round(chain);
  for (let i = 0; i < 3; i++) chain.mine();
  await first.round(chain);
  const lost = (await first.round(chain)).filter(({ state }) => state === 'lost');
  expect(briefly(lost)).toEqual([[7, 'lost']]);
  // Nor does another process forget it that was told.
  const other = watcher();
  expect(briefly(await other.round(chain, undefined, { lost: [7] }))).toEqual([[7, 'lost']]);
  chain.submit = taking;
  await other.round(chain);
  chain.mine();
  expect(await other.round(chain)).toEqual([]);
});

test('a final that lies there before its time pays nothing until the anchor has the root', async () => {
  const { files, chain, ledger, watcher } = newChainWorld();
  putRoot(files, 7);
  const one = watcher();
  await one.round(chain);
  for (let i = 0; i < 3; i++) chain.mine();
  await one.round(chain);
  const final = files.get(finalPath(FOLDER, 7));
  const other = newChainWorld();
  putRoot(other.files, 7);
  other.files.put(finalPath(FOLDER, 7), final);
  expect(briefly(await other.watcher().round(other.chain))).toEqual([[7, 'anchoring']]);
  expect(await other.ledger.balances()).toEqual({});
  // Nor does one of another root, though this one is anchored.
  putRoot(other.files, 7, { fill: 99 });
  other.chain.waiting.clear();
  await other.watcher().round(other.chain);
  for (let i = 0; i < 3; i++) other.chain.mine();
  expect(await other.watcher().round(other.chain)).toMatchObject([
    { state: 'refused', code: 'settled_otherwise' },
  ]);
  expect(await other.ledger.balances()).toEqual({});
  expect(await ledger.balances()).toMatchObject({ 'provider/p1': BigInt(MIB) });
});

test('a root that is forged, misplaced, damaged or another than was credited is refused; the other hours go on', async () => {
  const { files, chain, ledger, watcher } = newChainWorld();
  for (const epoch of [1, 2, 3, 4, 5]) putRoot(files, epoch);
  const path = (epoch: number): string => rootPath(FOLDER, epoch);
  const signed = files.get(path(1));
  files.put(path(1), flipped(signed, 8 * (signed.length - 1)));
  putRoot(files, 2, { says: 9 });
  files.put(path(3), files.get(path(3)).slice(0, 90));
  const one = watcher();
  await one.round(chain);
  for (let i = 0; i < 3; i++) chain.mine();
  expect((await one.round(chain)).map(({ epoch, state, code }) => [epoch, state, code])).toEqual([
    [1, 'refused', 'root_refused'],
    [2, 'refused', 'root_refused'],
    [3, 'refused', 'receipt_malformed'],
    [4, 'credited', undefined],
    [5, 'credited', undefined],
  ]);
  putRoot(files, 5, { fill: 77, bytes: 9 * MIB });
  const standings = await watcher().round(chain);
  expect(standings.at(-1)).toMatchObject({ epoch: 5, state: 'refused', code: 'settled_otherwise' });
  expect(await ledger.balances()).toMatchObject({ 'provider/p1': BigInt(2 * MIB) });
});

test('an hour that is not over is neither anchored nor credited until it is', async () => {
  const { files, chain, clock, ledger, watcher } = newChainWorld();
  const ahead = Math.floor(clock.now() / EPOCH_MS) + 2;
  putRoot(files, 7);
  putRoot(files, ahead);
  const one = watcher();
  await one.round(chain);
  for (let i = 0; i < 3; i++) chain.mine();
  expect((await one.round(chain)).map(({ epoch, state, code }) => [epoch, state, code])).toEqual([
    [7, 'credited', undefined],
    [ahead, 'failed', 'epoch_not_over'],
  ]);
  expect(chain.submitted).toBe(1);
  clock.jump += 3 * EPOCH_MS;
  await one.round(chain);
  for (let i = 0; i < 3; i++) chain.mine();
  expect(briefly(await one.round(chain))).toEqual([[ahead, 'credited', 3]]);
  expect(await ledger.balances()).toMatchObject({ 'provider/p1': BigInt(2 * MIB) });
});

test('one root that the anchor refuses keeps no other from it, and an anchor that is away fails the round', async () => {
  const { files, chain, ledger, watcher } = newChainWorld();
  putRoot(files, 1, { fill: 50 });
  await watcher().round(chain);
  for (const epoch of [1, 2, 3]) putRoot(files, epoch);
  chain.mine();
  const one = watcher();
  expect((await one.round(chain)).map(({ epoch, state, code }) => [epoch, state, code])).toEqual([
    [1, 'refused', 'anchor_conflict'],
    [2, 'anchoring', undefined],
    [3, 'anchoring', undefined],
  ]);
  chain.fault = () => new HoldfastError('Unavailable', 'away');
  await expect(one.round(chain)).rejects.toMatchObject({ kind: 'Unavailable' });
  chain.fault = undefined;
  for (let i = 0; i < 3; i++) chain.mine();
  expect(briefly(await one.round(chain)).slice(1)).toEqual([
    [2, 'credited', 3],
    [3, 'credited', 3],
  ]);
  expect(sumOf(await ledger.balances())).toBe(0n);
});

test('an anchor, a disk or a settlement that never answers ends the round by its deadline', async () => {
  const { files, chain, clock, watcher } = newChainWorld();
  putRoot(files, 1);
  const never = new Promise<never>(() => {});
  const stuck = Object.assign(Object.create(chain) as typeof chain, {
    name: 'evm' as const,
    look: () => never,
  });
  const round = watcher().round(stuck);
  const failed = expect(round).rejects.toMatchObject({ kind: 'Timeout' });
  await clock.advance(61_000);
  await failed;
  const silent = watcher({ settlement: { issueRead: () => never, bookedRead: () => never } }).round(chain);
  await clock.advance(61_000);
  expect(await silent).toMatchObject([{ epoch: 1, state: 'failed', code: 'Timeout' }]);
});

test('rounds of many processes, crashes, replays and reorganisations in any order: one final, one credit', async () => {
  const act = fc.oneof(
    fc.record({ act: fc.constant('round'), who: fc.nat(2), fails: fc.option(fc.nat(7)) }),
    fc.record({ act: fc.constant('mine') }),
    fc.record({ act: fc.constant('reorganise'), depth: fc.integer({ min: 1, max: 5 }), keeps: fc.boolean() }),
    fc.record({ act: fc.constant('restart'), who: fc.nat(2) }),
    fc.record({ act: fc.constant('root'), epoch: fc.nat(5) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 40 }), async (acts) => {
      const { files, chain, ledger, watcher, hasFinal } = newChainWorld();
      const watchers = [watcher(), watcher(), watcher()];
      const roots = new Set<number>();
      const finals = new Map<number, string>();
      for (const one of acts) {
        if (one.act === 'mine') chain.mine();
        else if (one.act === 'reorganise') chain.reorganise(one.depth, one.keeps);
        else if (one.act === 'restart') watchers[one.who] = watcher();
        else if (one.act === 'root') {
          if (!roots.has(one.epoch)) putRoot(files, one.epoch);
          roots.add(one.epoch);
        } else {
          files.steps = one.fails ?? Number.POSITIVE_INFINITY;
          const died = await watchers[one.who]!.round(chain).then(
            () => files.isStopped,
            () => true,
          );
          files.steps = Number.POSITIVE_INFINITY;
          if (died) watchers[one.who] = watcher();
        }
        await judge(files, finals, ledger);
      }
      for (let i = 0; i < 3; i++) {
        await watcher().round(chain);
        for (let n = 0; n < 3; n++) chain.mine();
      }
      await watcher().round(chain);
      const balances = await ledger.balances();
      expect(balances['provider/p1'] ?? 0n).toBe(BigInt(roots.size * MIB));
      for (const epoch of roots) expect(hasFinal(epoch)).toBe(true);
    }),
    { numRuns: process.env.SLOW === '1' ? 3_000 : 80 },
  );
});

/** Nothing is paid without a final, no final changes, and debits equal credits. */
async function judge(
  files: CrashingFiles,
  finals: Map<number, string>,
  ledger: { balances(): Promise<Record<string, bigint>> },
): Promise<void> {
  for (const path of files.paths()) {
    const epoch = /\/(\d+)\.final$/.exec(path)?.[1];
    if (epoch === undefined || path.includes('/.')) continue;
    const text = Buffer.from(files.get(path)).toString('hex');
    expect(finals.get(Number(epoch)) ?? text).toBe(text);
    finals.set(Number(epoch), text);
  }
  const balances = await ledger.balances();
  expect(sumOf(balances)).toBe(0n);
  expect(Number(balances['provider/p1'] ?? 0n) / MIB).toBeLessThanOrEqual(finals.size);
}
