import { describe, expect, it } from 'vitest';
import { createLinearCode } from '../../../src/coding/erasure/code.ts';
import { DEFAULT_LRC } from '../../../src/coding/erasure/params.ts';
import { addressOf } from '../../../src/core/address.ts';
import { HoldfastError } from '../../../src/core/errors.ts';
import { PutFailures } from '../../../src/pipeline/put/failures.ts';
import { Outbox } from '../../../src/pipeline/put/outbox.ts';
import { Placements } from '../../../src/pipeline/put/placements.ts';
import { testVault } from '../../helpers/vault.ts';

const blob = (n: number) => addressOf(new Uint8Array(32).fill(n));

describe('what a put sent', () => {
  const outbox = (order: string[] = []): Outbox =>
    new Outbox({ intend: async (provider) => void order.push(`journal ${provider}`) }, () =>
      order.push('progress'),
    );

  it('is an orphan from when it is journalled until it is acknowledged or refused', async () => {
    const order: string[] = [];
    const box = outbox(order);
    await box.intend('p1', blob(1));
    await box.intend('p2', blob(1));
    await box.intend('p3', blob(2));
    expect(box.orphans.map(({ provider }) => provider)).toEqual(['p1', 'p2', 'p3']);
    box.acknowledged('p1', blob(1), 100, 'shards');
    box.refused('p2', blob(1));
    expect(box.orphans).toEqual([{ provider: 'p3', address: blob(2), bytes: 0 }]);
    expect(order).toEqual(['journal p1', 'journal p2', 'journal p3', 'progress']);
  });

  it('counts to the quota as shards and not as nodes', () => {
    const box = outbox();
    box.acknowledged('p1', blob(1), 100, 'shards');
    box.acknowledged('p1', blob(2), 50, 'shards');
    box.acknowledged('p2', blob(3), 7, 'node');
    expect([...box.usage]).toEqual([['p1', 150]]);
    expect(box.bytesStored).toBe(157);
    expect(box.stored.map(({ bytes }) => bytes)).toEqual([100, 50, 0]);
  });

  it('is spoken for while it is on its way, however that ends', async () => {
    const box = outbox();
    const sending = box.whileSending('p1', 10, () =>
      box.whileSending('p1', 5, async () => {
        expect(box.sendingTo('p1')).toBe(15);
        throw new HoldfastError('Unavailable', 'gone');
      }),
    );
    await expect(sending).rejects.toThrow('gone');
    expect(box.sendingTo('p1')).toBe(0);
  });
});

describe('where a put places chunks', () => {
  const placements = async (scores?: number[]): Promise<Placements> => {
    const { providers: placed } = await testVault();
    const code = createLinearCode(DEFAULT_LRC);
    return new Placements({
      code,
      failureDomain: 'provider',
      placed,
      scores: scores ?? placed.map(() => 1),
      turn: 0,
    });
  };

  it('avoids a provider once it is excluded, and tolerates what is left', async () => {
    const at = await placements();
    expect([...at.mapOf(0)]).toContain(3);
    const foreseen = at.tolerates('p4');
    at.exclude('p4');
    expect([...at.mapOf(0)]).not.toContain(3);
    expect(at.usable.map(({ id }) => id)).not.toContain('p4');
    expect(at.tolerates()).toBe(foreseen);
  });

  it('has keys made for the best in turn, and for others when those are excluded', async () => {
    const at = await placements([1, 1, ...Array.from({ length: 7 }, () => 0.0001)]);
    expect([0, 1, 2].map((chunk) => at.keyProviderOf(chunk).id)).toEqual(['p1', 'p2', 'p1']);
    at.exclude('p1');
    expect([0, 1].map((chunk) => at.keyProviderOf(chunk).id)).toEqual(['p2', 'p2']);
    at.exclude('p2');
    expect(at.keyProviderOf(0).id).toBe('p3');
  });

  it('moves the shards that lost their provider and no others', async () => {
    const at = await placements();
    const map = at.mapOf(0);
    const unplaced = [...map.keys()].filter((shard) => map[shard] === 2);
    at.exclude('p3');
    const [moved] = at.reassigned([map], unplaced)!;
    expect([...moved!]).not.toContain(2);
    const kept = [...map.keys()].filter((shard) => map[shard] !== 2);
    expect(kept.map((shard) => moved![shard])).toEqual(kept.map((shard) => map[shard]));
  });

  it('says so when nobody is left to take a shard', async () => {
    const at = await placements();
    const map = at.mapOf(0);
    for (const { id } of at.placed) at.exclude(id);
    expect(at.reassigned([map], [0])).toBeUndefined();
    expect(at.tolerates()).toBe(-1);
  });

  it('keeps each map that was recorded once', async () => {
    const at = await placements();
    at.record(at.mapOf(0));
    at.record(at.mapOf(0).slice());
    at.record(at.mapOf(1));
    expect(at.recorded).toHaveLength(2);
  });
});

it('failures are told in the order in which they came', () => {
  const failures = new PutFailures();
  failures.add('p2', new HoldfastError('QuotaExceeded', 'full'), 10);
  failures.add('p1', new HoldfastError('QuotaExceeded', 'too long', { code: 'blob_too_large' }), 20);
  expect(failures.lines).toEqual(['p2: full', 'p1: too long']);
  expect(failures.attempts[1]).toEqual({
    provider: 'p1',
    error: 'too long',
    code: 'blob_too_large',
    bytes: 20,
  });
  expect([failures.has('blob_too_large'), failures.has('stalled')]).toEqual([true, false]);
});
