import { describe, expect, it } from 'vitest';
import { createLinearCode } from '../../../src/coding/erasure/code.ts';
import type { LinearCode } from '../../../src/coding/erasure/linear-code.ts';
import { DEFAULT_LRC } from '../../../src/coding/erasure/params.ts';
import type { SegmentRecord } from '../../../src/manifest/segment.ts';
import { viewSegment } from '../../../src/object/places.ts';
import { certify } from '../../../src/placement/certificate.ts';
import type { PlacementProvider } from '../../../src/placement/domains.ts';
import { rotate, solvePlacement } from '../../../src/placement/solve.ts';
import { planRepair, type RepairOfSegment, type RepairRequest } from '../../../src/upkeep/repair/plan.ts';

const LRC = createLinearCode(DEFAULT_LRC);
const code = LRC;
const N = code.totalShards;

const provider = (id: string, eligible = true): PlacementProvider => ({
  id,
  domain: { provider: id, account: id, region: id },
  eligible,
});

/** A segment of `chunks` chunks that was put at these providers, each chunk in its turn. */
function segmentAt(ids: readonly string[], chunks: number, code: LinearCode = LRC) {
  const N = code.totalShards;
  const placement = solvePlacement({
    code,
    providers: ids.map((id) => provider(id)),
    failureDomain: 'provider',
  });
  const maps = Array.from({ length: chunks }, (_, chunk) => rotate(placement, chunk));
  const places = Uint8Array.from(maps.flatMap((map) => [...map]));
  const shard = 512;
  const record: SegmentRecord = {
    firstChunk: 0,
    chunkLens: maps.map(() => shard * code.dataShards),
    tags: new Uint8Array(16 * chunks),
    shards: new Uint8Array(32 * N * chunks),
    packs: ids.map((id, i) => ({
      provider: id,
      address: `b3:${String(i).padStart(64, '0')}` as never,
      length: shard * places.filter((place) => place === i).length,
    })),
    places,
    sealed: new Uint8Array(0),
  };
  return viewSegment(record, code);
}

const planOf = (request: RepairRequest): Promise<RepairOfSegment> => planRepair(request, async () => {});

const nine = ['p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7', 'p8', 'p9'];

/** Every shard that is at these providers. */
const lostAt = (view: ReturnType<typeof segmentAt>, gone: readonly string[]): Set<number> =>
  new Set(
    [...view.record.places.keys()].filter((at) =>
      gone.includes(view.record.packs[view.record.places[at]!]!.provider),
    ),
  );

describe('where lost shards are to be', () => {
  it('a provider that is there gets back what it lost', async () => {
    const view = segmentAt(nine, 3);
    const lost = lostAt(view, ['p4']);
    const planned = await planOf({
      view,
      lost,
      providers: nine.map((id) => provider(id)),
      failureDomain: 'provider',
    });
    expect([...planned.moves.keys()].sort()).toEqual([...lost].sort());
    expect(new Set(planned.moves.values())).toEqual(new Set(['p4']));
    expect(planned).toMatchObject({ hopeless: [], homeless: [], tolerates: 2 });
  });

  it.each([1, 2, 3])(
    'with %i of nine lost a chunk survives as much as one put at those that are left',
    async (count) => {
      const gone = nine.slice(0, count);
      const view = segmentAt(nine, 9);
      const left = nine.filter((id) => !gone.includes(id)).map((id) => provider(id));
      const planned = await planOf({
        view,
        lost: lostAt(view, gone),
        providers: left,
        failureDomain: 'provider',
      });
      const best = solvePlacement({ code, providers: left, failureDomain: 'provider' }).certificate.tolerates;
      const placements = Array.from({ length: 9 }, (_, chunk) =>
        Array.from({ length: N }, (_, shard) => {
          const at = chunk * N + shard;
          const id = planned.moves.get(at) ?? view.record.packs[view.record.places[at]!]!.provider;
          return left.findIndex((one) => one.id === id);
        }),
      );
      expect(certify({ code, providers: left, failureDomain: 'provider', placements }).tolerates).toBe(best);
    },
  );

  it('others are served before each chunk that takes thought, and not before one that repeats another', async () => {
    const view = segmentAt(nine, 20);
    const left = nine.slice(1).map((id) => provider(id));
    const request = { view, lost: lostAt(view, ['p1']), providers: left, failureDomain: 'provider' } as const;
    let rests = 0;
    await planRepair(request, async () => {
      rests++;
    });
    expect(rests).toBe(9);
    const aborted = new Error('aborted');
    await expect(planRepair(request, () => Promise.reject(aborted))).rejects.toBe(aborted);
  });

  it('a provider that takes nothing new gets nothing back either', async () => {
    const view = segmentAt(nine, 1);
    const lost = lostAt(view, ['p4']);
    const providers = nine.map((id) => provider(id, id !== 'p4'));
    const planned = await planOf({ view, lost, providers, failureDomain: 'provider' });
    expect(planned.moves.size).toBe(lost.size);
    expect([...planned.moves.values()]).not.toContain('p4');
  });

  it('a chunk of which too little is left is told of, and the others are repaired', async () => {
    const view = segmentAt(nine, 2);
    const lost = lostAt(view, ['p1', 'p2', 'p3', 'p4', 'p5']);
    for (const at of [...lost]) if (at >= N && at !== N + 3) lost.delete(at);
    lost.add(N + 3);
    const planned = await planOf({
      view,
      lost,
      providers: nine.map((id) => provider(id)),
      failureDomain: 'provider',
    });
    expect(planned.hopeless).toEqual([0]);
    expect([...planned.moves.keys()]).toEqual([N + 3]);
    expect(planned.tolerates).toBe(-1);
  });

  it('nobody is left to take them', async () => {
    const view = segmentAt(nine, 1);
    const lost = lostAt(view, ['p4']);
    const providers = nine.map((id) => provider(id, false));
    const planned = await planOf({ view, lost, providers, failureDomain: 'provider' });
    expect(planned.homeless.toSorted()).toEqual([...lost].sort());
    expect(planned.moves.size).toBe(0);
  });

  it('what nobody else takes goes back to a provider that is in doubt', async () => {
    const view = segmentAt(nine, 1);
    const lost = lostAt(view, ['p4', 'p5']);
    const providers = nine.map((id) => provider(id, false));
    const doubtful = new Map([['p4', false]]);
    const plan = await planOf({ view, lost, providers, doubtful, failureDomain: 'provider' });
    expect([...plan.moves.keys()].toSorted()).toEqual([...lostAt(view, ['p4'])].toSorted());
    expect(new Set(plan.moves.values())).toEqual(new Set(['p4']));
    expect(plan.homeless.toSorted()).toEqual([...lostAt(view, ['p5'])].toSorted());
  });

  it.each([
    ['mostly right gets back what', true],
    ['mostly wrong gets nothing, though', false],
  ])('a provider in doubt that is %s makes its chunks survive more', async (_, isMostlyRight) => {
    const view = segmentAt(nine, 1);
    const lost = lostAt(view, ['p4']);
    const providers = nine.map((id) => provider(id, id !== 'p4'));
    const doubtful = new Map([['p4', isMostlyRight]]);
    const plan = await planOf({ view, lost, providers, doubtful, failureDomain: 'provider' });
    const places = [...view.record.places.keys()].map((at) => {
      const id = plan.moves.get(at) ?? view.record.packs[view.record.places[at]!]!.provider;
      return nine.indexOf(id);
    });
    const all = nine.map((id) => provider(id));
    const put = solvePlacement({ code, providers: all, failureDomain: 'provider' }).certificate.tolerates;
    const { tolerates } = certify({ code, providers: all, failureDomain: 'provider', placements: [places] });
    expect(tolerates).toBe(isMostlyRight ? put : put - 1);
    expect([...plan.moves.values()].includes('p4')).toBe(isMostlyRight);
  });

  it('a provider in doubt that makes no chunk survive more gets nothing', async () => {
    const ten = [...nine, 'p10'];
    const view = segmentAt(nine, 1);
    const lost = lostAt(view, ['p4']);
    const providers = ten.map((id) => provider(id, id !== 'p4'));
    const doubtful = new Map([['p4', true]]);
    const plan = await planOf({ view, lost, providers, doubtful, failureDomain: 'provider' });
    expect(plan.moves.size).toBe(lost.size);
    expect([...plan.moves.values()]).not.toContain('p4');
  });

  it.each([
    ['waits for a provider that may come back', ['p4'], undefined],
    ['goes there where nobody may come back', [], 'p2'],
    ['waits for nobody who has a copy', ['p3'], 'p2'],
  ])('a copy that could only be where another is %s', async (_, away, taker) => {
    const copies = createLinearCode({ algorithm: 'replica', copies: 3 });
    const view = segmentAt(['p1', 'p2', 'p3'], 1, copies);
    const lost = lostAt(view, ['p1']);
    const providers = ['p1', 'p2', 'p3', 'p4'].map((id) => provider(id, id === 'p2'));
    const plan = await planOf({ view, lost, providers, away: new Set(away), failureDomain: 'provider' });
    expect([...plan.moves.values()]).toEqual(taker === undefined ? [] : [taker]);
    expect(plan.homeless).toEqual(taker === undefined ? [...lost] : []);
  });
});
