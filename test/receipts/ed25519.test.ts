import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Ed25519 } from '../../src/receipts/ed25519/ed25519.ts';
import { createOpensslEd25519 } from '../../src/receipts/ed25519/openssl.ts';
import { portableEd25519 } from '../../src/receipts/ed25519/portable.ts';
import { selectEd25519 } from '../../src/receipts/ed25519/select.ts';
import { hexBytes, vectorTest } from '../helpers/third-party.ts';

const TWINS: readonly Ed25519[] = [createOpensslEd25519(), portableEd25519];

interface Wycheproof {
  readonly numberOfTests: number;
  readonly testGroups: readonly {
    readonly publicKey: { readonly pk: string };
    readonly tests: readonly {
      readonly tcId: number;
      readonly msg: string;
      readonly sig: string;
      readonly result: string;
    }[];
  }[];
}

vectorTest<Wycheproof>('both twins judge as Wycheproof does', 'wycheproof-ed25519.json', async (vectors) => {
  let judged = 0;
  for (const { publicKey, tests } of vectors.testGroups) {
    for (const { tcId, msg, sig, result } of tests) {
      const given = [hexBytes(publicKey.pk), hexBytes(msg), hexBytes(sig)] as const;
      for (const twin of TWINS) {
        const expected = [tcId, twin.name, result === 'valid'];
        expect([tcId, twin.name, twin.verify(...given)]).toEqual(expected);
        expect([tcId, twin.name, await twin.verifyApart(...given)]).toEqual(expected);
      }
      judged++;
    }
  }
  expect(judged).toBe(vectors.numberOfTests);
  expect(judged).toBe(151);
});

interface EdgeCase {
  readonly number: number;
  readonly key: string;
  readonly sig: string;
  readonly msg: string;
  readonly flags: readonly string[] | null;
}

/** Any other flag says what a case has besides, which neither helps nor hurts. */
const INVALID = ['low_order_A', 'low_order_R', 'non_canonical_A', 'non_canonical_R', 'low_order_residue'];

vectorTest<readonly EdgeCase[]>(
  'both twins give each edge case of CCTV the one stated verdict',
  'cctv-ed25519.json',
  async (cases) => {
    let valid = 0;
    for (const { number, key, sig, msg, flags } of cases) {
      const verdict = !(flags ?? []).some((flag) => INVALID.includes(flag));
      if (verdict) valid++;
      const given = [hexBytes(key), new TextEncoder().encode(msg), hexBytes(sig)] as const;
      for (const twin of TWINS) {
        expect([number, twin.name, twin.verify(...given)]).toEqual([number, twin.name, verdict]);
        expect([number, twin.name, await twin.verifyApart(...given)]).toEqual([number, twin.name, verdict]);
      }
    }
    expect(cases.length).toBe(914);
    expect(valid).toBeGreaterThan(0);
    expect(valid).toBeLessThan(cases.length);
  },
);

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });

test('both twins sign alike, and take each other’s signatures', () => {
  fc.assert(
    fc.property(bytes32, fc.uint8Array({ maxLength: 400 }), (seed, message) => {
      const [one, other] = TWINS.map((twin) => twin.signer(seed));
      expect(one!.publicKey).toEqual(other!.publicKey);
      const signature = one!.sign(message);
      expect(signature).toEqual(other!.sign(message));
      for (const twin of TWINS) expect(twin.verify(one!.publicKey, message, signature)).toBe(true);
    }),
    { numRuns: 20 },
  );
});

test('both twins refuse whatever differs in one bit', () => {
  const change = fc.record({ part: fc.nat({ max: 2 }), bit: fc.nat({ max: 511 }) });
  fc.assert(
    fc.property(
      bytes32,
      fc.uint8Array({ minLength: 1, maxLength: 99 }),
      change,
      (seed, message, { part, bit }) => {
        const signer = TWINS[0]!.signer(seed);
        const given = [signer.publicKey, message, signer.sign(message)].map((one) => Uint8Array.from(one));
        const changed = given[part]!;
        const at = bit % (8 * changed.length);
        changed[at >> 3]! ^= 1 << (at & 7);
        const [key, text, signature] = given as [Uint8Array, Uint8Array, Uint8Array];
        for (const twin of TWINS)
          expect([twin.name, twin.verify(key, text, signature)]).toEqual([twin.name, false]);
      },
    ),
    { numRuns: process.env.SLOW === '1' ? 5_000 : 60 },
  );
});

test('both twins give random bytes of any length the same verdict, and throw nothing', () => {
  const some = fc.uint8Array({ maxLength: 70 });
  fc.assert(
    fc.property(
      fc.oneof(bytes32, some),
      some,
      fc.oneof(fc.uint8Array({ minLength: 64, maxLength: 64 }), some),
      (key, message, signature) => {
        for (const twin of TWINS) expect(twin.verify(key, message, signature)).toBe(false);
      },
    ),
    { numRuns: 200 },
  );
});

test('without native code the portable twin is used', async () => {
  expect((await selectEd25519({ native: false, wasm: true })).name).toBe('@noble/curves');
  expect((await selectEd25519({ native: true, wasm: true })).name).toBe('OpenSSL');
});
