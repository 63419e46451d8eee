import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeProfile, encodeProfile } from '../../src/profiles/codec.ts';
import { checkLadder, DEFAULT_LADDER } from '../../src/profiles/ladder.ts';
import { type Observation, observe } from '../../src/profiles/observe.ts';
import { newProfile, type ProviderProfile } from '../../src/profiles/profile.ts';

const MIB = 1024 ** 2;
const { rungs } = DEFAULT_LADDER;
const runs = process.env.SLOW === '1' ? 20_000 : 300;
const fresh = newProfile(DEFAULT_LADDER);

const play = (profile: ProviderProfile, ...observations: Observation[]): ProviderProfile =>
  observations.reduce((at, observation) => observe(at, observation, DEFAULT_LADDER), profile);
/** A chunk of 1 MiB at the given speed. */
const chunk = (bytesPerSecond: number, rttMs?: number): Observation => ({
  type: 'stored',
  at: 1,
  sample: { bytes: MIB, elapsedMs: (MIB / bytesPerSecond) * 1000, rttMs },
});
const fast = chunk(100 * MIB, 10);
const slow = chunk(MIB / 8, 10);
const failed: Observation = { type: 'store_failed', at: 1 };
const lost: Observation = { type: 'probe_failed', at: 1 };
const probed = (rttMs: number): Observation => ({ type: 'probed', at: 1, rttMs });
const settledAt = (rtt_ewma: number): ProviderProfile => ({ ...fresh, rtt_ewma, rtt_samples: 4 });
const times = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);

describe('averages of a profile', () => {
  it('takes the first sample whole and weighs each later one with 0.2', () => {
    const once = play(fresh, chunk(MIB, 50));
    expect([once.bw_ewma, once.rtt_ewma]).toEqual([MIB, 50]);
    const twice = play(once, chunk(2 * MIB, 50));
    expect(twice.bw_ewma).toBeCloseTo(0.8 * MIB + 0.2 * 2 * MIB, 6);
    expect(play(twice, probed(50), probed(50), probed(100)).rtt_ewma).toBeCloseTo(60, 12);
  });

  it('goes by the shortest of the first four round trips: none is ever measured too short', () => {
    const rtts = (...ms: number[]): number[] => {
      let profile = fresh;
      return ms.map((each) => {
        profile = play(profile, probed(each));
        return profile.rtt_ewma;
      });
    };
    expect(rtts(342, 186, 18, 250)).toEqual([342, 186, 18, 18]);
    expect(rtts(342, 186, 18, 250, 118).at(-1)).toBeCloseTo(38, 12);
    expect(rtts(18, 18, 18, 18, 8).at(-1)).toBeCloseTo(16, 12);
  });

  it('lets whatever was answered bound the first round trips, and no later ones', () => {
    const early = play(fresh, probed(300));
    const took = (elapsedMs: number): Observation[] => [
      { type: 'read', at: 1, elapsedMs },
      { type: 'stored', at: 1, sample: { bytes: 10, elapsedMs } },
      { type: 'probed', at: 2, rttMs: elapsedMs, mode: 'passing' },
    ];
    for (const answered of took(25)) {
      expect(play(early, answered)).toMatchObject({ rtt_ewma: 25, rtt_samples: 1 });
      expect(play(settledAt(300), answered).rtt_ewma).toBe(300);
      if (answered.type !== 'probed') expect(play(fresh, answered).rtt_ewma).toBe(0);
    }
    for (const elapsedMs of [301, 0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      for (const answered of took(elapsedMs).slice(0, 2)) expect(play(early, answered).rtt_ewma).toBe(300);
    }
  });

  it('begins with the first again when an operator asks for a provider in quarantine', () => {
    const pardoned = play(settledAt(3000), { type: 'probed', at: 1, rttMs: 90, mode: 'pardon' });
    expect(pardoned).toMatchObject({ rtt_ewma: 90, rtt_samples: 1 });
  });

  it('counts probes into loss and transfers into the success rate', () => {
    expect(play(fresh, lost).loss_ewma).toBeCloseTo(0.2, 12);
    expect(play(fresh, lost, lost).loss_ewma).toBeCloseTo(0.36, 12);
    expect(play(fresh, lost, probed(5)).loss_ewma).toBeCloseTo(0.16, 12);
    expect(play(fresh, lost).success_rate_ewma).toBe(1);
    expect(play(fresh, failed).success_rate_ewma).toBeCloseTo(0.8, 12);
    expect(play(fresh, { type: 'read_failed', at: 1 }).success_rate_ewma).toBeCloseTo(0.8, 12);
    expect(play(fresh, failed).loss_ewma).toBe(0);
  });

  it('counts chunks and failures, and takes recent failures back one by one', () => {
    const profile = play(fresh, fast, failed, failed, failed, fast);
    expect(profile).toMatchObject({ total_chunks: 2, total_failures: 3, recent_failures: 2 });
    expect(play(profile, ...times(5, fast)).recent_failures).toBe(0);
  });

  it('leaves out measurements that cannot be, and keeps counting', () => {
    const known = play(fresh, chunk(MIB, 50));
    for (const elapsedMs of [Number.NaN, -5, 0, Number.POSITIVE_INFINITY]) {
      for (const rttMs of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
        const odd = play(known, {
          type: 'stored',
          at: Number.NaN,
          sample: { bytes: MIB, elapsedMs, rttMs },
        });
        expect(odd).toEqual({ ...known, total_chunks: 2 });
      }
    }
    expect(play(known, probed(Number.NaN)).rtt_ewma).toBe(50);
  });

  it('follows a clock that is set back', () => {
    expect(play(fresh, { ...lost, at: 2000 }, { ...lost, at: 1000.7 }).updated_at).toBe(1000);
    expect(play(fresh, { ...lost, at: 2000 }, { ...lost, at: -1 }).updated_at).toBe(2000);
  });

  it('does not let small transfers speak for the bandwidth', () => {
    const small: Observation = { type: 'stored', at: 1, sample: { bytes: 4096, elapsedMs: 500, rttMs: 10 } };
    const profile = play(fresh, fast, ...times(20, small));
    expect(profile).toMatchObject({
      bw_ewma: 100 * MIB,
      stable_chunks: 1,
      preferred_chunk: MIB,
      total_chunks: 21,
    });
  });
});

describe('the chunk ladder', () => {
  const sizes = (start: ProviderProfile, observations: Observation[]): number[] => {
    let profile = start;
    return observations.map((observation) => {
      profile = play(profile, observation);
      return profile.preferred_chunk / MIB;
    });
  };

  it('starts at 1 MiB and climbs a rung every three stable chunks', () => {
    expect(fresh.preferred_chunk).toBe(MIB);
    expect(sizes(fresh, times(9, fast))).toEqual([1, 1, 2, 2, 2, 4, 4, 4, 4]);
  });

  it('aims at three seconds a chunk', () => {
    expect(sizes(fresh, times(4, chunk(0.67 * MIB, 10)))).toEqual([1, 1, 2, 2]);
    expect(sizes(fresh, times(7, chunk(0.66 * MIB, 10)))).toEqual([1, 1, 1, 1, 1, 1, 1]);
    expect(sizes(fresh, times(7, slow))).toEqual([1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]);
  });

  it('goes down a rung on loss over 2 % or RTT over 200 ms, however fast the link is', () => {
    expect(sizes(play(fresh, lost), times(6, fast))).toEqual([1, 1, 0.5, 0.5, 0.5, 0.25]);
    expect(sizes(settledAt(201), times(3, chunk(100 * MIB, 201)))).toEqual([1, 1, 0.5]);
    expect(sizes(settledAt(200), times(3, chunk(100 * MIB, 200)))).toEqual([1, 1, 1]);
    expect(sizes({ ...fresh, loss_ewma: 0.02 }, times(3, fast))).toEqual([1, 1, 1]);
    expect(sizes({ ...fresh, loss_ewma: 0.0201 }, times(3, fast))).toEqual([1, 1, 0.5]);
  });

  it('goes up only with loss under 0.2 % and RTT measured and under 80 ms', () => {
    expect(sizes({ ...fresh, loss_ewma: 0.002 }, times(3, fast))).toEqual([1, 1, 1]);
    expect(sizes({ ...fresh, loss_ewma: 0.0019 }, times(3, fast))).toEqual([1, 1, 2]);
    expect(sizes(settledAt(80), times(3, chunk(100 * MIB, 80)))).toEqual([1, 1, 1]);
    expect(sizes(settledAt(79.9), times(3, chunk(100 * MIB, 79.9)))).toEqual([1, 1, 2]);
    expect(sizes(fresh, times(6, chunk(100 * MIB)))).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it('steps down at once on a failed store and starts counting again', () => {
    expect(sizes(fresh, [fast, fast, failed, fast, fast, fast, fast])).toEqual([1, 1, 0.5, 0.5, 0.5, 1, 1]);
    expect(sizes(fresh, times(4, failed))).toEqual([0.5, 0.25, 0.25, 0.25]);
    expect(play(fresh, fast, fast, failed).stable_chunks).toBe(0);
  });

  it('leaves the rung alone when a read or a probe fails', () => {
    expect(play(fresh, fast, fast, { type: 'read_failed', at: 1 })).toMatchObject({
      preferred_chunk: MIB,
      stable_chunks: 2,
    });
  });

  it('brings a length that the config no longer has back onto the ladder', () => {
    expect(play({ ...fresh, preferred_chunk: 3 * MIB }, fast).preferred_chunk).toBe(2 * MIB);
    expect(play({ ...fresh, preferred_chunk: 1000 }, fast).preferred_chunk).toBe(rungs[0]);
    expect(play({ ...fresh, preferred_chunk: 64 * MIB }, failed).preferred_chunk).toBe(4 * MIB);
  });

  it('refuses a ladder that is none', () => {
    expect(checkLadder(DEFAULT_LADDER)).toBe(DEFAULT_LADDER);
    for (const wrong of [
      { rungs: [] },
      { rungs: [MIB, MIB] },
      { rungs: [0, MIB] },
      { rungs: [1.5, MIB] },
      { defaultBytes: 7 },
      { targetSeconds: 0 },
      { targetSeconds: Number.NaN },
    ]) {
      expect(() => checkLadder({ ...DEFAULT_LADDER, ...wrong })).toThrow(
        expect.objectContaining({ kind: 'ConfigInvalid' }),
      );
    }
  });
});

describe('any run of observations', () => {
  const number = fc.oneof(
    fc.double(),
    fc.constantFrom(0, -0, 1e-300, Number.MAX_VALUE, Number.NaN, 0.001),
    fc.double({ min: 0, max: 1000, noNaN: true }),
  );
  const observation: fc.Arbitrary<Observation> = fc.oneof(
    fc.record({
      type: fc.constant('stored' as const),
      at: number,
      sample: fc.record({
        bytes: fc.oneof(number, fc.integer({ min: 0, max: 8 * MIB })),
        elapsedMs: number,
        rttMs: fc.option(number, { nil: undefined }),
      }),
    }),
    fc.record({
      type: fc.constantFrom('store_failed' as const, 'read_failed' as const, 'probe_failed' as const),
      at: number,
    }),
    fc.record({ type: fc.constant('read' as const), at: number, elapsedMs: number }),
    fc.record({ type: fc.constant('probed' as const), at: number, rttMs: number }),
  );
  const history = fc.array(observation, { maxLength: 60 });

  it('stays on the ladder, in range and serialisable', () => {
    fc.assert(
      fc.property(history, (observations) => {
        let profile = fresh;
        for (const each of observations) {
          profile = play(profile, each);
          expect(rungs).toContain(profile.preferred_chunk);
          expect(decodeProfile(encodeProfile(profile))).toEqual(profile);
        }
      }),
      { numRuns: runs },
    );
  });

  it('moves one rung at a time, and up only after three chunks since the last change or failure', () => {
    fc.assert(
      fc.property(history, (observations) => {
        let profile = fresh;
        let sinceChange = 0;
        for (const each of observations) {
          const next = play(profile, each);
          const moved = rungs.indexOf(next.preferred_chunk) - rungs.indexOf(profile.preferred_chunk);
          expect(Math.abs(moved)).toBeLessThanOrEqual(1);
          if (each.type === 'stored') sinceChange++;
          if (each.type === 'store_failed') {
            expect(moved).toBe(profile.preferred_chunk === rungs[0] ? 0 : -1);
            expect(next.stable_chunks).toBe(0);
            sinceChange = 0;
          } else if (moved !== 0) {
            expect(each.type).toBe('stored');
            expect(sinceChange).toBeGreaterThanOrEqual(3);
            sinceChange = 0;
          }
          expect(next.stable_chunks).toBeLessThanOrEqual(sinceChange);
          profile = next;
        }
      }),
      { numRuns: runs },
    );
  });

  it('gives the same profile again, and changes none it was given', () => {
    fc.assert(
      fc.property(history, (observations) => {
        const frozen = Object.freeze({ ...fresh });
        expect(play(frozen, ...observations)).toEqual(play(fresh, ...observations));
      }),
      { numRuns: runs },
    );
  });
});
