import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { Cid } from '../../src/manifest/cid.ts';
import { decodeNode, encodeNode } from '../../src/manifest/dag-cbor.ts';
import { decodeRelocation, encodeRelocation, type RelocationRecord } from '../../src/manifest/relocation.ts';

interface Vectors {
  readonly about: string;
  readonly records: readonly { readonly record: RelocationRecord; readonly bytes: string }[];
  readonly refused: readonly { readonly why: string; readonly bytes: string }[];
}

const path = new URL('../vectors/relocation-v1.json', import.meta.url);
const vectors = JSON.parse(readFileSync(path, 'utf8')) as Vectors;
const address = (n: number): BlobAddress => addressOf(new Uint8Array(32).fill(n));

describe('the pinned bytes of relocations', () => {
  it.each(vectors.records)('are what is written today, and mean the same: %#', ({ record, bytes }) => {
    expect(toHex(encodeRelocation(record))).toBe(bytes);
    expect(decodeRelocation(fromHex(bytes))).toEqual(record);
  });

  it.each(vectors.refused)('are refused: $why', ({ bytes }) => {
    expect(() => decodeRelocation(fromHex(bytes))).toThrow(/malformed relocation/);
  });

  it('are those of the worked example in the format document', () => {
    const document = readFileSync(new URL('../../docs/format/relocations.md', import.meta.url), 'utf8');
    const { bytes } = vectors.records[0]!;
    expect(document).toContain(`${bytes.length / 2} bytes`);
    expect(document.replaceAll(/\s/g, '')).toContain(bytes);
  });
});

const records: fc.Arbitrary<RelocationRecord> = fc
  .record({
    movedMs: fc.nat(),
    owners: fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 300 }),
  })
  .map(({ movedMs, owners }) => ({
    segment: address(movedMs % 256),
    movedMs,
    packs: [...new Set(owners)].map((owner) => ({
      provider: `p${owner}`,
      address: address(owner),
      length: 1 + owner,
      shards: [...owners.keys()].filter((at) => owners[at] === owner),
    })),
  }));

describe('a relocation', () => {
  it('gives back what was written', () => {
    fc.assert(
      fc.property(records, (one) => {
        expect(decodeRelocation(encodeRelocation(one))).toEqual(one);
      }),
    );
  });

  it('is small, however many shards of a segment it names', () => {
    const shards = Array.from({ length: 31_000 }, (_, at) => at);
    const bytes = encodeRelocation({
      segment: address(1),
      movedMs: 1,
      packs: [{ provider: 'p', address: address(2), length: 1, shards }],
    });
    expect(bytes.length).toBeLessThan(4200);
    expect(decodeRelocation(bytes).packs[0]!.shards).toEqual(shards);
  });

  const row = (mask: readonly number[], provider: unknown = 'p', length: unknown = 512): unknown => [
    provider,
    new Uint8Array(32),
    length,
    Uint8Array.from(mask),
  ];
  const right = {
    version: 1,
    node: 'relocation',
    segment: new Cid(address(1)),
    moved_ms: 1,
    packs: [row([1])],
  };
  it.each([
    ['of another version', { version: 2 }],
    ['that is another node', { node: 'segment' }],
    ['without a segment', { segment: new Uint8Array(36) }],
    ['with something more', { sealed: new Uint8Array() }],
    ['of nothing', { packs: [] }],
    ['of a pack without shards', { packs: [row([])] }],
    ['with zeros at the end of a mask', { packs: [row([1, 0])] }],
    ['with a mask longer than any segment', { packs: [row([...new Array(4096).fill(0), 1])] }],
    ['with a shard in two packs', { packs: [row([6]), row([4])] }],
    ['of a pack of no bytes', { packs: [row([1], 'p', 0)] }],
    ['at nobody', { packs: [row([1], '')] }],
    [
      'with too many packs',
      { packs: Array.from({ length: 65 }, (_, i) => row([...new Array(i).fill(0), 1])) },
    ],
  ])('%s is refused', (_, change) => {
    expect(decodeRelocation(encodeNode(right)).packs[0]!.shards).toEqual([0]);
    expect(() => decodeRelocation(encodeNode({ ...right, ...change }))).toThrow(/malformed relocation/);
  });

  it('has one form', () => {
    fc.assert(
      fc.property(records, (one) => {
        const bytes = encodeRelocation(one);
        expect(encodeNode(decodeNode(bytes))).toEqual(bytes);
      }),
      { numRuns: 50 },
    );
  });
});
