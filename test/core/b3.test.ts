import { describe, expect, test } from 'vitest';
import type { Blake3 } from '../../src/core/b3/blake3.ts';
import { portableBlake3 } from '../../src/core/b3/portable.ts';
import { hashesRight, KNOWN_HASHES, selectBlake3 } from '../../src/core/b3/select.ts';
import { wasmBlake3 } from '../../src/core/b3/wasm.ts';
import { toHex } from '../../src/core/bytes.ts';
import { vectorTest } from '../helpers/third-party.ts';

interface Blake3Vectors {
  readonly cases: readonly {
    readonly input_len: number;
    readonly hash: string;
  }[];
}

const native = await nativeTwin();
const TWINS: readonly Blake3[] = [portableBlake3, wasmBlake3, ...(native === undefined ? [] : [native])];

/** Absent where its optional package is; never silently. */
async function nativeTwin(): Promise<Blake3 | undefined> {
  if (process.env.HOLDFAST_NATIVE !== 'off') {
    try {
      return (await import('../../src/core/b3/native.ts')).nativeBlake3;
    } catch {
      // said below
    }
  }
  console.warn('SKIPPED: BLAKE3 by @napi-rs/blake-hash (native parts are off or not installed)');
  return undefined;
}

/** The input of the official vectors: 0, 1 … 250, again and again. */
const input = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i % 251);

for (const blake3 of TWINS) {
  describe(`BLAKE3 by ${blake3.name}`, () => {
    test('hashes parts as the bytes they are together, in shared memory too', () => {
      const whole = new Uint8Array(new SharedArrayBuffer(300_000));
      whole.set(input(whole.length));
      for (const cuts of [[], [0], [1], [1024, 5000], [65_536, 131_072, 299_999], [150_000, 150_000]]) {
        const edges = [0, ...cuts, whole.length];
        const parts = edges.slice(1).map((end, i) => whole.subarray(edges[i], end));
        expect(toHex(blake3.hashParts(parts))).toBe(toHex(portableBlake3.hash(whole)));
      }
      expect(toHex(blake3.hashParts([]))).toBe(toHex(portableBlake3.hash(new Uint8Array(0))));
    });

    vectorTest<Blake3Vectors>('agrees with the official vectors', 'blake3.json', (vectors) => {
      let agreed = 0;
      for (const { input_len, hash } of vectors.cases) {
        expect(toHex(blake3.hash(input(input_len))), `${input_len} bytes`).toBe(hash.slice(0, 64));
        agreed++;
      }
      expect(agreed).toBe(35);
    });

    test('hashes pieces as it hashes the whole, in shared memory too', () => {
      const data = input(300_000);
      const shared = new Uint8Array(new SharedArrayBuffer(300_000));
      shared.set(data);
      const whole = toHex(portableBlake3.hash(data));
      expect(toHex(blake3.hash(shared))).toBe(whole);
      for (const cuts of [[1], [64, 1023], [1024, 2048, 200_001], [65_536, 131_072]]) {
        const hasher = blake3.createHasher();
        let from = 0;
        for (const to of [...cuts, data.length]) {
          hasher.update(shared.subarray(from, to));
          from = to;
        }
        expect(toHex(hasher.digest())).toBe(whole);
      }
      expect(toHex(blake3.createHasher().digest())).toBe(toHex(portableBlake3.hash(new Uint8Array(0))));
    });

    test('tells the digest of what was added so far, and goes on', () => {
      const data = input(80_000);
      for (const step of [1_024, 4_097, 16_384, 70_001]) {
        const hasher = blake3.createHasher();
        for (let from = 0; from < data.length; from += step) {
          hasher.update(data.subarray(from, from + step));
          const soFar = data.subarray(0, from + step);
          expect(toHex(hasher.digest()), `${soFar.length}`).toBe(toHex(portableBlake3.hash(soFar)));
        }
      }
    });

    test('keeps hashers apart, from each other and from hashes in between', () => {
      for (const step of [1, 1000, 1024, 70_000]) {
        const [one, other] = [blake3.createHasher(), blake3.createHasher()];
        for (let i = 0; i < 5; i++) {
          one.update(input(step).fill(i));
          other.update(input(step));
          blake3.hash(input(3 * step));
        }
        const ones = Buffer.concat(Array.from({ length: 5 }, (_, i) => input(step).fill(i)));
        const others = Buffer.concat(Array.from({ length: 5 }, () => input(step)));
        expect(toHex(one.digest())).toBe(toHex(portableBlake3.hash(ones)));
        expect(toHex(other.digest())).toBe(toHex(portableBlake3.hash(others)));
      }
    });
  });
}

test('the choice falls on the first twin that may be used', async () => {
  expect((await selectBlake3({ native: false, wasm: false })).name).toBe('@noble/hashes');
  expect((await selectBlake3({ native: false, wasm: true })).name).toBe('blake3-jit');
  if (native !== undefined) expect((await selectBlake3({ native: true, wasm: true })).name).toBe(native.name);
});

test('the known digests are those of the portable one', () => {
  for (const [length, digest] of KNOWN_HASHES) expect(toHex(portableBlake3.hash(input(length)))).toBe(digest);
  expect(hashesRight(portableBlake3)).toBe(true);
});

test('a twin that is wrong from any one length on, in whole inputs or in pieces, is found out', () => {
  const flipped = (digest: Uint8Array): Uint8Array => digest.map((byte, i) => (i === 31 ? byte ^ 1 : byte));
  for (const [from] of KNOWN_HASHES) {
    const wrong = (length: number, digest: Uint8Array) => (length >= from ? flipped(digest) : digest);
    const total = (parts: readonly Uint8Array[]): number =>
      parts.reduce((sum, { length }) => sum + length, 0);
    const whole = {
      ...portableBlake3,
      hash: (data: Uint8Array) => wrong(data.length, portableBlake3.hash(data)),
    };
    const parted = {
      ...portableBlake3,
      hashParts: (parts: readonly Uint8Array[]) => wrong(total(parts), portableBlake3.hashParts(parts)),
    };
    expect([hashesRight(whole), hashesRight(parted)], `from ${from} bytes on`).toEqual([false, false]);
  }
});
