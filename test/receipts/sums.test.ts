import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { wasmBlake3 as blake3 } from '../../src/core/b3/wasm.ts';
import type { Counted } from '../../src/receipts/records/records.ts';
import { joinSums, sumEpoch, sumFiles } from '../../src/receipts/sums.ts';
import { Totals } from '../../src/receipts/totals.ts';
import { longHour } from './hours.ts';
import { EPOCH, FOLDER } from './world.ts';

const gateway = new Uint8Array(32);
const provider = fc.constantFrom('p1', 'p2', 'zwölf');
const sum = fc.oneof(fc.nat({ max: 1_000 }), fc.constant(Number.MAX_SAFE_INTEGER - 5));
/** Few readers, so that parts have some of them in common. */
const reader = fc.nat({ max: 5 }).map((n) => new Uint8Array(32).fill(n));
const record: fc.Arbitrary<Counted> = fc.oneof(
  fc.record({ gateway: fc.constant(gateway), kind: fc.constant('denials' as const), reads: sum }),
  fc.record({ gateway: fc.constant(gateway), kind: fc.constant('execution' as const), provider, cpuUs: sum }),
  fc.record(
    {
      gateway: fc.constant(gateway),
      kind: fc.constant('read' as const),
      provider,
      bytes: sum,
      pk: reader,
      allowed: fc.boolean(),
    },
    { requiredKeys: ['gateway', 'kind', 'provider', 'bytes', 'allowed'] },
  ),
);

test('what parts of an hour come to is joined to what the whole comes to', () => {
  fc.assert(
    fc.property(fc.array(fc.array(record, { maxLength: 40 }), { maxLength: 4 }), (parts) => {
      const [whole, joined] = [new Totals(), new Totals()];
      for (const part of parts) {
        const its = new Totals();
        for (const one of part) {
          its.add(one);
          whole.add(one);
        }
        joined.join(structuredClone(its.tallied()));
      }
      expect(joined.totals()).toEqual(whole.totals());
    }),
  );
});

test('files summed up apart, wherever they are parted, come to the hour', async () => {
  const { files } = await longHour();
  const place = { files, blake3, folder: FOLDER };
  const whole = await sumEpoch(place, EPOCH);
  expect(whole.subtrees).toHaveLength(3);
  for (const at of [1, 2]) {
    const parts = await Promise.all([
      sumFiles(place, EPOCH, { from: 0, to: at }),
      sumFiles(place, EPOCH, { from: at, to: 3 }),
    ]);
    expect(joinSums(blake3, parts)).toEqual(whole);
  }
});
