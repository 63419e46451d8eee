import { expect, it } from 'vitest';
import { describeDamage } from '../../src/cli/damage-text.ts';
import { addressOf } from '../../src/core/address.ts';
import type { Damage } from '../../src/object/damage.ts';

const blobs = [1, 2].map((i) => addressOf(new Uint8Array(32).fill(i)));

it('a provider that does not answer has one line, one that has wrong or missing blobs a line for each', () => {
  const damage = blobs.flatMap((blob, chunk): Damage[] => [
    { provider: 'a', problem: 'unavailable', blob, chunk, shard: 0, detail: 'no answer' },
    { provider: 'b', problem: 'missing', blob, chunk, shard: 1 },
  ]);
  expect(describeDamage(damage)).toEqual([
    'a: unavailable: chunk 0 shard 0, chunk 1 shard 0 (no answer)',
    `b: missing in ${blobs[0]}: chunk 0 shard 1`,
    `b: missing in ${blobs[1]}: chunk 1 shard 1`,
  ]);
});
