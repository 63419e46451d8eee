import { describe, expect, it } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { DEFAULT_LRC } from '../../src/coding/erasure/params.ts';
import { certify } from '../../src/placement/certificate.ts';
import { NOT_PLACED } from '../../src/placement/domains.ts';
import { reassign } from '../../src/placement/reassign.ts';
import { rotate, solvePlacement } from '../../src/placement/solve.ts';
import { labels, providersOf } from './reference.ts';

const code = createLinearCode(DEFAULT_LRC);
const failureDomain = 'provider';
const held = (places: Uint8Array, provider: number) =>
  [...places.keys()].filter((shard) => places[shard] === provider);

describe('shards of a provider that fell out', () => {
  const providers = providersOf(9).map((provider, i) => ({ ...provider, eligible: i !== 4 }));
  const before = rotate(solvePlacement({ code, providers: providersOf(9), failureDomain }), 0);
  const move = held(before, 4);
  const after = reassign({ code, providers, failureDomain, places: before, move });

  it('go to others, and nothing else moves', () => {
    expect(move).toHaveLength(3);
    expect(held(after, 4)).toEqual([]);
    expect(after.includes(NOT_PLACED)).toBe(false);
    expect([...after.keys()].filter((shard) => after[shard] !== before[shard])).toEqual(move);
  });

  it('keep as much as eight providers placed from scratch', () => {
    const { tolerates } = certify({ code, providers, failureDomain, placements: [after] });
    const scratch = solvePlacement({ code, providers, failureDomain });
    expect(tolerates).toBe(scratch.certificate.tolerates);
  });

  it('spread evenly where there are too many domains to weigh', () => {
    const many = providersOf(20).map((provider, i) => ({ ...provider, eligible: i !== 0 }));
    const places = rotate(solvePlacement({ code, providers: providersOf(20), failureDomain }), 0);
    const moved = reassign({ code, providers: many, failureDomain, places, move: held(places, 0) });
    expect(held(moved, 0)).toEqual([]);
    expect(Math.max(...many.map((_, i) => held(moved, i).length))).toBe(2);
  });

  it('respect quotas, and stay nowhere when none has room', () => {
    const full = providers.map((provider, i) => ({ ...provider, maxShards: i === 8 ? 4 : 3 }));
    const moved = reassign({ code, providers: full, failureDomain, places: before, move });
    expect(held(moved, 8)).toHaveLength(4);
    expect(held(moved, NOT_PLACED)).toHaveLength(2);
  });

  it.each([5, 6, 7, 8, 9, 10])('go where the chunk then survives most: %i providers', (count) => {
    for (let lost = 0; lost < count; lost++) {
      const list = providersOf(count).map((provider, i) => ({ ...provider, eligible: i !== lost }));
      const places = rotate(solvePlacement({ code, providers: providersOf(count), failureDomain }), 0);
      const [shard] = held(places, lost);
      const survives = (map: Uint8Array) =>
        certify({ code, providers: list, failureDomain, placements: [map] }).tolerates;
      const options = list.filter(({ eligible }) => eligible).map(({ id }) => Number(id.slice(1)) - 1);
      const best = Math.max(...options.map((place) => survives(places.with(shard!, place))));
      expect(survives(reassign({ code, providers: list, failureDomain, places, move: [shard!] }))).toBe(best);
    }
  });

  it('avoid piling up in one domain', () => {
    const grouped = providers.map((provider, i) =>
      i > 4 ? { ...provider, domain: labels('big') } : provider,
    );
    const moved = reassign({ code, providers: grouped, failureDomain, places: before, move });
    expect(move.some((shard) => moved[shard]! > 4)).toBe(false);
  });
});
