import { expect } from 'vitest';
import type { ReceiptDesk } from '../../src/receipts/desk.ts';
import { EPOCH_MS } from '../../src/receipts/records/grants.ts';
import {
  ackOf,
  type CrashingFiles,
  EPOCH,
  ed25519,
  FOLDER,
  grantOf,
  newWorld,
  requestOf,
  type World,
} from './world.ts';

export const rootOf = (files: CrashingFiles, epoch = EPOCH): Uint8Array =>
  files.get(`${FOLDER}/read/${epoch}.root`);
export const fileOf = (seq: number, epoch = EPOCH): string =>
  `${FOLDER}/read/${epoch}/${`${seq}`.padStart(8, '0')}.cbor`;

/** Five minutes after the end of the epoch that it is in. */
export async function closeHour({ clock, desk }: Pick<World, 'clock' | 'desk'>): Promise<number[]> {
  clock.jump += EPOCH_MS - (clock.now() % EPOCH_MS) + 5 * 60_000;
  return (await desk.closeDue()).map(({ epoch }) => epoch);
}

export async function reads(
  desk: ReceiptDesk,
  provider: string,
  { signed, unsigned }: { signed: number; unsigned: number },
): Promise<void> {
  await Promise.all([
    ...Array.from({ length: signed }, (_, i) => {
      const signer = ed25519.signer(new Uint8Array(32).fill(i % 3));
      return desk.accept(ackOf(grantOf(desk, provider), 10, undefined, signer));
    }),
    ...Array.from({ length: unsigned }, () => desk.unsigned(grantOf(desk, provider), 1_000)),
  ]);
}

let hour: Promise<World> | undefined;
/** More than two files of records, some of each kind; nobody changes it. */
export const longHour = (): Promise<World> => {
  hour ??= makeLongHour();
  return hour;
};

async function makeLongHour(): Promise<World> {
  const world = await newWorld({ denialsPerSecond: 1 });
  await reads(world.desk, 'zwölf', { signed: 12, unsigned: 4_090 });
  await reads(world.desk, 'p2', { signed: 5, unsigned: 4_100 });
  for (let i = 0; i < 5; i++) await world.desk.denied(requestOf(), 'no_such_path');
  await world.clock.advance(10_000);
  expect(await closeHour(world)).toEqual([EPOCH]);
  return world;
}

export function flipped(bytes: Uint8Array, bit: number): Uint8Array<ArrayBuffer> {
  const changed = Uint8Array.from(bytes);
  changed[bit >> 3]! ^= 1 << (bit & 7);
  return changed;
}
