import { expect, it } from 'vitest';
import { createMemoryEngine } from '../../../src/engine/index.ts';
import { silentMetrics } from '../../../src/telemetry/index.ts';
import { egressOf } from '../../../src/upkeep/repair/egress.ts';
import { createRepairPace } from '../../../src/upkeep/repair/pace.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';
import { fixedRandom } from '../../helpers/fixed-random.ts';

const MIB = 1024 ** 2;
const CAP = 10 * MIB;
const NO_LIMIT = 1024 ** 4;

it('a count of the day that cannot be read lifts no cap, but for objects with no loss left to give', async () => {
  const clock = new FakeClock({ auto: true });
  const engine = createMemoryEngine();
  const limits = { bytesPerSecond: NO_LIMIT, clusterBytesPerSecond: NO_LIMIT, egressPerDay: CAP };
  const pace = createRepairPace(
    { engine, clock, random: fixedRandom('egress'), metrics: silentMetrics.repair },
    limits,
  );
  await engine.table('repair_egress').put('2023-11-14/p1', Buffer.from('{"v":1,"byt'));
  await expect(pace.read('p1', MIB, { exempt: false })).rejects.toMatchObject({ code: 'egress_cap' });
  await pace.read('p2', MIB, { exempt: false });
  await pace.read('p1', MIB, { exempt: true });
  expect((await egressOf(engine, clock.now())).get('p1')).toBeGreaterThanOrEqual(CAP);
  clock.jump += 86_400_000;
  await pace.read('p1', MIB, { exempt: false });
});
