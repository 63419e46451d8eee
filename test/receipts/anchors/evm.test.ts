import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Anchor, AnchorItem } from '../../../src/receipts/anchors/anchor.ts';
import { accountOf, anchorCall } from '../../../src/receipts/anchors/evm/contract-calls.ts';
import { type EvmAnchorOptions, openEvmAnchor } from '../../../src/receipts/anchors/evm/evm.ts';
import { deployAnchor, openChainAnchor } from '../../../src/receipts.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { Anvil, anvilProgram, CHAIN_ID, KEYS } from './anvil.ts';
import { epoch, epochs } from './world.ts';

const OWNER = accountOf(KEYS[0]);
const GWEI = 1_000_000_000n;
const program = anvilProgram('the anchor on a chain');

test('the contract is what the compiler makes of its source', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['scripts/contract.mjs', '--print'], {
    maxBuffer: 1024 * 1024,
  });
  expect(await readFile('src/receipts/anchors/evm/contract.ts', 'utf8')).toBe(stdout);
});

test.each([
  [{ url: 'http://chain.example' }, 'cleartext_secret'],
  [{ url: 'file:///etc/passwd' }, 'bad_option'],
  [{ contract: '0x12' }, 'bad_option'],
  [{ chainId: 0 }, 'bad_option'],
  [{ key: 'f'.repeat(64) }, 'credentials_invalid'],
  [{ key: 'c0ffee'.repeat(10) }, 'credentials_invalid'],
])('options that cannot be are refused, and no secret is told: %j', async (wrong, code) => {
  const options = {
    ...{ url: 'http://127.0.0.1:1', key: KEYS[0], chainId: 1, contract: `0x${'1'.repeat(40)}` },
    ...wrong,
  };
  const error: unknown = await openChainAnchor(options).catch((refusal: unknown) => refusal);
  expect(error).toMatchObject({ kind: 'ConfigInvalid', code });
  expect(JSON.stringify(error) + String(error) + String((error as Error).cause)).not.toContain(options.key);
});

const blob = (byte: number): AnchorItem => ({
  ...{ kind: 'blob', key: `b3:${byte.toString(16).padStart(2, '0').repeat(32)}`, total: 5_000 + byte },
  digest: new Uint8Array(32).fill(byte),
});

describe.skipIf(program === undefined)('on a chain', () => {
  let chain: Anvil;
  let contract: `0x${string}`;
  let clock: FakeClock;
  beforeAll(async () => {
    chain = await Anvil.start(program!);
    await chain.ask('evm_setAutomine', true);
    ({ contract } = (await deployAnchor({ url: chain.url, key: KEYS[0] })) as { contract: `0x${string}` });
    await chain.ask('evm_setAutomine', false);
    await chain.mine(3);
  });
  afterAll(() => chain?.stop());
  let state: string;
  beforeEach(async () => {
    if (state !== undefined) await chain.ask('evm_revert', state);
    state = await chain.ask<string>('evm_snapshot');
    await chain.ask('anvil_dropAllTransactions');
    clock = new FakeClock();
  });

  const open = (options: Partial<EvmAnchorOptions> = {}): Anchor =>
    openEvmAnchor({
      ...{ url: chain.url, fetch, clock, deadlineMs: 10_000, account: OWNER, chainId: CHAIN_ID, contract },
      ...{ maxFee: 200n * GWEI, stuckMs: 60_000, confirmations: 12 },
      ...options,
    });
  const states = async (anchor: Anchor, items: readonly AnchorItem[]): Promise<string[]> =>
    (await anchor.look(items)).map((one) => (one.state === 'included' ? `depth ${one.depth}` : one.state));
  const events = async (): Promise<number> =>
    (await chain.ask<unknown[]>('eth_getLogs', { address: contract, fromBlock: '0x0', toBlock: 'latest' }))
      .length;
  const inPool = async (): Promise<{ nonce: string; maxFeePerGas: string }[]> => {
    const { pending } = await chain.ask<{ pending: Record<string, Record<string, never>> }>('txpool_content');
    return Object.values(pending).flatMap((one) => Object.values(one));
  };

  test('what is submitted is pending, then included as deep as there are blocks, and once', async () => {
    const anchor = open();
    const items = [epoch(7), blob(1), epoch(8), blob(2)];
    expect(await states(anchor, items)).toEqual(Array(4).fill('absent'));
    await anchor.submit(items);
    await anchor.submit(items);
    expect(await states(anchor, items)).toEqual(Array(4).fill('pending'));
    await chain.mine();
    expect(await states(anchor, items)).toEqual(Array(4).fill('depth 1'));
    await chain.mine(4);
    await anchor.submit(items);
    await chain.mine();
    expect(await states(anchor, items)).toEqual(Array(4).fill('depth 6'));
    expect(await events()).toBe(4);
    expect(await inPool()).toEqual([]);
  });

  test('more than one transaction holds are sent in several, in one after the other', async () => {
    const anchor = open();
    const items = epochs(1, 250);
    await anchor.submit(items);
    for (let block = 0; block < 3; block++) {
      expect(await inPool()).toHaveLength(1);
      await chain.mine();
      await anchor.look([]);
    }
    expect(new Set(await states(anchor, items))).toEqual(new Set(['depth 1', 'depth 2', 'depth 3']));
    expect(await events()).toBe(250);
  });

  test('another digest of an epoch is refused, whether the first one waits or is stored', async () => {
    const anchor = open();
    await anchor.submit([epoch(7)]);
    await expect(anchor.submit([epoch(7, 1)])).rejects.toMatchObject({ code: 'anchor_conflict' });
    await chain.mine();
    await expect(anchor.submit([epoch(7, 1)])).rejects.toMatchObject({ code: 'anchor_conflict' });
    await expect(open().submit([epoch(7, 1)])).rejects.toMatchObject({ code: 'anchor_conflict' });
    expect(await states(anchor, [epoch(7, 1), epoch(7)])).toEqual(['absent', 'depth 1']);
  });

  test('the contract itself refuses another digest, and everybody but its owner', async () => {
    const send = async (key: string, items: readonly AnchorItem[]): Promise<string> => {
      const account = accountOf(key);
      const fees = { maxFeePerGas: 50n * GWEI, maxPriorityFeePerGas: GWEI };
      const nonce = await chain.sent(account.address);
      const { bytes, hash } = await account.sign({
        ...{ chainId: CHAIN_ID, nonce, to: contract, data: anchorCall(items), gas: 500_000n, ...fees },
      });
      await chain.ask('eth_sendRawTransaction', bytes);
      await chain.mine();
      return (await chain.ask<{ status: string }>('eth_getTransactionReceipt', hash)).status;
    };
    expect(await send(KEYS[1], [epoch(1)])).toBe('0x0');
    expect(await send(KEYS[0], [epoch(1)])).toBe('0x1');
    expect(await send(KEYS[0], [epoch(1)])).toBe('0x1');
    expect(await send(KEYS[0], [epoch(2), epoch(1, 1)])).toBe('0x0');
    expect(await states(open(), [epoch(1), epoch(2)])).toEqual(['depth 3', 'absent']);
    expect(await events()).toBe(1);
  });

  test('what a reorganisation takes away is absent again, and can be submitted again', async () => {
    const anchor = open();
    await anchor.submit([epoch(7), blob(1)]);
    await chain.mine(3);
    expect(await states(anchor, [epoch(7), blob(1)])).toEqual(['depth 3', 'depth 3']);
    await chain.reorganise(3);
    expect(await states(anchor, [epoch(7), blob(1)])).toEqual(['absent', 'absent']);
    await anchor.submit([epoch(7), blob(1)]);
    await chain.mine(2);
    expect(await states(anchor, [epoch(7), blob(1)])).toEqual(['depth 2', 'depth 2']);
    expect(await events()).toBe(2);
  });

  test('a transaction that no block takes is replaced by a dearer one of the same number', async () => {
    const anchor = open();
    await anchor.submit([epoch(7)]);
    const [first] = await inPool();
    clock.ms += 59_000;
    await anchor.look([epoch(7)]);
    expect(await inPool()).toEqual([first]);
    clock.ms += 2_000;
    await anchor.submit([epoch(8)]);
    const [second, ...others] = await inPool();
    expect(others).toEqual([]);
    expect(second!.nonce).toBe(first!.nonce);
    expect(BigInt(second!.maxFeePerGas)).toBeGreaterThan((BigInt(first!.maxFeePerGas) * 12n) / 10n);
    expect(await states(anchor, [epoch(7), epoch(8)])).toEqual(['pending', 'pending']);
    await chain.mine();
    expect(await states(anchor, [epoch(7), epoch(8)])).toEqual(['depth 1', 'depth 1']);
  });

  test('the price of replacements has an end, and what is in flight stays', async () => {
    const anchor = open({ maxFee: 5n * GWEI });
    await anchor.submit([epoch(7)]);
    let raised = 0;
    for (; raised < 20; raised++) {
      clock.ms += 61_000;
      const error: unknown = await anchor.look([epoch(7)]).then(
        () => undefined,
        (refusal: unknown) => refusal,
      );
      if (error === undefined) continue;
      expect(error).toMatchObject({ kind: 'Unavailable', code: 'anchor_fees' });
      break;
    }
    expect(raised).toBeGreaterThan(0);
    expect(raised).toBeLessThan(6);
    const [last] = await inPool();
    expect(BigInt(last!.maxFeePerGas)).toBeLessThanOrEqual(5n * GWEI);
    expect(await states(anchor, [epoch(7)])).toEqual(['pending']);
    await chain.mine();
    expect(await states(anchor, [epoch(7)])).toEqual(['depth 1']);
  });

  test('an anchor that was closed in the middle is gone on with by the next one', async () => {
    await open().submit([epoch(7)]);
    const again = open();
    expect(await states(again, [epoch(7)])).toEqual(['absent']);
    await again.submit([epoch(7), epoch(8)]);
    expect(await inPool()).toHaveLength(1);
    await chain.mine();
    expect(await states(again, [epoch(7), epoch(8)])).toEqual(['depth 1', 'depth 1']);
    expect(await events()).toBe(2);
  });

  test('a number that something else used up costs nothing but time', async () => {
    const anchor = open();
    await anchor.submit([epoch(7)]);
    await chain.ask('anvil_dropAllTransactions');
    await chain.ask(
      'anvil_setNonce',
      OWNER.address,
      `0x${((await chain.sent(OWNER.address)) + 3).toString(16)}`,
    );
    expect(await states(anchor, [epoch(7)])).toEqual(['pending']);
    await chain.mine();
    expect(await states(anchor, [epoch(7)])).toEqual(['depth 1']);
  });

  test('an account that cannot pay is told of, and goes on once it can', async () => {
    await chain.ask('anvil_setBalance', OWNER.address, '0x0');
    const anchor = open();
    await expect(anchor.submit([epoch(7)])).rejects.toMatchObject({ code: 'anchor_funds' });
    await chain.ask('anvil_setBalance', OWNER.address, '0xde0b6b3a7640000');
    await anchor.submit([epoch(7)]);
    await chain.mine();
    expect(await states(anchor, [epoch(7)])).toEqual(['depth 1']);
  });

  test('a node that is away is told of, and what it had not answered to is sent when it is back', async () => {
    let isAway = false;
    const anchor = open({
      fetch: (async (...call) => {
        if (!isAway) return fetch(...call);
        if (String(call[1]?.body).includes('eth_sendRawTransaction')) await fetch(...call);
        throw new TypeError('fetch failed: https://user:token@chain.example');
      }) as typeof fetch,
    });
    await anchor.look([epoch(7)]);
    isAway = true;
    await expect(anchor.submit([epoch(7)])).rejects.toMatchObject({ code: 'anchor_node_down' });
    await expect(anchor.submit([epoch(7)])).rejects.not.toMatchObject({ cause: expect.anything() });
    isAway = false;
    await anchor.submit([epoch(7)]);
    await chain.mine();
    expect(await states(anchor, [epoch(7)])).toEqual(['depth 1']);
    expect(await events()).toBe(1);
  });

  /** A node that answers some calls otherwise. */
  const lying = (method: string, lie: (result: unknown) => unknown): typeof fetch =>
    (async (...call) => {
      const asked = JSON.parse(String(call[1]?.body)) as { method: string; id: number };
      const answer = await fetch(...call);
      if (asked.method !== method) return answer;
      const { result } = (await answer.json()) as { result: unknown };
      return Response.json({ jsonrpc: '2.0', id: asked.id, result: lie(result) });
    }) as typeof fetch;

  /** Of the newest block, which is asked for first. */
  const onceOnly = (lie: (result: unknown) => unknown): ((result: unknown) => unknown) => {
    let asked = 0;
    return (result) => (asked++ === 0 ? lie(result) : result);
  };

  test.each([
    ['another chain', 'eth_chainId', () => '0x1', 'anchor_contract'],
    ['another contract', 'eth_getCode', (code: unknown) => `${code}00`, 'anchor_contract'],
    ['no contract', 'eth_getCode', () => '0x', 'anchor_contract'],
    ['no number', 'eth_chainId', () => 31_337, 'anchor_node_wrong'],
    ['a call that returns other bytes', 'eth_call', () => '0x1234', 'anchor_node_wrong'],
    ['no events', 'eth_getLogs', () => [], 'anchor_node_wrong'],
    ['no list of events', 'eth_getLogs', () => ({}), 'anchor_node_wrong'],
    [
      'events of another contract',
      'eth_getLogs',
      (logs: unknown) => (logs as object[]).map((log) => ({ ...log, address: `0x${'1'.repeat(40)}` })),
      'anchor_node_wrong',
    ],
    [
      'another block than was asked for',
      'eth_getBlockByNumber',
      (block: unknown) => ({ ...(block as object), number: '0x1' }),
      'anchor_node_wrong',
    ],
    [
      'a block of a number that no chain has',
      'eth_getBlockByNumber',
      onceOnly((block) => ({ ...(block as object), number: `0x${'f'.repeat(60)}` })),
      'anchor_node_wrong',
    ],
    ['no block', 'eth_getBlockByNumber', () => null, 'anchor_node_wrong'],
  ] as const)('a node that lies is found out: %s', async (_name, method, lie, code) => {
    const honest = open();
    await honest.submit([epoch(7)]);
    await chain.mine(2);
    expect(await states(honest, [epoch(7)])).toEqual(['depth 2']);
    await expect(open({ fetch: lying(method, lie) }).look([epoch(7)])).rejects.toMatchObject({ code });
  });

  test('roots of one block are looked at by one question for it, not by one for each', async () => {
    const items = epochs(1, 64);
    await open().submit(items);
    await chain.mine();
    let asked = 0;
    const counting: typeof fetch = (...call) => {
      asked++;
      return fetch(...call);
    };
    const anchor = open({ fetch: counting });
    await anchor.look([]);
    asked = 0;
    expect(new Set(await states(anchor, items))).toEqual(new Set(['depth 1']));
    expect(asked).toBeLessThan(6);
  });

  test('a key that does not own the contract is told of before anything is sent', async () => {
    const anchor = open({ account: accountOf(KEYS[1]) });
    await expect(anchor.submit([epoch(7)])).rejects.toMatchObject({ code: 'anchor_contract' });
    expect(await inPool()).toEqual([]);
  });
});
