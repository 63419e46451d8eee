import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rleCodec } from '../../../src/coding/compress/rle.ts';

const piece = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 20_000 }))
    .map(([byte, length]) => new Uint8Array(length).fill(byte)),
);
const bytes = fc.array(piece, { maxLength: 12 }).map((pieces) => Uint8Array.from(Buffer.concat(pieces)));

describe('rle', () => {
  test('gives back what it took, and hardly grows the worst input', () => {
    fc.assert(
      fc.property(bytes, (plain) => {
        const compressed = rleCodec.compress(plain);
        expect(compressed.length).toBeLessThanOrEqual(plain.length + (plain.length >> 10) + 10);
        expect(Buffer.from(plain).equals(rleCodec.decompress(compressed, plain.length))).toBe(true);
      }),
      { numRuns: process.env.SLOW ? 20_000 : 300 },
    );
  });

  test('its bytes are these for ever', () => {
    const plain = Uint8Array.from([1, 2, 3, ...new Array<number>(300).fill(7), 9]);
    expect(Buffer.from(rleCodec.compress(plain)).toString('hex')).toBe('06010203d904070209');
    expect(rleCodec.compress(new Uint8Array(0))).toHaveLength(0);
  });

  test('output over the bound is refused before it is made', () => {
    const bomb = Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0x7f, 0]);
    expect(() => rleCodec.decompress(bomb, 2 ** 20)).toThrowError(
      expect.objectContaining({ kind: 'Corrupt' }),
    );
  });

  test('any bytes decompress within the bound or are refused as corrupt', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (hostile) => {
        try {
          expect(rleCodec.decompress(hostile, 1000).length).toBeLessThanOrEqual(1000);
        } catch (error) {
          expect(error).toMatchObject({ kind: 'Corrupt', code: 'malformed_compression' });
        }
      }),
      { numRuns: 2000 },
    );
  });
});
