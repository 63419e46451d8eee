import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Aead } from '../../src/coding/aead.ts';
import * as node from '../../src/coding/aead-node.ts';
import * as portable from '../../src/coding/aead-portable.ts';
import { createSodiumAead } from '../../src/coding/aead-sodium.ts';
import { type AeadVector, type AeadVectors, hexBytes, vectorTest } from '../helpers/third-party.ts';

interface Twin {
  readonly aead: Aead;
  readonly sealWith: typeof node.sealWith;
  readonly openWith: typeof node.openWith;
}

const sodium = await createSodiumAead();
const TWINS: readonly Twin[] = [
  { aead: portable.portableAead, sealWith: portable.sealWith, openWith: portable.openWith },
  { aead: sodium, sealWith: sodium.sealWith, openWith: sodium.openWith },
  { aead: node.nodeAead, sealWith: node.sealWith, openWith: node.openWith },
];
const RUNS = process.env.SLOW === '1' ? 2000 : 100;

test('the buffers that node:crypto answers with do not wait for a collection', () => {
  const data = new Uint8Array(8 * 1024 * 1024);
  const before = process.memoryUsage().arrayBuffers;
  const tag = node.nodeAead.seal(KEY, AAD, data);
  node.nodeAead.open(KEY, AAD, data, tag);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(512 * 1024);
});

for (const twin of TWINS) {
  const { aead } = twin;
  describe(`ChaCha20-Poly1305 by ${aead.name}`, () => {
    vectorTest<AeadVectors>('agrees with Wycheproof', 'wycheproof-chacha20-poly1305.json', (vectors) => {
      let agreed = 0;
      for (const vector of vectors.testGroups.flatMap((group) => group.tests)) {
        checkVector(twin, vector);
        agreed++;
      }
      console.log(`wycheproof chacha20-poly1305, ${aead.name}: ${agreed}/${vectors.numberOfTests}`);
      expect(agreed).toBe(325);
      expect(vectors.numberOfTests).toBe(325);
    });

    test('refuses a nonce that has not 12 bytes', () => {
      for (const length of [0, 8, 11, 13, 16, 24]) {
        const nonce = new Uint8Array(length);
        expect(() => twin.sealWith(KEY, nonce, AAD, new Uint8Array(4))).toThrow(TypeError);
        expect(() => twin.openWith(KEY, nonce, AAD, new Uint8Array(4), new Uint8Array(16))).toThrow(
          TypeError,
        );
      }
    });

    test('refuses a tag that was cut, even where the rest of it stands at the end of the data', () => {
      const data = Uint8Array.of(1, 2, 3);
      const tag = aead.seal(KEY, AAD, data);
      for (const length of [0, 4, 15]) {
        const longer = new Uint8Array([...data, ...tag.subarray(0, 16 - length)]);
        expect(() => aead.open(KEY, AAD, longer, tag.subarray(16 - length))).toThrowError(UNAUTHENTIC);
      }
    });

    test('works in place in shared memory', () => {
      const memory = new Uint8Array(new SharedArrayBuffer(300_000));
      const data = memory.subarray(1000, 201_000).fill(9);
      const tag = aead.seal(KEY, AAD, data);
      expect(data.every((byte) => byte === 9)).toBe(false);
      expect(memory[999]! | memory[201_000]!).toBe(0);
      aead.open(KEY, AAD, data, tag);
      expect(data.every((byte) => byte === 9)).toBe(true);
    });
  });
}

describe('the twins', () => {
  test('move data to and from pieces, front to back, where source and target overlap', () => {
    const shape = fc.record({
      shards: fc.integer({ min: 1, max: 6 }),
      length: fc.constantFrom(1, 512, 70_000),
      gap: fc.constantFrom(0, 128),
    });
    fc.assert(
      fc.property(shape, ({ shards, length, gap }) => {
        const plain = Uint8Array.from({ length: shards * length }, (_, i) => i * 13);
        const expected = plain.slice();
        const expectedTag = portable.portableAead.seal(KEY, AAD, expected);
        for (const { aead } of TWINS) {
          const slab = new Uint8Array(shards * (length + gap));
          const at = (shard: number): Uint8Array => slab.subarray(shard * (length + gap)).subarray(0, length);
          const pieces = Array.from({ length: shards }, (_, shard) => at(shard));
          const frame = slab.subarray(slab.length - plain.length);
          frame.set(plain);
          expect(aead.seal(KEY, AAD, frame, pieces)).toEqual(expectedTag);
          expect(Buffer.concat(pieces).equals(expected)).toBe(true);
          const front = slab.subarray(0, plain.length);
          aead.open(KEY, AAD, pieces, expectedTag, front);
          expect(Buffer.from(front).equals(plain)).toBe(true);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('refuse pieces that are not as long as the whole', () => {
    for (const { aead } of TWINS) {
      expect(() => aead.seal(KEY, AAD, new Uint8Array(4), [new Uint8Array(3)])).toThrow(TypeError);
      const open = (): void => aead.open(KEY, AAD, new Uint8Array(4), new Uint8Array(16), new Uint8Array(3));
      expect(open).toThrow(TypeError);
    }
  });

  test('seal to the same bytes and open each other, at every length around their pieces', () => {
    const lengths = [0, 1, 15, 16, 17, 63, 64, 65, 65_535, 65_536, 65_537, 131_072, 200_001];
    for (const length of lengths) {
      const plain = Uint8Array.from({ length }, (_, i) => i * 7);
      const sealed = TWINS.map(({ aead }) => {
        const data = plain.slice();
        return { data, tag: aead.seal(KEY, AAD, data) };
      });
      for (const [i, { aead }] of TWINS.entries()) {
        expect(sealed[i]).toEqual(sealed[0]);
        const { tag, data: other } = sealed[(i + 1) % TWINS.length]!;
        const data = other.slice();
        aead.open(KEY, AAD, data, tag);
        expect(Buffer.from(data).equals(plain)).toBe(true);
      }
    }
  });

  test('refuse whatever was changed by one bit: key, additional data, ciphertext or tag', () => {
    const parts = fc.record({
      key: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      aad: fc.uint8Array({ minLength: 1, maxLength: 40 }),
      plain: fc.uint8Array({ minLength: 1, maxLength: 200 }),
      part: fc.constantFrom('key', 'aad', 'data', 'tag' as const),
      bit: fc.nat(),
    });
    fc.assert(
      fc.property(parts, ({ key, aad, plain, part, bit }) => {
        for (const { aead } of TWINS) {
          const data = plain.slice();
          const tag = aead.seal(key, aad, data);
          const sealed = { key: key.slice(), aad: aad.slice(), data, tag };
          const changed = sealed[part as keyof typeof sealed];
          changed[(bit >> 3) % changed.length]! ^= 1 << (bit & 7);
          expect(() => aead.open(sealed.key, sealed.aad, sealed.data, sealed.tag)).toThrowError(UNAUTHENTIC);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

const KEY = new Uint8Array(32).fill(3);
const AAD = Uint8Array.of(1, 2, 3);
const UNAUTHENTIC = expect.objectContaining({ kind: 'Corrupt', code: 'authentication' });

function checkVector({ sealWith, openWith }: Twin, vector: AeadVector): void {
  const [key, nonce, aad, msg, ct, tag] = [
    vector.key,
    vector.iv,
    vector.aad,
    vector.msg,
    vector.ct,
    vector.tag,
  ].map(hexBytes) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const open = (): Uint8Array => {
    const data = ct.slice();
    openWith(key, nonce, aad, data, tag);
    return data;
  };
  const where = `tcId ${vector.tcId}`;
  if (vector.result === 'valid') {
    const data = msg.slice();
    expect(Buffer.from(sealWith(key, nonce, aad, data)).toString('hex'), where).toBe(vector.tag);
    expect(Buffer.from(data).toString('hex'), where).toBe(vector.ct);
    expect(Buffer.from(open()).toString('hex'), where).toBe(vector.msg);
  } else if (nonce.length !== 12) {
    expect(() => sealWith(key, nonce, aad, msg.slice()), where).toThrow(TypeError);
    expect(open, where).toThrow(TypeError);
  } else {
    expect(open, where).toThrowError(UNAUTHENTIC);
  }
}
