import { describe, expect, test } from 'vitest';
import { lz77RleCodec } from '../../../src/coding/compress/lz77-rle.ts';

const MALFORMED = expect.objectContaining({ kind: 'Corrupt', code: 'malformed_compression' });
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

describe('lz77-rle', () => {
  test('its bytes are these for ever', () => {
    const letters = Buffer.from('abcdefgh');
    const plain = Uint8Array.from([...letters, ...letters, ...new Array<number>(40).fill(0x2e), 0x21]);
    // 8 literals, a match of 8 at distance 8, a run of 40 dots, one literal
    expect(hex(lz77RleCodec.compress(plain))).toBe('2061626364656667682208a1012e0421');
    expect(lz77RleCodec.compress(new Uint8Array(0))).toHaveLength(0);
  });

  test('a match may overlap what it produces', () => {
    expect(hex(lz77RleCodec.decompress(bytes('0861621a02'), 8))).toBe('6162616261626162');
  });

  test('refuses each kind of malformed token', () => {
    const streams = {
      'literals of length zero': '00',
      'a run of length zero': '0141',
      'a match of length zero': '04610201',
      'literals cut short': '0c6161',
      'a run without its byte': '19',
      'a match without its distance': '046116',
      'a distance of zero': '04611600',
      'a distance over what there is': '04611602',
      'an unknown kind': '07',
      'a length that does not end': '80808080808000',
    };
    for (const [what, stream] of Object.entries(streams)) {
      expect(() => lz77RleCodec.decompress(bytes(stream), 100), what).toThrowError(MALFORMED);
    }
  });

  test('a bomb of a few bytes is refused before it grows', () => {
    expect(() => lz77RleCodec.decompress(bytes('fdffffff7f00'), 1000)).toThrowError(MALFORMED);
  });

  test('never grows its input by more than a 64th and 16 bytes, even where matches barely pay', () => {
    // Literal runs of 32 and matches of 6 a long way back are the costliest tokens there are.
    const plain = new Uint8Array(3 * 1024 * 1024);
    let state = 1;
    for (let i = 0; i < plain.length; i++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      plain[i] = i % 38 < 6 && i > 40_000 ? plain[i - 38 * 900]! : state >>> 24;
    }
    const compressed = lz77RleCodec.compress(plain);
    expect(compressed.length).toBeLessThanOrEqual(plain.length + (plain.length >> 6) + 16);
    expect(Buffer.from(lz77RleCodec.decompress(compressed, plain.length)).equals(plain)).toBe(true);
  });
});
