import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { secureRandom } from '../../src/core/random.ts';
import { seal, unseal } from '../../src/keys/seal.ts';
import { type AeadVectors, hexBytes, vectorTest } from '../helpers/third-party.ts';

const UNAUTHENTIC = expect.objectContaining({ kind: 'Corrupt', code: 'authentication' });
const KEY = new Uint8Array(32).fill(1);
const AAD = Uint8Array.of(7);

describe('seal', () => {
  vectorTest<AeadVectors>('agrees with Wycheproof', 'wycheproof-xchacha20-poly1305.json', (vectors) => {
    let agreed = 0;
    for (const vector of vectors.testGroups.flatMap((group) => group.tests)) {
      const [key, nonce, aad, msg] = [vector.key, vector.iv, vector.aad, vector.msg].map(hexBytes) as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ];
      const record = hexBytes(vector.iv + vector.ct + vector.tag);
      const where = `tcId ${vector.tcId}`;
      if (vector.result === 'valid') {
        expect(Buffer.from(seal(key, aad, msg, () => nonce)).equals(record), where).toBe(true);
        expect(Buffer.from(unseal(key, aad, record)).equals(msg), where).toBe(true);
      } else {
        if (nonce.length !== 24) expect(() => seal(key, aad, msg, () => nonce), where).toThrow();
        expect(() => unseal(key, aad, record), where).toThrowError(UNAUTHENTIC);
      }
      agreed++;
    }
    console.log(`wycheproof xchacha20-poly1305: ${agreed}/${vectors.numberOfTests}`);
    expect(agreed).toBe(315);
    expect(vectors.numberOfTests).toBe(315);
  });

  test('draws a fresh nonce for every record', () => {
    const [one, other] = [0, 1].map(() => seal(KEY, AAD, new Uint8Array(8), secureRandom));
    expect(Buffer.from(one!.subarray(0, 24)).equals(other!.subarray(0, 24))).toBe(false);
    expect(one).toHaveLength(24 + 8 + 16);
  });

  test('opens only with its own key and additional data, unchanged and whole', () => {
    const bytes = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(bytes, bytes, fc.nat(), (aad, plain, bit) => {
        const record = seal(KEY, aad, plain, secureRandom);
        expect(Buffer.from(unseal(KEY, aad, record)).equals(plain)).toBe(true);
        const changed = record.slice();
        changed[(bit >> 3) % changed.length]! ^= 1 << (bit & 7);
        expect(() => unseal(KEY, aad, changed)).toThrowError(UNAUTHENTIC);
        expect(() => unseal(KEY, aad, record.subarray(0, bit % record.length))).toThrowError(UNAUTHENTIC);
        expect(() => unseal(KEY, Uint8Array.from([...aad, 0]), record)).toThrowError(UNAUTHENTIC);
        expect(() => unseal(new Uint8Array(32).fill(2), aad, record)).toThrowError(UNAUTHENTIC);
      }),
      { numRuns: process.env.SLOW === '1' ? 2000 : 100 },
    );
  });
});
