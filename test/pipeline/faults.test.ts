import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { FaultPlan } from '../../src/providers/layers/fault.ts';
import { withTimeout } from '../../src/providers/layers/timeout.ts';
import { emptyTrash } from '../../src/records/trash.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { verifyObject } from '../../src/upkeep/verify.ts';
import { SLOW } from '../helpers/cli.ts';
import { allBlobs, arenaIsFree, faultyVault } from '../helpers/faulty.ts';
import { noise, readAll } from '../helpers/vault.ts';

const MIB = 1024 * 1024;
/** Moments at which a put is aborted. */
const TURNS = SLOW ? 40 : 16;
const unhandled: unknown[] = [];
const warnings: string[] = [];
const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
const onWarning = (warning: Error): void => void warnings.push(`${warning.name}: ${warning.message}`);
beforeAll(() => {
  process.on('unhandledRejection', onUnhandled);
  process.on('warning', onWarning);
});
afterAll(async () => {
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.off('unhandledRejection', onUnhandled);
  process.off('warning', onWarning);
  expect(unhandled).toEqual([]);
  expect(warnings.filter((text) => text.includes('MaxListeners'))).toEqual([]);
});

const typed = async (work: Promise<unknown>): Promise<HoldfastError | undefined> => {
  try {
    await work;
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(HoldfastError);
    expect((error as HoldfastError).kind).not.toBe('Unexpected');
    return error as HoldfastError;
  }
};

const PLANS: Record<string, FaultPlan> = {
  'losing every request': { lose: 1 },
  'losing every answer': { loseAnswer: 1 },
  'losing half of everything': { lose: 0.5, loseAnswer: 0.3 },
  'flipping bits': { flipBit: 1 },
  truncating: { truncate: 1 },
  lengthening: { lengthen: 1 },
  full: { error: 'QuotaExceeded', operations: ['store'] },
  forbidding: { error: 'PermissionDenied' },
  'rate limiting': { error: 'RateLimited' },
  'failing oddly': { error: 'Aborted' },
  hanging: { hang: 1 },
  'hanging now and then': { hang: 0.3 },
  slow: { latencyMs: [1, 15] },
  'dropping what they acknowledged': { blackHole: 1 },
};

const OPTIONS = { chunkBytes: 65_536, policy: { packTargetBytes: 65_536 }, arenaBytes: 16 * MIB };
const deadlines = (adapter: Parameters<typeof withTimeout>[0]): ReturnType<typeof withTimeout> =>
  withTimeout(adapter, { clock: systemClock, callTimeoutMs: 300, minBytesPerSecond: 64 * MIB });

describe('three of nine providers', () => {
  for (const [what, plan] of Object.entries(PLANS)) {
    it(`${what}: put, get, verify and delete are right or fail typed, and give all memory back`, async () => {
      const vault = await faultyVault(OPTIONS, deadlines);
      const { context, faulty } = vault;
      const bytes = noise(700_000, 3);
      const bad = [1, 4, 7];
      const misbehave = (now: FaultPlan): void => {
        for (const i of bad) faulty[i]!.setFaults(now);
      };

      await putObject(context, bytes, { name: 'before' });
      const before = await allBlobs(vault);
      misbehave(plan);

      // Three bad providers are as many as the object survives: reading must succeed.
      const got = await getObject(context, 'before');
      expect(Buffer.compare(await readAll(got), bytes)).toBe(0);
      expect(arenaIsFree(context)).toBe(true);
      const verified = await verifyObject(context, 'before');
      expect(verified.readable).toBe(true);
      expect(arenaIsFree(context)).toBe(true);

      const failed = await typed(putObject(context, bytes, { name: 'during' }));
      expect(arenaIsFree(context)).toBe(true);
      if (failed === undefined) {
        const during = await readAll(await getObject(context, 'during'));
        expect(Buffer.compare(during, bytes)).toBe(0);
      }
      await typed(readAll(await getObject(context, 'before', { start: 70_000, length: 100_000 })));
      misbehave({});
      for (const { id } of vault.providers) context.directory.heard(id);
      if (failed === undefined) {
        const again = await typed(getObject(context, 'during').then(readAll));
        if (what !== 'dropping what they acknowledged') expect(again).toBeUndefined();
        await deleteObject(context, 'during');
      }
      // What could not be deleted then was queued.
      await emptyTrash(context, async () => false);
      expect(await allBlobs(vault)).toEqual(before);

      misbehave(plan);
      const deleted = await typed(deleteObject(context, 'before'));
      expect(deleted).toBeUndefined();
      await expect(getObject(context, 'before')).rejects.toMatchObject({ kind: 'NotFound' });
      expect(arenaIsFree(context)).toBe(true);
      await context.engine.close();
    });
  }
});

describe('all nine providers', () => {
  for (const [what, plan] of Object.entries(PLANS)) {
    it(`${what}: right or typed, never wrong, and all memory comes back`, async () => {
      const vault = await faultyVault(OPTIONS, deadlines);
      const { context, faulty } = vault;
      const bytes = noise(700_000, 5);
      await putObject(context, bytes, { name: 'before' });
      for (const adapter of faulty) adapter.setFaults(plan);
      const outcomes: string[] = [];
      const note = (operation: string, error: HoldfastError | undefined): void => {
        outcomes.push(`${operation}: ${error === undefined ? 'right' : error.kind}`);
        expect(arenaIsFree(context), operation).toBe(true);
      };
      const reading = async (): Promise<void> => {
        const seen: Uint8Array[] = [];
        try {
          for await (const piece of await getObject(context, 'before')) seen.push(piece);
        } finally {
          const all = Buffer.concat(seen);
          expect(Buffer.compare(all, bytes.subarray(0, all.length))).toBe(0);
        }
      };
      note('get', await typed(reading()));
      note('verify', await typed(verifyObject(context, 'before')));
      note('put', await typed(putObject(context, bytes, { name: 'during' })));
      for (const adapter of faulty) adapter.setFaults({});
      note('get after', await typed(reading()));
      expect(outcomes.at(-1)).toBe('get after: right');
      console.log(`faults: all providers ${what}: ${outcomes.join(', ')}`);
    });
  }
});

describe('sources and readers that stop', () => {
  it('a source that fails: its own error, nothing stored, memory free', async () => {
    const vault = await faultyVault(OPTIONS);
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 20; i++) yield noise(50_000, i + 1);
      throw new Error('the source broke');
    };
    await expect(putObject(vault.context, broken(), { name: 'x' })).rejects.toThrow('the source broke');
    expect(arenaIsFree(vault.context)).toBe(true);
    expect(await allBlobs(vault)).toEqual([]);
  });

  it('a source that yields what is no bytes is refused', async () => {
    const vault = await faultyVault(OPTIONS);
    const wrong = (async function* () {
      yield 'text';
    })() as unknown as AsyncIterable<Uint8Array>;
    await expect(putObject(vault.context, wrong)).rejects.toThrow(/Uint8Array/);
    expect(arenaIsFree(vault.context)).toBe(true);
  });

  it('a put aborted at any moment stores nothing and frees all memory', async () => {
    const vault = await faultyVault(OPTIONS);
    for (const adapter of vault.faulty) adapter.setFaults({ latencyMs: [0, 4] });
    const bytes = noise(1_000_000, 3);
    let finished = 0;
    for (let i = 0; i < TURNS; i++) {
      const stop = new AbortController();
      setTimeout(() => stop.abort(), (i * 120) / TURNS);
      const error = await typed(putObject(vault.context, bytes, { name: `x${i}`, signal: stop.signal }));
      expect(arenaIsFree(vault.context)).toBe(true);
      if (error === undefined) {
        finished++;
        expect(Buffer.compare(await readAll(await getObject(vault.context, `x${i}`)), bytes)).toBe(0);
        await deleteObject(vault.context, `x${i}`);
      } else expect(error.kind).toBe('Aborted');
      expect(await allBlobs(vault)).toEqual([]);
    }
    console.log(
      `faults: ${TURNS} puts aborted at any moment: ${finished} had finished, no blob and no memory kept`,
    );
  });

  it('a get aborted or left at any moment frees all memory', async () => {
    const vault = await faultyVault(OPTIONS);
    const bytes = noise(3_000_000, 3);
    await putObject(vault.context, bytes, { name: 'x' });
    for (const adapter of vault.faulty) adapter.setFaults({ latencyMs: [0, 3] });
    for (let i = 0; i < 40; i += SLOW ? 1 : 3) {
      const stop = new AbortController();
      if (i % 2 === 0) setTimeout(() => stop.abort(), i);
      let pieces = 0;
      const reading = async (): Promise<void> => {
        for await (const piece of await getObject(vault.context, 'x', { signal: stop.signal })) {
          expect(piece.length).toBeGreaterThan(0);
          if (i % 2 === 1 && pieces++ === i) break;
        }
      };
      const error = await typed(reading());
      if (error !== undefined) expect(error.kind).toBe('Aborted');
      expect(arenaIsFree(vault.context), `turn ${i}`).toBe(true);
    }
  });

  it('a signal that had fired before touches nothing', async () => {
    const vault = await faultyVault(OPTIONS);
    await putObject(vault.context, noise(10), { name: 'x' });
    const before = await allBlobs(vault);
    const signal = AbortSignal.abort();
    for (const work of [
      putObject(vault.context, noise(100), { name: 'y', signal }),
      getObject(vault.context, 'x', { signal }).then(readAll),
      verifyObject(vault.context, 'x', { signal }),
      deleteObject(vault.context, 'x', { signal }),
    ]) {
      expect((await typed(work))?.kind).toBe('Aborted');
    }
    expect(await allBlobs(vault)).toEqual(before);
    expect(await readAll(await getObject(vault.context, 'x'))).toEqual(noise(10));
  });
});
