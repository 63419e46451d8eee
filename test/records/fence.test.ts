import { expect, it } from 'vitest';
import { HoldfastError } from '../../src/core/errors.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';
import { TABLE_NAMES } from '../../src/engine/tables.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { nameOfFork } from '../../src/records/forks.ts';
import { generationOf } from '../../src/records/generation.ts';
import { RESERVED_NAME } from '../../src/records/generation-slot.ts';
import { pointName } from '../../src/records/names.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { recoverVault } from '../../src/upkeep/recover/recover.ts';
import { sweepJournal } from '../../src/upkeep/sweep.ts';
import { aroundWrites, touches } from '../helpers/engine.ts';
import { noise, readAll, type TestVault, testVault } from '../helpers/vault.ts';

const everyone = (): boolean => true;

const contentOf = async (context: VaultContext, name: string): Promise<Buffer> =>
  Buffer.from(await readAll(await getObject(context, name)));

async function journalOf({ engine }: VaultContext): Promise<string[]> {
  const keys: string[] = [];
  for await (const [key] of engine.table('journal').entries()) keys.push(key);
  return keys;
}

async function blobsOf({ providers }: TestVault): Promise<string[]> {
  const found: string[] = [];
  for (const { id, adapter } of providers) {
    for await (const { address } of adapter.list()) found.push(`${id}/${address}`);
  }
  return found.sort();
}

it.each([
  ['a name', 'y'],
  ['no name', undefined],
] as const)(
  'a put with %s that a sweep takes for dead fails before it is visible, and leaves nothing',
  async (_, name) => {
    const vault = await testVault();
    const { context } = vault;
    await putObject(context, noise(200_000, 1), { name: 'x' });
    const before = await blobsOf(vault);
    const written: unknown[] = [];
    const engine = aroundWrites(context.engine, async (write, work) => {
      if (!touches(write, 'manifests')) return work();
      // The sweep comes at the last moment: when everything is stored.
      await sweepJournal(context, everyone);
      const done = await work();
      written.push(done);
      return done;
    });
    const slow = { ...context, engine, owner: async () => 'held up' };
    const put = putObject(slow, noise(200_000, 2), { name });
    await expect(put).rejects.toMatchObject({ kind: 'Conflict', code: 'put_fenced' });
    expect(written).toEqual([false]);
    expect(await blobsOf(vault)).toEqual(before);
    expect(await journalOf(context)).toEqual([]);
    expect((await contentOf(context, 'x')).equals(noise(200_000, 1))).toBe(true);
    if (name !== undefined)
      await expect(getObject(context, name)).rejects.toMatchObject({ kind: 'NotFound' });
  },
);

it('a put that was condemned sends nothing more', async () => {
  const vault = await testVault({ policy: { packTargetBytes: 64 * 1024 } });
  const { context } = vault;
  let writes = 0;
  const engine = aroundWrites(context.engine, async (write, work) => {
    if (touches(write, 'journal') && ++writes === 3) await sweepJournal(context, everyone);
    return work();
  });
  const slow = { ...context, engine, owner: async () => 'held up' };
  const put = putObject(slow, noise(1_500_000, 2), { name: 'x' });
  await expect(put).rejects.toMatchObject({ code: 'put_fenced' });
  await sweepJournal(context, everyone);
  expect(await blobsOf(vault)).toEqual([]);
});

it('a sweep leaves alone what was committed, whoever is taken for dead', async () => {
  const { context } = await testVault();
  await putObject(context, noise(3000, 1), { name: 'x' });
  const engine = aroundWrites(context.engine, async (write, work) => {
    const done = await work();
    if (touches(write, 'names')) await sweepJournal(context, everyone);
    return done;
  });
  await putObject({ ...context, engine, owner: async () => 'held up' }, noise(3000, 2), { name: 'x' });
  expect((await contentOf(context, 'x')).equals(noise(3000, 2))).toBe(true);
  expect(await journalOf(context)).toEqual([]);
});

it.each([
  ['the put', true],
  ['a sweep', false],
])(
  'what the name stood for stands again when %s takes a put back, though it has another name',
  async (_, ends) => {
    const { context } = await testVault();
    const { manifest, size } = await putObject(context, noise(3000, 1), { name: 'x' });
    await pointName(context, nameOfFork('x', manifest), { manifest, size, createdMs: 1_767_225_600_000 });
    let died = false;
    const engine = aroundWrites(context.engine, async (write, work) => {
      if (died) throw new Error('the process is dead');
      const done = await work();
      if (!touches(write, 'names')) return done;
      const journals = (await journalOf(context)).filter((key) => !key.includes('/'));
      await generationOf({ ...context, engine: createMemoryEngine() }).condemn(journals);
      died = !ends;
      return done;
    });
    const put = putObject({ ...context, engine, owner: async () => 'other' }, noise(3000, 2), { name: 'x' });
    await expect(put).rejects.toThrow();
    await sweepJournal(context, everyone);
    expect((await contentOf(context, 'x')).equals(noise(3000, 1))).toBe(true);
    expect(await journalOf(context)).toEqual([]);
  },
);

/** The same, of which no provider has the generation's slot while that is said. */
function muted(context: VaultContext, isMuted: () => boolean): VaultContext {
  const slot = context.keys.slotName(RESERVED_NAME);
  const providers = context.directory.all().map((provider) => {
    const adapter = Object.create(provider.adapter) as BlobAdapter;
    const unlessMuted = (name: string): void => {
      if (name === slot && isMuted()) throw new HoldfastError('Unavailable', 'no answer');
    };
    adapter.readSlot = async (name, ...rest) => {
      unlessMuted(name);
      return provider.adapter.readSlot(name, ...rest);
    };
    adapter.writeSlot = async (name, ...rest) => {
      unlessMuted(name);
      return provider.adapter.writeSlot(name, ...rest);
    };
    return { ...provider, adapter };
  });
  return { ...context, directory: { ...context.directory, all: () => providers } };
}

it.each([
  ['stands', false, 2],
  ['is taken back', true, 1],
] as const)(
  'a put of which no majority heard says so, and %s once one says whether it was condemned',
  async (_, isCondemned, seed) => {
    const { context } = await testVault();
    await putObject(context, noise(3000, 1), { name: 'x' });
    let isMuted = true;
    const state = muted(context, () => isMuted);
    const engine = aroundWrites(context.engine, async (write, work) => {
      const done = await work();
      if (!isCondemned || !touches(write, 'names')) return done;
      const journals = (await journalOf(context)).filter((key) => !key.includes('/'));
      await generationOf({ ...context, engine: createMemoryEngine() }).condemn(journals);
      return done;
    });
    const put = { ...state, engine, owner: async () => 'other' };
    expect(await putObject(put, noise(3000, 2), { name: 'x' })).toMatchObject({ unconfirmed: true });
    const { postponed } = await sweepJournal(
      { ...state, engine: aroundWrites(context.engine, (_, work) => work()) },
      everyone,
    );
    expect(postponed).toBe('unconfirmed');
    expect(await journalOf(context)).not.toEqual([]);
    expect((await contentOf(context, 'x')).equals(noise(3000, 2))).toBe(true);
    isMuted = false;
    await sweepJournal(context, everyone);
    expect((await contentOf(context, 'x')).equals(noise(3000, seed))).toBe(true);
    expect(await journalOf(context)).toEqual([]);
  },
);

const STEPS = {
  'a put': (context: VaultContext) => putObject(context, noise(200_000, 2), { name: 'y' }),
  'a put without a name': (context: VaultContext) => putObject(context, noise(200_000, 2)),
  'an overwrite': (context: VaultContext) => putObject(context, noise(200_000, 2), { name: 'x' }),
  'a removal': (context: VaultContext) => deleteObject(context, 'x'),
} as const;

it.each(['a put', 'a put without a name', 'an overwrite'] as const)(
  'a state restored to any moment of %s and recovered takes nothing of it for left behind',
  async (step) => {
    const { context } = await testVault();
    await putObject(context, noise(200_000, 1), { name: 'x' });
    const backups: VaultContext[] = [];
    const engine = aroundWrites(context.engine, async (_, work) => {
      const done = await work();
      backups.push(await copyOf(context));
      return done;
    });
    const { manifest } = await STEPS[step]({ ...context, engine, owner: async () => 'dead' });
    expect((await Promise.all(backups.map(journalOf))).flat()).not.toEqual([]);
    for (const backup of backups) {
      await recoverVault(backup);
      await sweepJournal(backup, everyone);
      expect(await journalOf(backup)).toEqual([]);
      expect((await contentOf(backup, manifest)).equals(noise(200_000, 2))).toBe(true);
    }
  },
);

it.each(Object.keys(STEPS) as (keyof typeof STEPS)[])(
  'a state restored to any moment of %s loses nothing that was acknowledged',
  async (step) => {
    const vault = await testVault();
    const { context } = vault;
    await putObject(context, noise(200_000, 1), { name: 'x' });
    await putObject(context, noise(200_000, 9), { name: 'kept' });
    const backups: VaultContext[] = [await copyOf(context)];
    const engine = aroundWrites(context.engine, async (_, work) => {
      const done = await work();
      backups.push(await copyOf(context));
      return done;
    });
    const result = await STEPS[step]({ ...context, engine, owner: async () => 'dead' });
    for (const backup of backups) {
      await sweepJournal(backup, everyone);
      await putObject(backup, noise(3000, 3), { name: 'x' });
      await sweepJournal(backup, everyone);
    }
    expect(backups.length).toBeGreaterThan(2);
    const fresh = { ...context, engine: createMemoryEngine() };
    expect(await recoverVault(fresh)).toMatchObject({ lost: [] });
    expect((await contentOf(fresh, 'kept')).equals(noise(200_000, 9))).toBe(true);
    if (step === 'a put') expect((await contentOf(fresh, 'y')).equals(noise(200_000, 2))).toBe(true);
    if (step !== 'a removal') {
      expect((await contentOf(fresh, result.manifest)).equals(noise(200_000, 2))).toBe(true);
    }
  },
);

it.each(['a put', 'a put without a name', 'an overwrite'] as const)(
  'a copy of the state that is swept at any moment of %s destroys nothing that is acknowledged then',
  async (step) => {
    const moments = await sweptElsewhere(step, Number.POSITIVE_INFINITY);
    expect(moments.writes).toBeGreaterThan(2);
    let fenced = 0;
    for (let at = 1; at <= moments.writes; at++) {
      for (const later of [0, 1, 2]) {
        const { outcome, context } = await sweptElsewhere(step, at, later);
        if (typeof outcome !== 'string') expect(outcome).toMatchObject({ code: 'put_fenced' });
        else expect((await contentOf(context, outcome)).equals(noise(200_000, 2))).toBe(true);
        if (typeof outcome !== 'string') fenced++;
        const x = await contentOf(context, 'x');
        const overwritten = step === 'an overwrite' && typeof outcome === 'string';
        expect(x.equals(noise(200_000, overwritten ? 2 : 1))).toBe(true);
      }
    }
    expect(fenced).toBeGreaterThan(0);
  },
);

it('so it does when the original was killed before it knew: the sweep makes the put invisible again', async () => {
  const { context } = await testVault();
  await putObject(context, noise(200_000, 1), { name: 'x' });
  let copy: VaultContext | undefined;
  let killed: VaultContext | undefined;
  const engine = aroundWrites(context.engine, async (write, work) => {
    const done = await work();
    copy ??= await copyOf(context);
    if (!touches(write, 'names')) return done;
    await sweepJournal(copy, everyone);
    killed ??= await copyOf(context);
    throw new Error('killed');
  });
  await putObject({ ...context, engine, owner: async () => 'dead' }, noise(200_000, 2), { name: 'x' }).catch(
    () => {},
  );
  expect((await contentOf(killed!, 'x').catch(() => Buffer.alloc(0))).length).toBe(0);
  await sweepJournal(killed!, everyone);
  expect((await contentOf(killed!, 'x')).equals(noise(200_000, 1))).toBe(true);
  expect(await journalOf(killed!)).toEqual([]);
  expect(await recoverVault({ ...context, engine: createMemoryEngine() })).toMatchObject({
    names: 1,
    lost: [],
  });
});

it('a sweep deletes nothing while too few providers were told of it', async () => {
  const vault = await testVault();
  const { context } = vault;
  const killed = await new Promise<VaultContext>((resolve) => {
    const engine = aroundWrites(context.engine, async (write, work) => {
      if (!touches(write, 'names')) return work();
      resolve(await copyOf(context));
      return new Promise<never>(() => {});
    });
    void putObject({ ...context, engine, owner: async () => 'dead' }, noise(200_000, 2), { name: 'x' });
  });
  const before = await blobsOf(vault);
  expect(before).not.toEqual([]);
  const directory = {
    ...context.directory,
    all: () =>
      context.directory.all().map(({ adapter, ...provider }) => ({
        ...provider,
        adapter: new Proxy(adapter, {
          get: (its, key) => {
            if (key === 'writeSlot') return () => Promise.reject(new Error('read only'));
            const member: unknown = Reflect.get(its, key);
            return typeof member === 'function' ? member.bind(its) : member;
          },
        }),
      })),
  };
  const swept = await sweepJournal({ ...killed, directory }, everyone);
  expect(swept).toMatchObject({ finished: 0, failures: [{ error: { kind: 'Conflict' } }] });
  expect(await blobsOf(vault)).toEqual(before);
  expect(await sweepJournal(await copyOf(killed), everyone)).toMatchObject({ finished: 1, failures: [] });
  expect(await blobsOf(vault)).toEqual([]);
});

/** Copies the state at the write with this number, and sweeps the copy as many writes later. */
async function sweptElsewhere(
  step: 'a put' | 'a put without a name' | 'an overwrite',
  at: number,
  later = 0,
): Promise<{ readonly outcome: unknown; readonly writes: number; readonly context: VaultContext }> {
  const { context } = await testVault();
  await putObject(context, noise(200_000, 1), { name: 'x' });
  let writes = 0;
  let copy: VaultContext | undefined;
  const engine = aroundWrites(context.engine, async (_, work) => {
    const done = await work();
    writes++;
    if (writes === at) copy = await copyOf(context);
    if (writes === at + later && copy !== undefined) await sweepJournal(copy, everyone);
    return done;
  });
  const outcome = await STEPS[step]({ ...context, engine, owner: async () => 'alive' }).then(
    ({ manifest }) => manifest,
    (error: unknown) => error,
  );
  return { outcome, writes, context };
}

async function copyOf(context: VaultContext): Promise<VaultContext> {
  const engine = createMemoryEngine();
  for (const name of TABLE_NAMES) {
    const copy = engine.table(name);
    for await (const [key, value] of context.engine.table(name).entries()) await copy.put(key, value);
  }
  return { ...context, engine };
}
