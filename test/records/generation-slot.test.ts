import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import type { GenerationRecord } from '../../src/records/generation-record.ts';
import {
  type GenerationSlot,
  NOTHING_WRITTEN,
  openSlot,
  openSlotUnlessDamaged,
  sealSlot,
  told,
} from '../../src/records/generation-slot.ts';

interface Vectors {
  readonly root_key: string;
  readonly slots: readonly (GenerationSlot & { readonly nonce: string; readonly sealed: string })[];
}

const path = new URL('../vectors/generation-v1.json', import.meta.url);
const vectors = JSON.parse(readFileSync(path, 'utf8')) as Vectors;
const keys = vaultKeysOf(deriveSubkeys(fromHex(vectors.root_key)));

it.each(vectors.slots)(
  'the pinned slot with $condemned.length journals opens, and is what is written today',
  ({ heads, condemned, nonce, sealed }) => {
    expect(openSlot(fromHex(sealed), keys)).toEqual({ heads, condemned });
    expect(toHex(sealSlot({ heads, condemned }, keys, () => fromHex(nonce)))).toBe(sealed);
  },
);

it('a damaged slot counts as empty when it is written, and as an error when it is read', () => {
  const damaged = fromHex(vectors.slots[0]!.sealed);
  damaged[60]! ^= 1;
  expect(openSlotUnlessDamaged(damaged, keys)).toEqual(NOTHING_WRITTEN);
  expect(() => openSlot(damaged, keys)).toThrow(expect.objectContaining({ kind: 'Corrupt' }));
});

const head = (digit: string, counter: number) => ({ incarnation: digit.repeat(32), counter });
const record: GenerationRecord = { ...head('a', 7), ancestors: [head('b', 3)], recoveries: 1 };

it('a state takes out what it knows and leaves what it does not', () => {
  const held = { heads: [head('b', 3), head('b', 4), head('c', 1), head('a', 6)], condemned: [] };
  expect(told(held, record, [])).toEqual({
    heads: [head('a', 7), head('b', 4), head('c', 1)],
    condemned: [],
  });
});

it('a slot that says it already, or of a later time, is left as it is', () => {
  for (const counter of [7, 8]) {
    const held = { heads: [head('a', counter)], condemned: ['00'] };
    expect(told(held, record, ['00'])).toBeUndefined();
    expect(told(held, undefined, [])).toBeUndefined();
    expect(told(held, record, ['11'])).toEqual({ heads: held.heads, condemned: ['11', '00'] });
  }
});

it('a line of writing too many is refused, until one of them follows from the others', () => {
  const heads = Array.from({ length: 16 }, (_, i) => ({
    ...head('c', 1),
    incarnation: String(i).padStart(32, '0'),
  }));
  const held = { heads, condemned: ['00'] };
  for (const condemned of [[], ['11']])
    expect(() => told(held, record, condemned)).toThrow(expect.objectContaining({ kind: 'Conflict' }));
  const own = { ...record, ...heads[3]!, counter: 2 };
  expect(told(held, own, [])!.heads).toHaveLength(16);
  expect(told(held, { ...record, ancestors: heads }, [])!.heads).toEqual([head('a', 7)]);
});

it('of condemned journals the latest 256 are kept', () => {
  const many = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(16, '0'));
  const next = told({ heads: [], condemned: many }, record, ['f'.repeat(16)])!;
  expect(next.condemned).toEqual(['f'.repeat(16), ...many.slice(0, 255)]);
  expect(
    openSlot(
      sealSlot(next, keys, (n) => new Uint8Array(n)),
      keys,
    ),
  ).toEqual(next);
});
