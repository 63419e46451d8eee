import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { Cid } from '../../src/manifest/cid.ts';
import { decodeNode, encodeNode } from '../../src/manifest/dag-cbor.ts';
import { scanCbor } from '../../src/manifest/scan.ts';
import { cid, text } from './samples.ts';

const RUNS = process.env.SLOW === '1' ? 50_000 : 1000;
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const MALFORMED = expect.objectContaining({ kind: 'Corrupt', code: 'malformed_cbor' });
const LIMITS = { maxBytes: 1000, maxDepth: 4, maxItems: 20 };

/** Whatever a node may hold. */
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }),
    text,
    fc.uint8Array({ maxLength: 40 }),
    cid,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('any'), { maxLength: 5 }),
    fc.dictionary(text, tie('any'), { maxKeys: 5, noNullPrototype: true }),
  ),
})).any;

/** The format's limit. */
const NODE_BYTES = 1024 * 1024;

describe('DAG-CBOR', () => {
  test('gives back every value, and has one form for it', () => {
    fc.assert(
      fc.property(value, (one) => {
        const encoded = encodeNode(one);
        const decoded = decodeNode(encoded, { maxBytes: NODE_BYTES, maxDepth: 64, maxItems: 200_000 });
        expect(decoded).toEqual(one);
        expect(Buffer.from(encodeNode(decoded)).equals(encoded)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  test('orders the keys of a map by length, then bytewise', () => {
    expect(Buffer.from(encodeNode({ bb: 2, c: 3, a: 1, aa: 4 })).toString('hex')).toBe(
      'a4616101616303626161046262620'.concat('2'),
    );
  });

  test('a link is tag 42 over a zero byte and the CID', () => {
    const link = new Cid(addressOf(new Uint8Array(32).fill(0xab)));
    const encoded = bytes(`d82a 5825 00 01711e20 ${'ab'.repeat(32)}`);
    expect(encodeNode(link)).toEqual(encoded);
    expect(decodeNode(encoded)).toEqual(link);
  });

  const refused: Readonly<Record<string, string>> = {
    'keys in another order': 'a2 6162 01 6161 02',
    'a longer key first': 'a2 626161 01 6162 02',
    'a key twice': 'a2 6161 01 6161 01',
    'an integer that is not minimal': '18 17',
    'an integer in 8 bytes that is not minimal': '1b 0000000000000001',
    'a length that is not minimal': '58 01 00',
    'an array count that is not minimal': '98 01 00',
    'an integer over 2^53 - 1': '1b 0020000000000000',
    'the largest integer there is': '1b ffffffffffffffff',
    'a negative integer under -(2^53 - 1)': '3b ffffffffffffffff',
    'a half float': 'f9 3c00',
    'a single float': 'fa 3f800000',
    'a double with a fraction': 'fb 3ff8000000000000',
    'a double that is whole': 'fb 3ff0000000000000',
    'a negative zero': 'fb 8000000000000000',
    'not a number': 'fb 7ff8000000000000',
    infinity: 'fb 7ff0000000000000',
    'the undefined value': 'f7',
    'an unassigned simple value': 'f8 ff',
    'a break out of nowhere': 'ff',
    'text that is not UTF-8': '62 c328',
    'a surrogate in UTF-8': '63 eda080',
    'a key that is not text': 'a1 01 02',
    'a key of bytes': 'a1 4161 02',
    'another tag': 'c1 00',
    'a big number': 'c2 41 01',
    'tag 42 not minimal': `d9002a 5825 00 01711e20 ${'ab'.repeat(32)}`,
    'a link without its zero byte': `d82a 5824 01711e20 ${'ab'.repeat(32)}`,
    'a link that is text': 'd82a 61 61',
    'a link to another codec': `d82a 5825 00 01551e20 ${'ab'.repeat(32)}`,
    'a link with another hash': `d82a 5825 00 01711220 ${'ab'.repeat(32)}`,
    'a link cut short': `d82a 5824 00 01711e20 ${'ab'.repeat(31)}`,
    'a byte string of indefinite length': '5f 41 00 ff',
    'a text of indefinite length': '7f 61 61 ff',
    'an array of indefinite length': '9f 00 ff',
    'a map of indefinite length': 'bf 6161 00 ff',
    'a reserved length': '1c',
    'two items': '00 00',
    'nothing at all': '',
    'an array cut short': '82 00',
    'a map without its last value': 'a1 6161',
    'bytes cut short': '45 0000',
    'a tag without content': 'd82a',
    'a head cut short': '19 01',
    'an array of 2^64 - 1': '9b ffffffffffffffff',
    'bytes of 2^64 - 1': '5b ffffffffffffffff',
    'a map of 2^63': 'bb 8000000000000000',
    'an array of 2^32 in a few bytes': '9a ffffffff 000000',
  };
  test.each(Object.entries(refused))('refuses %s', (_, hex) => {
    expect(() => decodeNode(bytes(hex))).toThrowError(
      expect.objectContaining({
        kind: 'Corrupt',
        code: expect.stringMatching(/^(malformed_cbor|not_canonical|bad_link)$/),
      }),
    );
  });

  test('a key named like a part of every object is an ordinary key', () => {
    const encoded = bytes('a1 69 5f5f70726f746f5f5f a1 6161 01');
    const decoded = decodeNode(encoded) as Record<string, unknown>;
    expect(Object.keys(decoded)).toEqual(['__proto__']);
    expect(decoded.a).toBeUndefined();
    expect(({} as Record<string, unknown>).a).toBeUndefined();
  });

  test('what has no place in a node is refused while encoding', () => {
    for (const bad of [1.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, undefined, { a: undefined }]) {
      expect(() => encodeNode(bad)).toThrow(TypeError);
    }
  });

  test('any bytes are refused as corrupt or are the one form of what they mean', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (hostile) => {
        try {
          expect(Buffer.from(encodeNode(decodeNode(hostile))).equals(hostile)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(HoldfastError);
          expect(error).toMatchObject({ kind: 'Corrupt' });
        }
      }),
      { numRuns: 5 * RUNS },
    );
  });
});

describe('the scan before decoding', () => {
  const nested = (depth: number): Uint8Array => Uint8Array.from([...new Array<number>(depth).fill(0x81), 0]);

  test('holds to the depth', () => {
    scanCbor(nested(4), LIMITS);
    expect(() => scanCbor(nested(5), LIMITS)).toThrowError(MALFORMED);
    expect(() => scanCbor(nested(900), LIMITS)).toThrowError(MALFORMED);
    expect(() => decodeNode(nested(100_000))).toThrowError(MALFORMED);
  });

  test('tags count as a level too', () => {
    const tags = Uint8Array.from([...new Array<number>(5).fill(0xc1), 0]);
    expect(() => scanCbor(tags, LIMITS)).toThrowError(MALFORMED);
  });

  test('holds to the number of items, keys included', () => {
    scanCbor(Uint8Array.from([0x93, ...new Array<number>(19).fill(0)]), LIMITS);
    expect(() => scanCbor(Uint8Array.from([0x94, ...new Array<number>(20).fill(0)]), LIMITS)).toThrowError(
      MALFORMED,
    );
    const map = Uint8Array.from([0xaa, ...new Array<number>(20).fill(0)]);
    expect(() => scanCbor(map, LIMITS)).toThrowError(MALFORMED);
  });

  test('holds to the size', () => {
    const text = (length: number): Uint8Array =>
      Uint8Array.from([0x59, length >> 8, length & 255, ...new Array<number>(length).fill(0)]);
    scanCbor(text(997), LIMITS);
    expect(() => scanCbor(text(998), LIMITS)).toThrowError(MALFORMED);
    expect(() => decodeNode(new Uint8Array(NODE_BYTES + 1))).toThrowError(MALFORMED);
  });

  test('refuses every prefix of a node and anything behind it', () => {
    const encoded = encodeNode({ a: [1, 'two', Uint8Array.of(3), null], b: { c: 70_000 } });
    scanCbor(encoded, LIMITS);
    for (let length = 0; length < encoded.length; length++) {
      expect(() => scanCbor(encoded.subarray(0, length), LIMITS)).toThrowError(MALFORMED);
    }
    expect(() => scanCbor(Uint8Array.from([...encoded, 0]), LIMITS)).toThrowError(MALFORMED);
  });
});

describe('the costliest nodes that pass the limits', () => {
  const many = (count: number, item: readonly number[]): Uint8Array =>
    Uint8Array.from([
      0x9a,
      0,
      count >> 16,
      (count >> 8) & 255,
      count & 255,
      ...new Array(count).fill(item).flat(),
    ]);
  const keys = (count: number): Uint8Array =>
    encodeNode(Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i])));

  test.each([
    ['empty maps', many(199_999, [0xa0])],
    ['empty texts', many(199_999, [0x60])],
    ['pairs', many(66_000, [0x82, 0, 0])],
    ['keys', keys(80_000)],
    ['one text', Uint8Array.from([0x7a, 0, 0x0f, 0xff, 0xf0, ...new Array<number>(0xffff0).fill(0x61)])],
  ] as const)('%s decode within 300 MiB', (_, bytes) => {
    const before = process.memoryUsage().heapUsed;
    const decoded = decodeNode(bytes);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(300 * 1024 * 1024);
    expect(decoded).toBeDefined();
  });
});
