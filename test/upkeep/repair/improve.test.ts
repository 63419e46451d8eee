import { describe, expect, it } from 'vitest';
import { createLinearCode } from '../../../src/coding/erasure/code.ts';
import { type CodeParams, DEFAULT_LRC } from '../../../src/coding/erasure/params.ts';
import { Certifier } from '../../../src/placement/certificate.ts';
import type { PlacementProvider } from '../../../src/placement/domains.ts';
import { reassign } from '../../../src/placement/reassign.ts';
import { rotate, solvePlacement } from '../../../src/placement/solve.ts';
import { type Improvement, improve } from '../../../src/upkeep/repair/improve.ts';

const provider = (id: string, eligible = true, account = id): PlacementProvider => ({
  id,
  domain: { provider: account, account, region: account },
  eligible,
});
const NINE = ['p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7', 'p8', 'p9'];
const REPLICA: CodeParams = { algorithm: 'replica', copies: 3 };

type Maps = readonly (readonly string[])[];

const planOf = (
  params: CodeParams,
  maps: Maps,
  providers: readonly PlacementProvider[],
  goal: number,
): Promise<Improvement> =>
  improve(
    { code: createLinearCode(params), failureDomain: 'account', maps, providers, goal },
    async () => {},
  );

function movedBy(maps: Maps, moves: ReadonlyMap<number, string>): string[][] {
  return maps.map((map, chunk) => map.map((id, shard) => moves.get(chunk * map.length + shard) ?? id));
}

/** Where nine chunks are that were put at nine, when those that are `gone` were repaired away. */
function repaired(gone: readonly string[]): string[][] {
  const code = createLinearCode(DEFAULT_LRC);
  const providers = NINE.map((id) => provider(id, !gone.includes(id)));
  const put = solvePlacement({ code, providers: NINE.map((id) => provider(id)), failureDomain: 'account' });
  return NINE.map((_, turn) => {
    const places = rotate(put, turn);
    const move = [...places.keys()].filter((shard) => gone.includes(NINE[places[shard]!]!));
    return Array.from(
      reassign({ code, providers, failureDomain: 'account', places, move }),
      (at) => NINE[at]!,
    );
  });
}

function survive(params: CodeParams, maps: Maps): number {
  const providers = NINE.map((id) => provider(id));
  const certifier = new Certifier({ code: createLinearCode(params), providers, failureDomain: 'account' });
  for (const map of maps) certifier.add(map.map((id) => NINE.indexOf(id)));
  return certifier.certificate().tolerates;
}

describe('what survives less than it could', () => {
  it('gets one of two copies of one place to another, and no more', async () => {
    const maps = [['p1', 'p1', 'p2']];
    const plan = await planOf(
      REPLICA,
      maps,
      NINE.map((id) => provider(id)),
      2,
    );
    expect(plan).toMatchObject({ before: 1, after: 2 });
    expect(plan.moves.size).toBe(1);
    expect(survive(REPLICA, movedBy(maps, plan.moves))).toBe(2);
  });

  it('moves no more than what was promised takes', async () => {
    const maps = [['p1', 'p1', 'p1']];
    const providers = NINE.map((id) => provider(id));
    expect((await planOf(REPLICA, maps, providers, 1)).moves.size).toBe(1);
    expect((await planOf(REPLICA, maps, providers, 2)).moves.size).toBe(2);
  });

  it('stays where nobody who takes shards is elsewhere', async () => {
    const maps = [['p1', 'p1', 'p2']];
    const none = [provider('p1'), provider('p2'), provider('p3', false), provider('p4', true, 'p2')];
    expect((await planOf(REPLICA, maps, none, 2)).moves.size).toBe(0);
  });

  it('stays in all its chunks where one of them cannot survive more', async () => {
    const maps = [
      ['p1', 'p1', 'p2'],
      ['p2', 'p2', 'gone'],
    ];
    expect(
      (
        await planOf(
          REPLICA,
          maps,
          NINE.map((id) => provider(id)),
          2,
        )
      ).moves.size,
    ).toBe(0);
  });

  it.each([['p1'], ['p1', 'p2'], ['p1', 'p2', 'p3']])(
    'comes back to what it was put with: without %s, %s, %s',
    async (...gone) => {
      const providers = NINE.map((id) => provider(id));
      let maps: string[][] = repaired(gone.filter((id) => id !== undefined));
      const before = survive(DEFAULT_LRC, maps);
      expect(before).toBeLessThan(3);
      for (let round = 0; round < 3; round++) {
        const { moves } = await planOf(DEFAULT_LRC, maps, providers, 3);
        maps = movedBy(maps, moves);
      }
      expect(survive(DEFAULT_LRC, maps)).toBe(3);
      expect((await planOf(DEFAULT_LRC, maps, providers, 3)).moves.size).toBe(0);
    },
  );

  it('survives no less than before whichever of the moves come to nothing', async () => {
    const maps = repaired(['p4', 'p7']);
    const before = survive(DEFAULT_LRC, maps);
    const { moves } = await planOf(
      DEFAULT_LRC,
      maps,
      NINE.map((id) => provider(id)),
      3,
    );
    expect(moves.size).toBeGreaterThan(0);
    let seed = 1;
    for (let tries = 0; tries < 50; tries++) {
      const some = [...moves].filter(() => {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
        return (seed >>> 8) % 2 === 0;
      });
      expect(survive(DEFAULT_LRC, movedBy(maps, new Map(some)))).toBeGreaterThanOrEqual(before);
    }
  });
});
