import { describe, expect, it } from 'vitest';
import type { Owners } from '../../src/engine/index.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { PutJournal } from '../../src/records/journal.ts';
import { createLeases, LEASE_MS, type Leases } from '../../src/records/leases.ts';
import { sweepJournal } from '../../src/upkeep/sweep.ts';
import { aroundWrites, touches } from '../helpers/engine.ts';
import { noise, type TestVault, testVault } from '../helpers/vault.ts';

const OLD_STYLE = 'host:1:00aa11bb';

/** A machine that looks at the owners of a state. */
class Machine {
  upMs: number;
  readonly #name: string;
  readonly #standing: Awaited<ReturnType<Owners['standing']>>;

  constructor(name: string, upMs: number, standing: Awaited<ReturnType<Owners['standing']>> = 'unknown') {
    this.#name = name;
    this.upMs = upMs;
    this.#standing = standing;
  }

  /** As one of many short runs sees it. */
  leases(context: VaultContext): Leases {
    const locks = {
      standing: async () => this.#standing,
      host: async () => this.#name,
      tidy: async () => {},
    };
    return createLeases(context, locks, () => this.upMs);
  }

  sweep(context: VaultContext): ReturnType<typeof sweepJournal> {
    const leases = this.leases(context);
    return sweepJournal(context, (owner, mark) => leases.isOver(owner, mark));
  }
}

/** A vault with what a put left behind whose process died before it was visible. */
async function leftBehind(owner: string): Promise<TestVault> {
  const vault = await testVault();
  const engine = aroundWrites(vault.context.engine, async (write, work) => {
    if (touches(write, 'names')) throw new Error('the process is gone');
    return work();
  });
  await putObject({ ...vault.context, engine, owner: async () => owner }, noise(50_000), { name: 'x' }).catch(
    () => {},
  );
  return vault;
}

async function blobsOf({ providers }: TestVault): Promise<number> {
  let count = 0;
  for (const { adapter } of providers) for await (const _ of adapter.list()) count++;
  return count;
}

describe('an owner without a lock that can be tried', () => {
  it('is taken over once its journals have stood still for the time of a lease, and not before', async () => {
    const vault = await leftBehind(OLD_STYLE);
    const machine = new Machine('a', 5_000);
    for (const upMs of [5_000, 6_000, 5_000 + LEASE_MS - 1]) {
      machine.upMs = upMs;
      expect(await machine.sweep(vault.context)).toMatchObject({ finished: 0 });
    }
    expect(await blobsOf(vault)).toBeGreaterThan(0);
    machine.upMs = 5_000 + LEASE_MS;
    expect(await machine.sweep(vault.context)).toMatchObject({ finished: 1 });
    expect(await blobsOf(vault)).toBe(0);
  });

  it('is left alone as long as it goes on writing', async () => {
    const { context } = await testVault();
    const journal = await PutJournal.begin({ ...context, owner: async () => OLD_STYLE }, undefined);
    const machine = new Machine('a', 0);
    for (let day = 0; day < 4; day++) {
      await journal.intend('p1', (await putObject(context, noise(100, day + 1))).manifest);
      expect(await machine.sweep(context)).toMatchObject({ finished: 0 });
      machine.upMs += LEASE_MS;
    }
    expect(await machine.sweep(context)).toMatchObject({ finished: 1 });
  });

  it.each([
    [
      'another machine, which has watched for itself only a moment',
      (): Machine => new Machine('b', LEASE_MS * 3),
    ],
    ['a machine that was started anew', (): Machine => new Machine('a', 100)],
  ])('is left alone by %s', async (_, other) => {
    const vault = await leftBehind(OLD_STYLE);
    await new Machine('a', LEASE_MS).sweep(vault.context);
    const second = other();
    expect(await second.sweep(vault.context)).toMatchObject({ finished: 0 });
    second.upMs += LEASE_MS;
    expect(await second.sweep(vault.context)).toMatchObject({ finished: 1 });
  });

  it('is forgotten with its last journal', async () => {
    const { context } = await leftBehind(OLD_STYLE);
    const machine = new Machine('a', 0);
    const rows = async (): Promise<number> => {
      let count = 0;
      for await (const _ of context.engine.table('upkeep').entries({ prefix: 'lease/' })) count++;
      return count;
    };
    await machine.leases(context).tidy((await machine.sweep(context)).owners);
    expect(await rows()).toBe(1);
    machine.upMs = LEASE_MS;
    await machine.leases(context).tidy((await machine.sweep(context)).owners);
    expect(await rows()).toBe(0);
  });
});

describe('an owner with a lock', () => {
  it.each([
    ['is taken over at once when the lock is free', 'dead', 1],
    ['is never taken over while it is held, however long its journals stand still', 'alive', 0],
  ] as const)('%s', async (_, standing, finished) => {
    const { context } = await leftBehind('any');
    const machine = new Machine('a', 0, standing);
    await machine.leases(context).isOver('any', 'mark');
    machine.upMs = 100 * LEASE_MS;
    expect(await machine.sweep(context)).toMatchObject({ finished });
  });
});
