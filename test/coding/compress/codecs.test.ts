import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CODEC_IDS, type Codec, codecName, noneCodec } from '../../../src/coding/compress/codec.ts';
import { nodeDeflate, portableDeflate } from '../../../src/coding/compress/deflate.ts';
import { lz77RleCodec } from '../../../src/coding/compress/lz77-rle.ts';
import { rleCodec } from '../../../src/coding/compress/rle.ts';
import { selectCodec } from '../../../src/coding/compress/select.ts';
import { addonZstd, wasmZstd, type Zstd, zlibZstd, zstdCodec } from '../../../src/coding/compress/zstd.ts';
import { compressible, mutation } from './samples.ts';

const RUNS = process.env.SLOW === '1' ? 5000 : 150;
const MALFORMED = expect.objectContaining({ kind: 'Corrupt', code: 'malformed_compression' });

const zstds = [
  present('zstd by node:zlib', zlibZstd()),
  present('zstd by zstd-napi', process.env.HOLDFAST_NATIVE === 'off' ? undefined : addonZstd()),
  await wasmZstd(),
].filter((zstd) => zstd !== undefined);

/** All implementations, those of one format together. */
const FORMATS: readonly (readonly Codec[])[] = [
  [noneCodec],
  [nodeDeflate(6), portableDeflate(6)],
  zstds.map((zstd) => zstdCodec(zstd, 3)),
  [rleCodec],
  [lz77RleCodec],
];
const CODECS = FORMATS.flat();

function present(what: string, zstd: Zstd | undefined): Zstd | undefined {
  if (zstd === undefined) console.warn(`SKIPPED: ${what} (not available here)`);
  return zstd;
}

describe('every codec', () => {
  test.each(CODECS)('$name by $implementation gives back what any twin compressed', (codec) => {
    const twins = CODECS.filter(({ id }) => id === codec.id);
    fc.assert(
      fc.property(compressible, (plain) => {
        for (const twin of twins) {
          const back = codec.decompress(twin.compress(plain), plain.length);
          expect(Buffer.from(back).equals(plain), `${twin.implementation} → ${codec.implementation}`).toBe(
            true,
          );
        }
      }),
      { numRuns: RUNS },
    );
  });

  test.each(CODECS)('$name by $implementation never gives more than the bound', (codec) => {
    const plain = new Uint8Array(100_000).fill(5);
    const compressed = codec.compress(plain);
    for (const bound of [0, 1, 99_999]) {
      expect(() => codec.decompress(compressed, bound)).toThrowError(MALFORMED);
    }
    expect(codec.decompress(compressed, 100_000)).toHaveLength(100_000);
    expect(() => codec.decompress(codec.compress(Uint8Array.of(1)), 0)).toThrowError(MALFORMED);
  });

  test.each(CODECS)(
    '$name by $implementation: a changed stream is refused or stays within the bound',
    (codec) => {
      fc.assert(
        fc.property(compressible, fc.array(mutation, { minLength: 1, maxLength: 3 }), (plain, mutations) => {
          const stream = Uint8Array.from(codec.compress(plain));
          const hostile = mutations.reduce<Uint8Array>((bytes, mutate) => mutate(bytes), stream);
          withinBound(codec, hostile, plain.length);
        }),
        { numRuns: RUNS },
      );
    },
  );

  test.each(CODECS)('$name by $implementation: any bytes are refused or stay within the bound', (codec) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat({ max: 2000 }), (hostile, bound) => {
        withinBound(codec, hostile, bound);
      }),
      { numRuns: RUNS },
    );
  });

  test('has an id of its own, for ever', () => {
    expect(CODEC_IDS).toEqual({ none: 0, deflate: 1, zstd: 2, rle: 3, 'lz77-rle': 4 });
    for (const codec of CODECS) expect(codecName(codec.id)).toBe(codec.name);
    expect(() => codecName(5)).toThrowError(
      expect.objectContaining({ kind: 'Corrupt', code: 'unknown_codec' }),
    );
  });

  test('is selected by name with and without native parts', async () => {
    for (const native of [true, false]) {
      for (const name of Object.keys(CODEC_IDS) as (keyof typeof CODEC_IDS)[]) {
        const codec = await selectCodec(name, 1, { native, wasm: true });
        expect(codec.name).toBe(name);
        expect(codec.decompress(codec.compress(Uint8Array.of(1, 1, 1)), 3)).toEqual(
          name === 'none' ? Uint8Array.of(1, 1, 1) : expect.objectContaining({ length: 3 }),
        );
        if (!native) expect(codec.implementation).not.toMatch(/node:|napi/);
      }
    }
  });
});

describe('deflate', () => {
  test.each([nodeDeflate(6), portableDeflate(6)])(
    'a bomb costs $implementation the bound, no more',
    (codec) => {
      const bomb = deflateRawSync(new Uint8Array(64 * 1024 * 1024), { level: 9 });
      expect(bomb.length).toBeLessThan(70_000);
      expect(() => codec.decompress(bomb, 1024)).toThrowError(MALFORMED);
    },
  );

  test.each([nodeDeflate(6), portableDeflate(6)])('$implementation refuses every truncation', (codec) => {
    const stream = codec.compress(Uint8Array.from({ length: 500 }, (_, i) => i * i));
    for (let length = 0; length < stream.length; length++) {
      expect(() => codec.decompress(stream.subarray(0, length), 500)).toThrowError(MALFORMED);
    }
  });
});

describe('zstd', () => {
  const codecs = zstds.map((zstd) => zstdCodec(zstd, 3));

  test.each(codecs)('$implementation refuses every truncation and anything appended', (codec) => {
    const frame = codec.compress(Uint8Array.from({ length: 3000 }, (_, i) => i * i));
    for (let length = 0; length < frame.length; length++) {
      expect(() => codec.decompress(frame.subarray(0, length), 3000)).toThrowError(MALFORMED);
    }
    expect(() => codec.decompress(Uint8Array.from([...frame, 0]), 3000)).toThrowError(MALFORMED);
  });

  test.each(codecs)(
    '$implementation: a second frame behind a small one is no way around the bound',
    (codec) => {
      const small = codec.compress(Uint8Array.of(1, 2, 3));
      const large = codec.compress(new Uint8Array(8 * 1024 * 1024));
      const both = Uint8Array.from([...small, ...large]);
      expect(() => codec.decompress(both, 1024)).toThrowError(MALFORMED);
      expect(() => codec.decompress(both, 16 * 1024 * 1024)).toThrowError(MALFORMED);
    },
  );

  test.each(codecs)(
    '$implementation: a header that states more or less than there is is refused',
    (codec) => {
      const frame = Uint8Array.from(codec.compress(new Uint8Array(5000)));
      const singleSegment = (frame[4]! & 0x20) !== 0;
      const at = singleSegment ? 5 : 6;
      for (const stated of [4000, 6000]) {
        const lying = frame.slice();
        new DataView(lying.buffer).setUint16(at, stated - 256, true);
        expect(() => codec.decompress(lying, 10_000)).toThrowError(MALFORMED);
      }
    },
  );

  test('a frame that states no size, or a huge one, or is not alone, is refused before a decoder sees it', () => {
    let called = 0;
    const never: Zstd = {
      implementation: 'must not be called',
      compress: (plain) => plain,
      decompress: () => {
        called++;
        return new Uint8Array(0);
      },
    };
    const codec = zstdCodec(never, 1);
    const magic = [0x28, 0xb5, 0x2f, 0xfd];
    const rawBlock = [0x01, 0, 0];
    const whole = [...magic, 0x20, 1, 0x09, 0, 0, 0x41];
    const frames = [
      [...magic, 0x00, 0x58, ...rawBlock],
      [...magic, 0xe0, ...new Array<number>(8).fill(0xff), ...rawBlock],
      [...magic, 0xa0, 0xff, 0xff, 0xff, 0x7f, ...rawBlock],
      [...whole, ...whole],
      whole.slice(0, -1),
      [...magic, 0x20, 1, 0x0f, 0, 0, 0x41],
    ];
    for (const frame of frames) {
      expect(() => codec.decompress(Uint8Array.from(frame), 1024)).toThrowError(MALFORMED);
    }
    expect(called).toBe(0);
    expect(zstdCodec(zstds[0]!, 1).decompress(Uint8Array.from(whole), 1)[0]).toBe(0x41);
  });
});

function withinBound(codec: Codec, hostile: Uint8Array, bound: number): void {
  let plain: Uint8Array;
  try {
    plain = codec.decompress(hostile, bound);
  } catch (error) {
    expect(error).toMatchObject({ kind: 'Corrupt', code: 'malformed_compression' });
    return;
  }
  expect(plain.length).toBeLessThanOrEqual(bound);
}
