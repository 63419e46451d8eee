import { describe, expect, test } from 'vitest';
import type { Aead } from '../../src/coding/aead.ts';
import { nodeAead } from '../../src/coding/aead-node.ts';
import { portableAead } from '../../src/coding/aead-portable.ts';
import { AAD, KEY, KNOWN_SEALED, sealsRight } from '../../src/coding/aead-select.ts';
import { createSodiumAead } from '../../src/coding/aead-sodium.ts';
import type { Codec } from '../../src/coding/compress/codec.ts';
import { nodeDeflate, portableDeflate } from '../../src/coding/compress/deflate.ts';
import { codesRight } from '../../src/coding/compress/select.ts';
import { nativeZstd, portableZstd } from '../../src/coding/compress/zstd.ts';
import { portableBlake3 as blake3 } from '../../src/core/b3/portable.ts';
import { countingBytes, toHex } from '../../src/core/bytes.ts';

const flipped = (bytes: Uint8Array): Uint8Array =>
  bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte));

describe('ciphers', () => {
  test('the known answers are those of the portable one, and all twins give them', async () => {
    for (const [length, digest] of KNOWN_SEALED) {
      const sealed = countingBytes(length, 251);
      const tag = portableAead.seal(KEY, AAD, sealed);
      expect(toHex(blake3.hashParts([sealed, tag]))).toBe(digest);
    }
    for (const aead of [portableAead, nodeAead, await createSodiumAead()]) {
      expect(sealsRight(aead, blake3), aead.name).toBe(true);
    }
  });

  test('one that is wrong from a length on, or opens what was changed, is found out', () => {
    const wrong: Aead[] = KNOWN_SEALED.flatMap(([from]) => [
      {
        ...portableAead,
        seal: (key, aad, plain, into) => {
          const tag = portableAead.seal(key, aad, plain, into);
          return plain.length >= from ? flipped(tag) : tag;
        },
      },
      {
        ...portableAead,
        open: (key, aad, sealed, tag, into) => {
          portableAead.open(key, aad, sealed, tag, into);
          if (into !== undefined && into.length >= Math.max(1, from)) into[0]! ^= 1;
        },
      },
    ]);
    const trusting: Aead = {
      ...portableAead,
      open(key, aad, sealed, tag, into) {
        try {
          portableAead.open(key, aad, sealed, tag, into);
        } catch {
          // Opens it all the same.
        }
      },
    };
    for (const aead of [...wrong, trusting]) expect(sealsRight(aead, blake3)).toBe(false);
  });
});

describe('codecs', async () => {
  const all = [...nativeZstd(1), await portableZstd(1), nodeDeflate(1), portableDeflate(1)];
  for (const codec of all) {
    test(`${codec.name} by ${codec.implementation} gives the known answers, and a wrong one is found out`, () => {
      expect(codesRight(codec)).toBe(true);
      for (const from of [1, 1024, 4096, 65_537, 131_073]) {
        const wrong: Codec[] = [
          {
            ...codec,
            compress: (plain) => codec.compress(plain.length >= from ? flipped(plain) : plain),
          },
          {
            ...codec,
            decompress: (compressed, most) => {
              const plain = codec.decompress(compressed, most);
              return plain.length >= from ? flipped(plain) : plain;
            },
          },
        ];
        for (const one of wrong) expect(codesRight(one), `from ${from} bytes on`).toBe(false);
      }
    });
  }
});
