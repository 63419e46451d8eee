import { describe, expect, test } from 'vitest';
import type { Anchor } from '../../../src/receipts/anchors/anchor.ts';
import { accountOf } from '../../../src/receipts/anchors/evm/contract-calls.ts';
import { openEvmAnchor } from '../../../src/receipts/anchors/evm/evm.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { KEYS } from './anvil.ts';
import { epoch } from './world.ts';

const OWNER = accountOf(KEYS[0]);
const GWEI = 1_000_000_000n;

describe('a node that is none', () => {
  const items = [epoch(7)];
  const over = (answer: typeof fetch, clock = new FakeClock()): Anchor =>
    openEvmAnchor({
      ...{ url: 'http://127.0.0.1:1', fetch: answer, clock, deadlineMs: 10_000, account: OWNER, chainId: 1 },
      ...{ contract: `0x${'1'.repeat(40)}`, maxFee: GWEI, stuckMs: 1_000, confirmations: 1 },
    });

  test('an answer that never comes, or never ends, has a deadline', async () => {
    const endless = new ReadableStream({ pull: () => new Promise(() => undefined) });
    for (const answer of [
      () => new Promise<never>(() => undefined),
      async () => new Response(endless),
    ] as const) {
      const clock = new FakeClock();
      const looked = over(answer as typeof fetch, clock).look(items);
      const told = expect(looked).rejects.toMatchObject({ kind: 'Timeout' });
      await clock.advance(10_000);
      await told;
    }
  });

  test('a body without end is not read to its end', async () => {
    let given = 0;
    const body = new ReadableStream({
      pull(controller) {
        given += 65_536;
        controller.enqueue(new Uint8Array(65_536).fill(0x20));
      },
    });
    await expect(over((async () => new Response(body)) as typeof fetch).look(items)).rejects.toMatchObject({
      code: 'anchor_node_wrong',
    });
    expect(given).toBeLessThan(6 * 1024 * 1024);
  });

  test.each([
    [429, 'RateLimited'],
    [503, 'Unavailable'],
  ])('what stands before a node and turns calls away is told by its status %i', async (status, kind) => {
    const answer = async () => new Response('<html>slow down', { status });
    await expect(over(answer as typeof fetch).look(items)).rejects.toMatchObject({
      ...{ kind, code: 'anchor_node_down' },
      message: expect.stringContaining(String(status)),
    });
  });

  test.each([
    '',
    'null',
    '[]',
    '"x"',
    '{"id":1}',
    '{"id":2,"result":"0x1"}',
    '{"id":1,"result":{}}',
    '<html>',
  ])('garbage is no answer: %s', async (text) => {
    await expect(over((async () => new Response(text)) as typeof fetch).look(items)).rejects.toMatchObject({
      code: 'anchor_node_wrong',
    });
  });
});
