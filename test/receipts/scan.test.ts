import { expect, test } from 'vitest';
import { wasmBlake3 as blake3 } from '../../src/core/b3/wasm.ts';
import { concatBytes } from '../../src/core/bytes.ts';
import { encodeBatch, scanFile, scanInTurns } from '../../src/receipts/log/batch.ts';
import { encodeReceipt, idOf } from '../../src/receipts/records/records.ts';
import { CrashingFiles, grantOf, newClock, openDesk } from './world.ts';

/** Batches of these sizes, of records that differ. */
async function fileOf(sizes: readonly number[]): Promise<Uint8Array> {
  const desk = await openDesk({ files: new CrashingFiles(), clock: newClock() });
  const record = (): Uint8Array =>
    encodeReceipt({ ...grantOf(desk), kind: 'read', bytes: 1, ts: 1_800_000_000_000, allowed: true });
  return concatBytes(...sizes.map((size) => encodeBatch(blake3, Array.from({ length: size }, record))));
}

test('a file gone through in turns shows the same records, whatever bit of it is wrong', async () => {
  const file = await fileOf([1, 3, 2]);
  for (let at = 0; at < file.length; at++) {
    const damaged = file.slice();
    damaged[at]! ^= 1 << (at % 8);
    const [wanted, found]: [unknown[], unknown[]] = [[], []];
    scanFile(blake3, damaged, ({ receipt }, index) => wanted.push([index, idOf(receipt)]));
    await scanInTurns(blake3, damaged, ({ receipt }, index) => found.push([index, idOf(receipt)]));
    expect(found, `byte ${at}`).toEqual(wanted);
  }
});

test('others have the thread between the batches of a large file', async () => {
  const file = await fileOf(Array.from({ length: 64 }, () => 64));
  let turns = 0;
  const tick = (): void => {
    turns++;
    ticking = setImmediate(tick);
  };
  let ticking = setImmediate(tick);
  let [longest, seen, last] = [0, 0, 0];
  await scanInTurns(blake3, file, () => {
    if (turns === last) seen++;
    else [seen, last] = [1, turns];
    longest = Math.max(longest, seen);
  });
  clearImmediate(ticking);
  expect(longest).toBeLessThanOrEqual(256);
});
