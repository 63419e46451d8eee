import fc from 'fast-check';
import { expect, it } from 'vitest';
import { nameIn, parseGatewayTarget } from '../../src/gateway/gateway.ts';

const nameOf = (target: string): string | undefined => {
  const parsed = parseGatewayTarget(target);
  return parsed && nameIn(parsed.path)?.[0];
};

it('gives back every name that was escaped as one segment', () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 100 })
    .filter((text) => text !== '.' && text !== '..');
  fc.assert(
    fc.property(name, (text) => {
      expect(nameOf(`/n/${encodeURIComponent(text)}`)).toBe(text);
    }),
  );
});

it('never takes a target for a name that a proxy would rewrite', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', '.', '..', '', '%2e', '%2E%2e', '%2f')), (segments) => {
      const target = `/n/${segments.join('/')}`;
      const name = nameOf(target);
      const odd = segments.length === 0 || segments.some((one) => /^(\.|%2e)*$/i.test(one));
      if (odd) expect(name).toBeUndefined();
      else expect(name).toBe(segments.map(decodeURIComponent).join('/'));
    }),
  );
});

it.each(['/n/a?x', '/n/a#b', '/n/a b', '/n/é', '/n/%', '/n/%zz', '/n/%ff', '/n/a\\b', 'n/a', '/N/a/%41'])(
  'refuses %s',
  (target) => {
    expect(nameOf(target)).toBeUndefined();
  },
);
