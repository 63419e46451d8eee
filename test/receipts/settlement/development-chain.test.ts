import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Anchor } from '../../../src/receipts/anchors/anchor.ts';
import { accountOf } from '../../../src/receipts/anchors/evm/contract-calls.ts';
import { openEvmAnchor } from '../../../src/receipts/anchors/evm/evm.ts';
import type { EpochStanding, FolderWatcher } from '../../../src/receipts/settlement/watcher.ts';
import { deployAnchor } from '../../../src/receipts.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { Anvil, anvilProgram, CHAIN_ID, KEYS } from '../anchors/anvil.ts';
import { newChainWorld, putRoot } from './chain.ts';
import { MIB, sumOf } from './world.ts';

const program = anvilProgram('settlement on a chain');
const ROOTS = process.env.SLOW === '1' ? 200 : 20;
const DEPTH = 4;

describe.skipIf(program === undefined)('on a development chain', () => {
  let chain: Anvil;
  let anchor: Anchor;
  beforeAll(async () => {
    chain = await Anvil.start(program!);
    await chain.ask('evm_setAutomine', true);
    const { contract } = await deployAnchor({ url: chain.url, key: KEYS[0] });
    await chain.ask('evm_setAutomine', false);
    await chain.mine(3);
    anchor = openEvmAnchor({
      ...{ url: chain.url, fetch, clock: new FakeClock(), deadlineMs: 30_000, account: accountOf(KEYS[0]) },
      ...{
        chainId: CHAIN_ID,
        contract: contract as `0x${string}`,
        maxFee: 200_000_000_000n,
        stuckMs: 60_000,
      },
      confirmations: DEPTH,
    });
  });
  afterAll(() => chain?.stop());

  const count = (standings: readonly EpochStanding[]): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const { state } of standings) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  };
  /** Rounds with a block after each, until `isEnough`. */
  const until = async (
    watcher: FolderWatcher,
    isEnough: (counts: Record<string, number>, seen: Record<string, number>) => boolean,
  ): Promise<Record<string, number>> => {
    const seen: Record<string, number> = {};
    for (let round = 0; round < 60; round++) {
      const counts = count(await watcher.round(anchor));
      for (const [state, times] of Object.entries(counts)) seen[state] = (seen[state] ?? 0) + times;
      if (isEnough(counts, seen)) return seen;
      await chain.mine();
    }
    throw new Error(`still ${JSON.stringify(seen)}`);
  };

  test('roots are anchored, forgotten, confirmed, credited once, forgotten after that and confirmed again', async () => {
    const { files, ledger, watcher, hasFinal } = newChainWorld({ poolCredits: 2 * ROOTS + 5 });
    const epochs = Array.from({ length: ROOTS }, (_, i) => 400_000 + i);
    for (const epoch of epochs) putRoot(files, epoch, { bytes: MIB + (epoch % 7), fill: epoch % 251 });
    const options = { confirmations: DEPTH };
    const one = watcher(options);
    await until(one, ({ confirming }) => confirming === ROOTS);
    // Not deep enough yet: all of them are gone again, and another process goes on.
    await chain.reorganise(Math.min(DEPTH, (await chain.height()) - 1));
    expect(count(await one.round(anchor))).toEqual({ anchoring: ROOTS });
    expect(await ledger.balances()).toEqual({});
    const two = watcher(options);
    await until(two, (_, { credited = 0 }) => credited === ROOTS);
    expect(epochs.every(hasFinal)).toBe(true);
    const balances = await ledger.balances();
    const earned = epochs.reduce((sum, epoch) => sum + BigInt(MIB + (epoch % 7)), 0n);
    expect(balances).toMatchObject({ 'provider/p1': earned, 'provider/p2': earned });
    expect(sumOf(balances)).toBe(0n);
    // Deeper than what was asked for: the last that are watched are told of, and are anchored again.
    await chain.reorganise(DEPTH + 3);
    const { lost = 0 } = count(await two.round(anchor));
    expect(lost).toBeGreaterThan(0);
    const again = await until(two, ({ lost: still = 0 }) => still === 0);
    expect(again.credited ?? 0).toBe(0);
    expect(await watcher(options).round(anchor)).toEqual([]);
    expect(await ledger.balances()).toEqual(balances);
    const told = Object.entries(balances).map(([account, bytes]) => `${account} ${bytes}`);
    console.log(
      `development chain: ${ROOTS} roots, ${lost} forgotten after their credit; ${told.join(', ')}`,
    );
  }, 600_000);
});
