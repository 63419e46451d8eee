import { expect, test } from 'vitest';
import { wasmBlake3 as blake3 } from '../../../src/core/b3/wasm.ts';
import { toHex } from '../../../src/core/bytes.ts';
import { createMemoryEngine, type Engine } from '../../../src/engine/index.ts';
import { EPOCH_MS } from '../../../src/receipts/records/grants.ts';
import { decodeRoot } from '../../../src/receipts/records/root.ts';
import { decodeFinal } from '../../../src/receipts/settlement/final.ts';
import { FolderWatcher } from '../../../src/receipts/settlement/watcher.ts';
import type { FakeClock } from '../../helpers/fake-clock.ts';
import {
  ackOf,
  auditOf,
  CrashingFiles,
  countingRandom,
  EPOCH,
  ed25519,
  FOLDER,
  grantOf,
  newClock,
  openDesk,
  Stopped,
} from '../world.ts';
import { Chain } from './chain.ts';
import { newLedger, sumOf } from './world.ts';

const SLOW = process.env.SLOW === '1';

interface Machine {
  files: CrashingFiles;
  readonly engine: Engine;
  readonly clock: FakeClock;
  readonly chain: Chain;
}

/** A batch is there whole or not at all, and the machine may stop before or after it. */
const stopping = (engine: Engine, files: CrashingFiles): Engine => ({
  name: engine.name,
  revision: () => engine.revision(),
  close: () => engine.close(),
  table: (name) => engine.table(name),
  async batch(...given) {
    files.step('batch');
    const done = await engine.batch(...given);
    files.step('batch: answer');
    return done;
  },
});

/** Two hours of reads, each closed, anchored, found final and credited. */
async function work({ files, engine, clock, chain }: Machine, seed: number): Promise<void> {
  const desk = await openDesk({ files, clock, random: countingRandom(seed * 1_000 + 1) });
  const settlement = newLedger({ poolCredits: 1 }, engine).again({}, stopping(engine, files));
  const watcher = new FolderWatcher({
    ...{ files, folder: FOLDER, blake3, ed25519, clock, settlement, confirmations: 2 },
  });
  const going = (): void => {
    if (files.isStopped) throw new Stopped();
  };
  for (const epoch of [EPOCH, EPOCH + 1]) {
    if (clock.now() < epoch * EPOCH_MS) clock.jump += epoch * EPOCH_MS + 1_000 - clock.now();
    await Promise.all([0, 1, 2, 3].map((i) => desk.accept(ackOf(grantOf(desk, `p${i % 2}`)))));
    going();
    const end = (epoch + 1) * EPOCH_MS + 6 * 60_000;
    if (clock.now() < end) clock.jump += end - clock.now();
    await desk.closeDue();
    for (let i = 0; i < 3; i++) {
      await watcher.round(chain);
      going();
      chain.mine();
    }
  }
  await desk.close();
}

/** What there is of each hour. */
async function judge({ files, engine }: Machine, seen: Map<string, string>): Promise<Map<number, string>> {
  const balances = await newLedger({}, engine).balances();
  expect(sumOf(balances)).toBe(0n);
  const standing = new Map<number, string>();
  let credited = 0;
  for (const path of files.paths()) {
    const [, number, kind] = /\/read\/(\d+)\.(root|final)$/.exec(path) ?? [];
    if (number === undefined) continue;
    const bytes = files.get(path);
    expect(seen.get(path) ?? toHex(bytes)).toBe(toHex(bytes));
    seen.set(path, toHex(bytes));
    const epoch = Number(number);
    if (kind === 'final') continue;
    const root = decodeRoot(bytes);
    const finalBytes = files.paths().includes(path.replace('.root', '.final'))
      ? files.get(path.replace('.root', '.final'))
      : undefined;
    if (finalBytes !== undefined) expect(decodeFinal(finalBytes).digest).toEqual(blake3.hash(bytes));
    const booked = await newLedger({}, engine).settlement.bookedRead(root.gateway, epoch);
    if (booked !== undefined) {
      expect(booked).toEqual(blake3.hash(bytes));
      expect(finalBytes).toBeDefined();
      credited += root.credited;
    }
    standing.set(epoch, booked !== undefined ? 'credited' : finalBytes !== undefined ? 'final' : 'root');
  }
  const { 'provider/p0': p0 = 0n, 'provider/p1': p1 = 0n } = balances;
  expect(p0 + p1).toBe(BigInt(credited));
  return standing;
}

const newMachine = (): Machine => ({
  ...{ files: new CrashingFiles(), engine: createMemoryEngine(), clock: newClock(), chain: new Chain() },
});

test('stopped at every step from append to credit, each hour has one root, one final and one credit in the end', async () => {
  const whole = newMachine();
  await work(whole, 1);
  const steps = whole.files.taken;
  expect(steps).toBeGreaterThan(40);
  const reached = new Map<string, number>();
  for (let step = 0; step < steps; step++) {
    for (let seed = 1; seed <= (SLOW ? 30 : 1); seed++) {
      const machine = newMachine();
      const seen = new Map<string, string>();
      const random = countingRandom(step * 100 + seed);
      const chance = (): number => random(1)[0]! / 256;
      machine.files.steps = step;
      await work(machine, seed).catch(() => undefined);
      machine.files = machine.files.afterCrash(chance);
      for (const state of (await judge(machine, seen)).values())
        reached.set(state, (reached.get(state) ?? 0) + 1);
      // And once more, somewhere on the way back.
      machine.files.steps = Math.floor(chance() * steps);
      await work(machine, seed + 500).catch(() => undefined);
      machine.files = machine.files.afterCrash(chance);
      await judge(machine, seen);
      machine.clock.jump += 2 * EPOCH_MS;
      await work(machine, seed + 900);
      const standing = await judge(machine, seen);
      expect([...standing.values()].every((state) => state === 'credited')).toBe(true);
      for (const epoch of standing.keys())
        expect((await auditOf(machine.files, epoch)).difference).toBeUndefined();
    }
  }
  // It was stopped between each of them and the next.
  expect([...reached.keys()].sort()).toEqual(['credited', 'final', 'root']);
}, 600_000);
