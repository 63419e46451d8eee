import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { diskFiles } from '../../src/receipts/log/disk.ts';
import { ackOf, countingRandom, EPOCH, ed25519, grantOf, newClock, openDesk } from '../receipts/world.ts';

const MIB = 1024 ** 2;

/** Over by the clock of any machine, which programs go by. */
const BACK = 100_000;
export const HOUR: number = EPOCH - BACK;

/** An hour in which five readers acknowledged 2 MiB and 5 bytes from p1. */
export async function closedHour(folder: string, seed: number, later = 0): Promise<void> {
  const clock = newClock();
  clock.jump += (later - BACK) * 3_600_000;
  const random = countingRandom(1_000 * later + 1);
  const key = new Uint8Array(32).fill(seed);
  const desk = await openDesk({ files: diskFiles, clock, folder, random, key });
  for (let i = 0; i < 5; i++) {
    const bytes = i === 0 ? 2 * MIB + 1 : 1;
    const signer = ed25519.signer(new Uint8Array(32).fill(i));
    expect(await desk.accept(ackOf(grantOf(desk, 'p1', bytes), bytes, undefined, signer))).toBeUndefined();
  }
  clock.jump += 3_600_000 + 300_000;
  expect(await desk.closeDue()).toHaveLength(1);
  await desk.close();
  await writeFile(join(folder, 'gateway.key'), `${toHex(key)}\n`, { mode: 0o600 });
}
