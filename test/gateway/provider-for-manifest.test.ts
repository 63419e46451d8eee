import fc from 'fast-check';
import { expect, it } from 'vitest';
import { selectBlake3 } from '../../src/core/b3/select.ts';
import { providerForManifest } from '../../src/gateway/objects.ts';
import { ACCELERATION } from '../helpers/vault.ts';

const blake3 = await selectBlake3(ACCELERATION);
const sources = (providers: readonly string[]) => ({ blake3, providers, firstAnswered: 'first' });

it('depends on the key and the set of providers alone, not on order, doubles or blanks', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.stringMatching(/^[a-z0-9]{1,6}$/), { minLength: 1 }),
      fc.string(),
      (ids, key) => {
        const messy = [...ids].reverse().flatMap((id) => [` ${id}`, '', id, '  ']);
        const chosen = providerForManifest(key, sources(ids));
        expect(providerForManifest(key, sources(messy))).toBe(chosen);
        expect(ids).toContain(chosen);
      },
    ),
  );
});

it('is pinned: changing the rule would change who is paid', () => {
  const ids = ['p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7', 'p8', 'p9'];
  const chosen = ['', 'a', 'b', 'reservation-1', 'reservation-2'].map((key) =>
    providerForManifest(key, sources(ids)),
  );
  expect(chosen).toMatchInlineSnapshot(`
    [
      "p5",
      "p4",
      "p8",
      "p4",
      "p4",
    ]
  `);
});

it('spreads keys evenly', () => {
  const counts = new Map<string | undefined, number>();
  for (let i = 0; i < 3000; i++) {
    const id = providerForManifest(`key ${i}`, sources(['a', 'b', 'c']));
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(120);
});

it('falls back to the provider that answered first when the manifest lists none', () => {
  expect(providerForManifest('k', sources([]))).toBe('first');
  expect(providerForManifest('k', sources([' ', '']))).toBe('first');
  expect(providerForManifest('k', { ...sources([]), firstAnswered: undefined })).toBeUndefined();
});
