import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import {
  decodeClass,
  decodeIndexed,
  encodeClass,
  encodeIndexed,
  type IndexedShards,
  type PlacementClass,
  placementClass,
} from '../../src/manifest/shard-rows.ts';

interface Vectors {
  readonly classes: readonly {
    readonly class: PlacementClass;
    readonly latest: BlobAddress;
    readonly bytes: string;
  }[];
  readonly segments: readonly { readonly row: IndexedShards; readonly bytes: string }[];
  readonly refused: readonly { readonly why: string; readonly id?: string; readonly bytes: string }[];
}

const path = new URL('../vectors/shard-index-v1.json', import.meta.url);
const vectors = JSON.parse(readFileSync(path, 'utf8')) as Vectors;

describe('the pinned rows of the index of shards', () => {
  it.each(vectors.classes)(
    'are those of a class written today: $class.id',
    ({ class: one, latest, bytes }) => {
      expect(toHex(encodeClass(placementClass(one), latest))).toBe(bytes);
      expect(decodeClass(fromHex(bytes), one.id)).toEqual(one);
    },
  );

  it.each(vectors.segments)('are those of a segment written today: %#', ({ row, bytes }) => {
    expect(toHex(encodeIndexed(row))).toBe(bytes);
    expect(decodeIndexed(fromHex(bytes))).toEqual(row);
  });

  it.each(vectors.refused)('are refused: $why', ({ id, bytes }) => {
    const read = () => (id === undefined ? decodeIndexed(fromHex(bytes)) : decodeClass(fromHex(bytes), id));
    expect(read).toThrow(/malformed (placement class|indexed segment)/);
  });

  it('are those of the worked example in the format document', () => {
    const document = readFileSync(new URL('../../docs/format/shard-index.md', import.meta.url), 'utf8');
    const [one] = vectors.classes;
    expect(document).toContain(one!.class.id);
    expect(document).toContain(`${one!.bytes.length / 2} bytes`);
    expect(document.replaceAll(/\s/g, '')).toContain(one!.bytes);
  });
});

describe('a placement class', () => {
  const code = { algorithm: 'replica', copies: 2 } as const;
  const ab = ['a', 'b'];
  const ba = ['b', 'a'];

  it('is the same for segments whose chunks are placed alike, in whatever order and number', () => {
    const one = placementClass({ code, level: 'provider', maps: [ab, ba] });
    expect(placementClass({ code, level: 'provider', maps: [ba, ab, ab, ba] })).toEqual(one);
  });

  it('is another for other providers, another code and another level', () => {
    const ids = [
      placementClass({ code, level: 'provider', maps: [ab] }),
      placementClass({ code, level: 'provider', maps: [ba] }),
      placementClass({ code, level: 'provider', maps: [ab, ba] }),
      placementClass({ code, level: 'region', maps: [ab] }),
      placementClass({
        code: { algorithm: 'reed-solomon', dataShards: 1, parityShards: 1 },
        level: 'provider',
        maps: [ab],
      }),
    ].map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('is written in another way once another segment comes under it', () => {
    const one = placementClass({ code, level: 'provider', maps: [ab] });
    const [first, second] = [1, 2].map((n) => encodeClass(one, addressOf(new Uint8Array(32).fill(n))));
    expect(toHex(first!)).not.toBe(toHex(second!));
    expect(decodeClass(first!, one.id)).toEqual(decodeClass(second!, one.id));
  });
});
