import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { DEFAULT_LRC } from '../../src/coding/erasure/params.ts';
import { certify } from '../../src/placement/certificate.ts';
import { domainOf, type PlacementProvider } from '../../src/placement/domains.ts';
import { rotate, solvePlacement } from '../../src/placement/solve.ts';
import { labels, providersOf } from './reference.ts';

const LRC = createLinearCode(DEFAULT_LRC);
const solve = (providers: readonly PlacementProvider[], failureDomain: 'provider' | 'region' = 'provider') =>
  solvePlacement({ code: LRC, providers, failureDomain });
const share = (places: Uint8Array, provider: number): number =>
  places.filter((place) => place === provider).length;

describe('the default code', () => {
  it.each([
    [1, 0],
    [2, 0],
    [3, 1],
    [4, 1],
    [5, 1],
    [6, 2],
    [7, 2],
    [8, 2],
    [9, 3],
    [10, 3],
    [11, 3],
    [12, 4],
    [14, 4],
    [20, 5],
    [27, 5],
    [40, 5],
  ])('on %i providers survives the loss of any %i at least', (count, tolerates) => {
    expect(solve(providersOf(count)).certificate.tolerates).toBeGreaterThanOrEqual(tolerates);
  });

  it('does as well as an ideal code of the same overhead on up to twelve providers', () => {
    const ideal = createLinearCode({ algorithm: 'reed-solomon', dataShards: 16, parityShards: 11 });
    for (let count = 1; count <= 12; count++) {
      const request = { providers: providersOf(count), failureDomain: 'provider' as const };
      const { certificate } = solvePlacement({ ...request, code: ideal });
      expect(solve(providersOf(count)).certificate.tolerates).toBe(certificate.tolerates);
    }
  });
});

describe('the turns of a placement', () => {
  it.each([3, 9, 10, 14])('give each of %i providers the same number of shards and of leads', (count) => {
    const placement = solve(providersOf(count));
    const total = new Array<number>(count).fill(0);
    const leads = new Array<number>(count).fill(0);
    for (let turn = 0; turn < count; turn++) {
      const places = rotate(placement, turn);
      for (const place of places) total[place]!++;
      leads[places[0]!]!++;
    }
    expect(total).toEqual(new Array(count).fill(27));
    expect(leads).toEqual(new Array(count).fill(1));
  });

  it('spread over all providers when there are more than shards', () => {
    const placement = solve(providersOf(40));
    const used = new Set(Array.from({ length: 40 }, (_, turn) => [...rotate(placement, turn)]).flat());
    expect(used.size).toBe(40);
  });

  it('begin with the best: turn 0 leads at the highest score', () => {
    const providers = providersOf(9).map((provider, i) => ({ ...provider, score: i === 5 ? 10 : 1 }));
    expect(rotate(solve(providers), 0)[0]).toBe(5);
  });

  it('all keep the certificate, the limits and the exclusions, whatever the providers', () => {
    const provider = fc.record({
      domain: fc.record({
        provider: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'),
        account: fc.constantFrom('x', 'y'),
        region: fc.constantFrom('eu', 'us', 'ap'),
      }),
      score: fc.nat(3),
      maxShards: fc.option(fc.nat(27), { nil: undefined }),
      eligible: fc.boolean(),
    });
    const request = fc.record({
      list: fc.array(provider, { minLength: 1, maxLength: 12 }),
      failureDomain: fc.constantFrom('provider', 'account', 'region'),
      turn: fc.nat(1_000_000),
    });
    let solved = 0;
    const property = fc.property(request, ({ list, failureDomain, turn }) => {
      const providers = list.map((entry, i) => ({ ...entry, id: `p${i}` }));
      const room = providers.reduce(
        (sum, { eligible, maxShards = 27 }) => sum + (eligible ? maxShards : 0),
        0,
      );
      const attempt = () => solvePlacement({ code: LRC, providers, failureDomain });
      if (room < 27) {
        expect(attempt).toThrow(
          expect.objectContaining({ kind: room === 0 ? 'Unavailable' : 'QuotaExceeded' }),
        );
        return;
      }
      solved++;
      const placement = attempt();
      const places = rotate(placement, turn);
      expect(places).toHaveLength(27);
      providers.forEach(({ eligible, maxShards = 27 }, i) => {
        expect(share(places, i)).toBeLessThanOrEqual(eligible ? maxShards : 0);
      });
      const { tolerates } = certify({ code: LRC, providers, failureDomain, placements: [places] });
      expect(tolerates).toBe(placement.certificate.tolerates);
    });
    fc.assert(property, { numRuns: process.env.SLOW ? 2_000 : 200, seed: 1 });
    expect(solved).toBeGreaterThan(30);
  });
});

describe('limits and domains', () => {
  it('keep a provider to what its quota takes, and spread the rest evenly', () => {
    const providers = providersOf(9).map((provider, i) =>
      i === 2 ? { ...provider, maxShards: 1 } : provider,
    );
    for (let turn = 0; turn < 20; turn++) {
      const places = rotate(solve(providers), turn);
      expect(share(places, 2)).toBe(1);
      expect(Math.max(...providers.map((_, i) => share(places, i)))).toBe(4);
    }
  });

  it('refuse what does not fit, saying how much is missing', () => {
    const providers = providersOf(9).map((provider) => ({ ...provider, maxShards: 2 }));
    expect(() => solve(providers)).toThrow(
      expect.objectContaining({ kind: 'QuotaExceeded', context: { room: 18, needed: 27 } }),
    );
  });

  it('refuse to place where nobody is eligible', () => {
    const providers = providersOf(9).map((provider) => ({ ...provider, eligible: false }));
    expect(() => solve(providers)).toThrow(
      expect.objectContaining({ kind: 'Unavailable', code: 'no_providers' }),
    );
    expect(() => solve([])).toThrow(expect.objectContaining({ code: 'no_providers' }));
  });

  it('part the shards by region where regions are what fails, and by provider within', () => {
    const providers = providersOf(9).map(({ id }, i) => ({ id, domain: labels(id, 'x', `region-${i % 3}`) }));
    const placement = solve(providers, 'region');
    expect(placement.certificate).toMatchObject({
      tolerates: 1,
      domains: { level: 'region', count: 3 },
      providers: 9,
    });
    for (let turn = 0; turn < 9; turn++) {
      const places = rotate(placement, turn);
      expect(providers.map((_, i) => share(places, i))).toEqual(new Array(9).fill(3));
    }
  });

  it('even out bytes among the unequal members of a domain over the turns', () => {
    const providers = providersOf(12).map(({ id }, i) => ({
      id,
      domain: labels(id, 'x', `region-${i % 3}`),
    }));
    const placement = solve(providers, 'region');
    const total = providers.map(() => 0);
    for (let turn = 0; turn < 12; turn++) for (const place of rotate(placement, turn)) total[place]!++;
    expect(total).toEqual(new Array(12).fill(27));
  });

  it('count providers that share a label as one loss', () => {
    const providers = providersOf(9).map((provider, i) =>
      i < 3 ? { ...provider, domain: labels('big') } : provider,
    );
    const placement = solve(providers);
    const inBig = [...rotate(placement, 0)].filter(
      (place) => domainOf(providers[place]!, 'provider') === 'big',
    );
    expect(placement.certificate.domains.count).toBe(7);
    expect(inBig.length).toBeLessThanOrEqual(4);
  });
});

describe('the solver', () => {
  it('gives every provider the same shards in whatever order they are listed', () => {
    const providers = providersOf(10);
    const reversed = [...providers].reverse();
    const byId = (list: readonly PlacementProvider[]) =>
      [...rotate(solve(list), 7)].map((place) => list[place]!.id);
    expect(byId(reversed)).toEqual(byId(providers));
  });

  it('finds the same template again without its cache', () => {
    const fresh = createLinearCode(DEFAULT_LRC);
    const request = { providers: providersOf(11), failureDomain: 'provider' as const };
    const places = [solvePlacement({ code: fresh, ...request }), solvePlacement({ code: LRC, ...request })];
    expect(rotate(places[0]!, 3)).toEqual(rotate(places[1]!, 3));
  });

  it('is exact in bytes: one place for a copy each, two where domains are short', () => {
    const code = createLinearCode({ algorithm: 'replica', copies: 4 });
    const three = solvePlacement({ code, providers: providersOf(3), failureDomain: 'provider' });
    expect([...rotate(three, 0)].sort()).toEqual([0, 0, 1, 2]);
    expect(three.certificate.tolerates).toBe(2);
  });

  it('refuses more providers than a place can name', () => {
    expect(() => solve(providersOf(256))).toThrow(TypeError);
    expect(solve(providersOf(255)).certificate.tolerates).toBe(5);
  });
});
