import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import type { LinearCode } from '../../src/coding/erasure/linear-code.ts';
import { type CodeParams, DEFAULT_LRC } from '../../src/coding/erasure/params.ts';
import { Certifier, certify, describeCertificate, shortfall } from '../../src/placement/certificate.ts';
import { NOT_PLACED } from '../../src/placement/domains.ts';
import { rotate, solvePlacement } from '../../src/placement/solve.ts';
import {
  bits,
  decodes,
  keptWithout,
  labels,
  providersOf,
  setsOf,
  survivors,
  toleratedBy,
} from './reference.ts';

const LRC = createLinearCode(DEFAULT_LRC);
const SMALL: CodeParams[] = [
  {
    algorithm: 'lrc',
    dataShards: 6,
    localParity: 2,
    globalParity: 2,
    fountainKind: 'wide',
    fountainShards: 1,
  },
  {
    algorithm: 'lrc',
    dataShards: 5,
    localParity: 2,
    globalParity: 1,
    fountainKind: 'none',
    fountainShards: 0,
  },
  { algorithm: 'reed-solomon', dataShards: 4, parityShards: 3 },
  { algorithm: 'xor', dataShards: 3, parityShards: 2 },
  { algorithm: 'replica', copies: 5 },
];

const COUNTS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];

describe('the certificate', () => {
  it.each(COUNTS)('equals brute force over every subset of %i providers', (count) => {
    const providers = providersOf(count);
    const placement = solvePlacement({ code: LRC, providers, failureDomain: 'provider' });
    const survives = survivors(LRC, [[...rotate(placement, 0)]], count);
    const { tolerates, worst_case } = placement.certificate;
    expect(tolerates).toBe(toleratedBy(survives, count));
    const worst = worst_case.reduce(
      (mask, label) => mask | (1 << providers.findIndex(({ id }) => id === label)),
      0,
    );
    expect(bits(worst)).toBe(tolerates + 1);
    expect(survives[worst]).toBe(false);
  });

  const MANY = process.env.SLOW ? Array.from({ length: 13 }, (_, i) => i + 15) : [15, 27];

  it.each(MANY)(
    'equals brute force on %i providers: every set it tolerates, and one it does not',
    (count) => {
      const providers = providersOf(count);
      const placement = solvePlacement({ code: LRC, providers, failureDomain: 'provider' });
      const { tolerates, worst_case } = placement.certificate;
      const places = [...rotate(placement, 0)];
      const depth = process.env.SLOW ? tolerates : Math.min(tolerates, 3);
      const fatal = setsOf(count, depth).filter((lost) => !decodes(LRC, keptWithout(places, lost)));
      expect(fatal).toEqual([]);
      const worst = worst_case.map((label) => Number(label.slice(1)) - 1);
      expect(worst).toHaveLength(tolerates + 1);
      expect(decodes(LRC, keptWithout(places, worst))).toBe(false);
    },
    120_000,
  );

  it('equals brute force for any code, any places, any domains, and shards that are nowhere', () => {
    const cases = fc.record({
      params: fc.constantFrom(...SMALL),
      domainOf: fc.array(fc.nat(4), { minLength: 6, maxLength: 6 }),
      chunks: fc.array(fc.array(fc.nat(6), { minLength: 11, maxLength: 11 }), { minLength: 1, maxLength: 3 }),
    });
    fc.assert(
      fc.property(cases, ({ params, domainOf, chunks }) => {
        const code = createLinearCode(params);
        const providers = domainOf.map((domain, i) => ({ id: `p${i}`, domain: labels(`d${domain}`) }));
        const maps = chunks.map((chunk) => chunk.slice(0, code.totalShards));
        const certificate = certify({
          code,
          providers,
          failureDomain: 'provider',
          placements: maps.map((map) => map.map((place) => (place === 6 ? NOT_PLACED : place))),
        });
        const reference = maps.map((map) => map.map((place) => domainOf[place]));
        const survives = survivors(code, reference, 5);
        expect(certificate.tolerates).toBe(toleratedBy(survives, 5));
        const worst = certificate.worst_case.reduce((mask, label) => mask | (1 << Number(label.slice(1))), 0);
        expect(survives[worst]).toBe(false);
        expect(bits(worst)).toBe(certificate.tolerates + 1);
      }),
      { numRuns: process.env.SLOW ? 3_000 : 150 },
    );
  });

  it('finds that any five may go, and six not, where each of 27 shards has a provider', () => {
    const { certificate } = solvePlacement({
      code: LRC,
      providers: providersOf(27),
      failureDomain: 'provider',
    });
    expect(certificate).toMatchObject({ tolerates: 5, providers: 27 });
    expect(certificate.worst_case).toHaveLength(6);
  });

  it.each(['reed-solomon', 'replica'] as const)(
    'counts shards where only their number matters: %s',
    (algorithm) => {
      const code = createLinearCode(
        algorithm === 'replica' ? { algorithm, copies: 90 } : { algorithm, dataShards: 60, parityShards: 30 },
      );
      const places = Array.from({ length: 90 }, (_, shard) => (shard < 20 ? 0 : shard % 45));
      const request = { code, providers: providersOf(45), failureDomain: 'provider' as const };
      const { tolerates, worst_case } = certify({ ...request, placements: [places] });
      const sizes = Array.from({ length: 45 }, (_, p) => places.filter((place) => place === p).length);
      const spare = code.totalShards - code.dataShards;
      const taken = sizes
        .sort((a, b) => b - a)
        .map(
          (
            (sum) => (size) =>
              (sum += size)
          )(0),
        );
      expect(tolerates).toBe(taken.filter((sum) => sum <= spare).length);
      expect(worst_case).toHaveLength(tolerates + 1);
      expect(worst_case[0]).toBe('p1');
    },
  );

  it('never claims more than it has proven for a code too large to search', () => {
    const params: CodeParams = { ...DEFAULT_LRC, dataShards: 30, localParity: 6, fountainShards: 6 };
    const code = createLinearCode(params);
    const { certificate } = solvePlacement({ code, providers: providersOf(45), failureDomain: 'provider' });
    expect(certificate.worst_case).toEqual([]);
    expect(certificate.tolerates).toBeGreaterThanOrEqual(1);
    expect(certificate.tolerates).toBeLessThanOrEqual(code.totalShards - code.dataShards);
  });

  it('is that of the frailest chunk', () => {
    const providers = providersOf(9);
    const good = rotate(solvePlacement({ code: LRC, providers, failureDomain: 'provider' }), 4);
    const poor = good.map((place) => (place === 2 || place === 3 || place === 4 ? 1 : place));
    const certificate = certify({
      code: LRC,
      providers,
      failureDomain: 'provider',
      placements: [good, poor, good],
    });
    expect(certificate).toMatchObject({ providers: 9, tolerates: 0, worst_case: ['p2'] });
  });

  it('says when bytes are lost already', () => {
    const places = Array.from({ length: 27 }, (_, shard) => (shard < 12 ? NOT_PLACED : shard % 9));
    const request = { code: LRC, providers: providersOf(9), failureDomain: 'provider' as const };
    const certificate = certify({ ...request, placements: [places] });
    expect(certificate).toMatchObject({ tolerates: -1, worst_case: [] });
    expect(describeCertificate(certificate)).toContain('cannot be read');
  });

  it('of an object without chunks is that there is nothing to lose', () => {
    const request = { code: LRC, providers: providersOf(9), failureDomain: 'provider' as const };
    expect(certify({ ...request, placements: [] })).toEqual({
      code: 'lrc(16+5+3+3w)',
      providers: 0,
      domains: { level: 'provider', count: 0 },
      tolerates: 9,
      worst_case: [],
    });
  });

  it('counts at the level asked for, and keeps operators apart from regions', () => {
    const providers = [
      { id: 'a', domain: labels('aws', 'main', 'eu') },
      { id: 'b', domain: labels('b2', 'main', 'eu') },
      { id: 'c', domain: labels('aws', 'main', 'us') },
      { id: 'd', domain: labels('aws', 'other', 'us') },
    ];
    const at = (failureDomain: 'provider' | 'account' | 'region') =>
      certify({
        code: createLinearCode({ algorithm: 'replica', copies: 4 }),
        providers,
        failureDomain,
        placements: [[0, 1, 2, 3]],
      });
    expect(at('provider').worst_case).toEqual(['aws', 'b2']);
    expect(at('account').worst_case).toEqual(['aws/main', 'b2/main', 'aws/other']);
    expect(at('region').worst_case).toEqual(['eu', 'us']);
    expect(at('account').domains).toEqual({ level: 'account', count: 3 });
  });

  it('is plain data', () => {
    const { certificate } = solvePlacement({
      code: LRC,
      providers: providersOf(9),
      failureDomain: 'provider',
    });
    expect(JSON.parse(JSON.stringify(certificate))).toEqual(certificate);
    expect(certificate).toEqual({
      code: 'lrc(16+5+3+3w)',
      providers: 9,
      domains: { level: 'provider', count: 9 },
      tolerates: 3,
      worst_case: ['p1', 'p2', 'p3', 'p4'],
    });
  });

  it('is searched once for all turns of one placement', () => {
    let tests = 0;
    const counted = (mask: number): boolean => {
      tests++;
      return LRC.decodableMask(mask);
    };
    const code: LinearCode = Object.create(LRC, { decodableMask: { value: counted } });
    const placement = solvePlacement({ code, providers: providersOf(10), failureDomain: 'provider' });
    const certifier = new Certifier({ code, providers: providersOf(10), failureDomain: 'provider' });
    certifier.add(rotate(placement, 0));
    const before = tests;
    for (let turn = 0; turn < 5_000; turn++) certifier.add(rotate(placement, turn));
    expect(tests - before).toBeLessThan(27 * 400);
    expect(certifier.certificate().tolerates).toBe(placement.certificate.tolerates);
  });

  it.each([
    ['of another length', [0, 1, 2]],
    ['with a provider that is not listed', Array.from({ length: 27 }, () => 9)],
    ['with half a provider', Array.from({ length: 27 }, () => 0.5)],
  ])('is refused for a map %s', (_, places) => {
    const request = { code: LRC, providers: providersOf(9), failureDomain: 'provider' as const };
    expect(() => certify({ ...request, placements: [places] })).toThrow(
      expect.objectContaining({ kind: 'Corrupt', code: 'bad_placement' }),
    );
  });
});

describe('in words', () => {
  const certificateFor = (count: number) =>
    solvePlacement({ code: LRC, providers: providersOf(count), failureDomain: 'provider' }).certificate;

  it('a certificate says what may vanish and what may not', () => {
    expect(describeCertificate(certificateFor(9))).toBe(
      'survives the loss of any 3 of 9 providers; losing p1 + p2 + p3 + p4 would be fatal',
    );
  });

  it.each([1, 2])('%i provider(s) are said not to survive even one loss', (count) => {
    expect(describeCertificate(certificateFor(count))).toBe(
      'cannot survive the loss of even one provider; losing p1 would be fatal',
    );
  });

  it('a shortfall says what was asked and what is', () => {
    expect(shortfall(certificateFor(9), 3)).toBeUndefined();
    expect(shortfall(certificateFor(2), 1)).toBe(
      'the object must survive the loss of any 1 provider, but it cannot survive the loss of even one provider; losing p1 would be fatal',
    );
  });
});
