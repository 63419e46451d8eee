import { expect, test } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import type { ReceiptDesk } from '../../src/receipts/desk.ts';
import { EPOCH_MS } from '../../src/receipts/records/grants.ts';
import { decodeReceipt } from '../../src/receipts/records/records.ts';
import type { FakeClock } from '../helpers/fake-clock.ts';
import { recordsOf } from './page-reader.ts';
import {
  ackOf,
  auditOf,
  CrashingFiles,
  countingRandom,
  EPOCH,
  FOLDER,
  grantOf,
  newClock,
  openDesk,
  Stopped,
} from './world.ts';

const SLOW = process.env.SLOW === '1';

/** Numbers from 0 to 1 that depend on the seed alone. */
function randomOf(seed: number): () => number {
  const bytes = countingRandom(seed * 65_537 + 1);
  return () => new DataView(bytes(4).buffer).getUint32(0) / 2 ** 32;
}

/** What came of everything that was asked. */
interface Told {
  /** Acknowledgements that the reader was told are taken. */
  readonly taken: Map<string, Uint8Array>;
  /** Those that it was told nothing of, or that they are not. */
  readonly open: Map<string, Uint8Array>;
  readonly roots: Map<string, string>;
}

const READS = 9;

/** Two hours of reads, both closed. What stops, stops at a step of the files. */
async function work(files: CrashingFiles, clock: FakeClock, told: Told, seed: number): Promise<void> {
  const desk = await openDesk({ files, clock, random: countingRandom(seed * 1_000 + 1) });
  for (const epoch of [EPOCH, EPOCH + 1]) {
    toEpoch(clock, epoch);
    await replay(desk, told);
    for (let batch = 0; batch < 3; batch++) {
      const acks = Array.from({ length: READS / 3 }, (_, i) => ackOf(grantOf(desk, `p${i % 2}`)));
      await Promise.all(acks.map((ack) => tell(desk, ack, told)));
      if (files.isStopped) throw new Stopped();
    }
    toEpoch(clock, epoch + 1);
    clock.jump += 6 * 60_000;
    for (const root of await desk.closeDue()) told.roots.set(`${root.epoch}`, toHex(root.sig));
  }
  await desk.close();
}

function toEpoch(clock: FakeClock, epoch: number): void {
  if (clock.now() < epoch * EPOCH_MS) clock.jump += epoch * EPOCH_MS + 1_000 - clock.now();
}

async function tell(desk: ReceiptDesk, ack: Uint8Array, { taken, open }: Told): Promise<void> {
  const key = toHex(ack);
  open.set(key, ack);
  if ((await desk.accept(ack)) !== undefined) return;
  open.delete(key);
  taken.set(key, ack);
}

/** All that was ever sent is sent again: what was taken must not be taken again. */
async function replay(desk: ReceiptDesk, told: Told): Promise<void> {
  for (const ack of told.taken.values()) expect(['duplicate', 'stale']).toContain(await desk.accept(ack));
  await Promise.all([...told.open.values()].map((ack) => tell(desk, ack, told)));
}

/** Every record that is on the disk, by the file's epoch. */
function recordsIn(files: CrashingFiles): { readonly epoch: string; readonly bytes: Uint8Array }[] {
  return files
    .paths()
    .map((path) => ({ path, epoch: /\/read\/(\d+)\/\d{8}\.cbor$/.exec(path)?.[1] }))
    .filter(({ epoch }) => epoch !== undefined)
    .flatMap(({ path, epoch }) => recordsOf(files.get(path)).map((bytes) => ({ epoch: epoch!, bytes })));
}

async function judge(files: CrashingFiles, clock: FakeClock, told: Told): Promise<void> {
  clock.jump += 2 * EPOCH_MS;
  const desk = await openDesk({ files, clock });
  for (const root of await desk.closeDue()) told.roots.set(`${root.epoch}`, toHex(root.sig));
  expect(await desk.closeDue()).toEqual([]);
  await desk.close();
  const records = recordsIn(files).map(({ bytes }) => toHex(bytes));
  const ids = recordsIn(files).map(({ bytes }) => {
    const receipt = decodeReceipt(bytes);
    return receipt.kind === 'read' ? toHex(receipt.readId) : '';
  });
  expect(new Set(ids).size).toBe(ids.length);
  for (const key of told.taken.keys()) expect(records).toContain(key);
  // An hour in which nothing could be written has no root.
  const epochs = [...new Set(recordsIn(files).map(({ epoch }) => Number(epoch)))];
  for (const epoch of epochs) {
    const { difference, root } = await auditOf(files, epoch);
    expect(difference).toBeUndefined();
    const seen = told.roots.get(`${epoch}`);
    if (seen !== undefined) expect(toHex(root!.sig)).toBe(seen);
  }
  const roots = files.paths().filter((path) => path.startsWith(`${FOLDER}/read/`) && path.endsWith('.root'));
  expect(roots.filter((path) => !path.includes('/.'))).toHaveLength(epochs.length);
}

const newTold = (): Told => ({ taken: new Map(), open: new Map(), roots: new Map() });

async function stepsOfAll(): Promise<number> {
  const files = new CrashingFiles();
  await work(files, newClock(), newTold(), 1);
  return files.taken;
}

test('killed at every step, nothing acknowledged is lost or counted twice, and each epoch has one root', async () => {
  const steps = await stepsOfAll();
  expect(steps).toBeGreaterThan(25);
  for (let step = 0; step < steps; step++) {
    for (let seed = 1; seed <= (SLOW ? 40 : 3); seed++) {
      const random = randomOf(step * 1_000 + seed);
      const told = newTold();
      const clock = newClock();
      let files = new CrashingFiles();
      files.steps = step;
      // Whether it notices or not, nothing reaches the disk any more.
      await work(files, clock, told, seed).catch(() => undefined);
      files = files.afterCrash(random);
      // Killed again while it starts and goes on, where there is time.
      if (SLOW && random() < 0.5) {
        files.steps = Math.floor(random() * 20);
        await work(files, clock, told, seed + 500).catch(() => undefined);
        files = files.afterCrash(random);
      }
      await work(files, clock, told, seed + 900);
      await judge(files, clock, told);
    }
  }
});

test('a disk that fails at any step has nothing counted twice, and goes on when it is well again', async () => {
  const steps = await stepsOfAll();
  for (let step = 0; step < steps; step++) {
    for (const many of [1, 4]) {
      const told = newTold();
      const clock = newClock();
      const files = new CrashingFiles();
      files.fault = () =>
        files.taken > step && files.taken <= step + many
          ? Object.assign(new Error('no space'), { code: 'ENOSPC' })
          : undefined;
      await work(files, clock, told, 1).catch(() => undefined);
      files.fault = undefined;
      await work(files, clock, told, 2);
      await judge(files, clock, told);
    }
  }
});
