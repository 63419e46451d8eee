import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressOf, digestOf, isBlobAddress, parseAddress } from '../../src/core/address.ts';
import {
  byteLength,
  concatBytes,
  equalBytes,
  fromHex,
  sliceParts,
  toHex,
  u64,
  utf8Decode,
  utf8Encode,
} from '../../src/core/bytes.ts';

const bytes = fc.uint8Array({ maxLength: 50 });
const CORRUPT = expect.objectContaining({ kind: 'Corrupt' });

describe('bytes', () => {
  test('hexadecimal goes there and back, lower case only', () => {
    fc.assert(
      fc.property(bytes, (one) => {
        expect(toHex(one)).toBe(Buffer.from(one).toString('hex'));
        expect(fromHex(toHex(one))).toEqual(one);
      }),
    );
    for (const bad of ['0', 'AB', '0g', ' 00', '0x00', '٠٠'])
      expect(() => fromHex(bad)).toThrowError(CORRUPT);
  });

  test('a part of a run of buffers is what the part of the whole would be, without copies', () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 6 }), fc.nat(), fc.nat(), (parts, a, b) => {
        const whole = concatBytes(...parts);
        const start = a % (whole.length + 1);
        const length = b % (whole.length - start + 1);
        const views = sliceParts(parts, start, length);
        expect(concatBytes(...views)).toEqual(whole.slice(start, start + length));
        expect(byteLength(views)).toBe(length);
        for (const view of views) expect(parts.map((part) => part.buffer)).toContain(view.buffer);
      }),
    );
  });

  test('equality sees every byte and the length', () => {
    fc.assert(
      fc.property(bytes, fc.nat(), (one, at) => {
        expect(equalBytes(one, one.slice())).toBe(true);
        expect(equalBytes(one, concatBytes(one, Uint8Array.of(0)))).toBe(false);
        if (one.length === 0) return;
        const other = one.slice();
        other[at % one.length]! ^= 0x80;
        expect(equalBytes(one, other)).toBe(false);
      }),
    );
  });

  test('u64 is little-endian up to the largest safe integer', () => {
    expect(toHex(u64(0x0102030405))).toBe('0504030201000000');
    expect(toHex(u64(Number.MAX_SAFE_INTEGER))).toBe('ffffffffffff1f00');
  });

  test('text that is not UTF-8 is refused', () => {
    expect(utf8Decode(utf8Encode('größe'))).toBe('größe');
    expect(() => utf8Decode(Uint8Array.of(0xc3, 0x28))).toThrow(TypeError);
  });
});

describe('addresses', () => {
  const digest = Uint8Array.from({ length: 32 }, (_, i) => i);
  const text = `b3:${toHex(digest)}`;

  test('go from digest to text and back', () => {
    expect(addressOf(digest)).toBe(text);
    expect(digestOf(parseAddress(text))).toEqual(digest);
    expect(() => addressOf(digest.subarray(1))).toThrow(TypeError);
  });

  test('have one form', () => {
    const others = [
      text.toUpperCase(),
      text.slice(0, -1),
      `${text}0`,
      ` ${text}`,
      `${text}\n`,
      text.slice(3),
      '',
    ];
    for (const other of others) {
      expect(isBlobAddress(other)).toBe(false);
      expect(() => parseAddress(other)).toThrowError(CORRUPT);
    }
  });

  test('of another scheme are told apart from malformed ones', () => {
    expect(() => parseAddress(text.replace('b3:', 'sha256:'))).toThrowError(
      expect.objectContaining({ kind: 'UnsupportedScheme' }),
    );
  });
});
