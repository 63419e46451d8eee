import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLevelEngine, type Engine } from '../../../src/engine/index.ts';
import type { VaultContext } from '../../../src/pipeline/context.ts';
import { getObject } from '../../../src/pipeline/get/get.ts';
import { putObject } from '../../../src/pipeline/put/put.ts';
import { listNames } from '../../../src/records/name-listing.ts';
import { readName } from '../../../src/records/names.ts';
import { createPlaces } from '../../../src/records/places.ts';
import { relocationsOf } from '../../../src/records/told-relocations.ts';
import { deleteObject } from '../../../src/upkeep/delete.ts';
import { scrubProviders } from '../../../src/upkeep/gc.ts';
import { recoverVault } from '../../../src/upkeep/recover/recover.ts';
import { createRetention, retireDue } from '../../../src/upkeep/retention.ts';
import { sweepJournal } from '../../../src/upkeep/sweep.ts';
import { retireUnnamed } from '../../../src/upkeep/unnamed.ts';
import { SLOW } from '../../helpers/cli.ts';
import { aroundWrites } from '../../helpers/engine.ts';
import { allBlobs } from '../../helpers/faulty.ts';
import { noise, readAll, type TestVault, testVault } from '../../helpers/vault.ts';

const HOUR = 3_600_000;
/** Several segments, so that the journal and the tree have more than one step. */
const BYTES = 150_000;
const SMALL = { providers: 5, chunkBytes: 64 * 1024, policy: { packTargetBytes: 64 * 1024 } };
const [OLD, NEW, KEPT, LATER] = [1, 2, 3, 4].map((seed) => noise(BYTES + seed, seed)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

let folder: string;
const engines: Engine[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-backups-'));
});
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  await rm(folder, { recursive: true, force: true });
});

/** The vault as a process sees it that has its state in this folder. */
function stateIn(location: string, { context }: TestVault, owner: string): VaultContext {
  const { clock } = context;
  const engine = createLevelEngine({ location, clock, lockWaitMs: 5000, idleReleaseMs: 0 });
  engines.push(engine);
  return onEngine({ ...context, owner: async () => owner }, engine);
}

/** What was put off is due by then. */
const inAnHour = (context: VaultContext): VaultContext => {
  const clock = { ...context.clock, now: () => Date.now() + HOUR };
  return onEngine({ ...context, clock }, context.engine);
};

function onEngine(context: VaultContext, engine: Engine): VaultContext {
  const base = { ...context, engine, relocations: relocationsOf({ ...context, engine }) };
  return { ...base, retention: createRetention(base, 0), places: createPlaces(base) };
}

/** What lies at the providers now, to be brought back later. */
async function remember({ providers }: TestVault): Promise<() => Promise<void>> {
  const kept = await Promise.all(
    providers.map(async ({ adapter }) => {
      const blobs = new Map<Parameters<typeof adapter.store>[0], Uint8Array>();
      for await (const { address } of adapter.list()) blobs.set(address, await adapter.fetch(address));
      const slots = new Map<string, Uint8Array>();
      for await (const name of adapter.listSlots()) slots.set(name, (await adapter.readSlot(name))!.bytes);
      return { adapter, blobs, slots };
    }),
  );
  return async () => {
    for (const { adapter, blobs, slots } of kept) {
      for await (const { address } of adapter.list()) if (!blobs.has(address)) await adapter.delete(address);
      for (const [address, bytes] of blobs) await adapter.store(address, [bytes]);
      for await (const name of adapter.listSlots()) if (!slots.has(name)) await adapter.deleteSlot(name);
      for (const [name, bytes] of slots)
        await adapter.writeSlot(name, bytes, (await adapter.readSlot(name))?.version);
    }
  };
}

const OPERATIONS = {
  'a put': {
    name: 'y',
    content: NEW,
    run: (context: VaultContext) => putObject(context, NEW, { name: 'y' }),
  },
  'an overwrite': {
    name: 'x',
    content: NEW,
    run: (context: VaultContext) => putObject(context, NEW, { name: 'x' }),
  },
  'a removal': { name: 'x', content: undefined, run: (context: VaultContext) => deleteObject(context, 'x') },
} as const;

/** What is done with a state that may be an old one. @returns what it acknowledged. */
const USES: Readonly<
  Record<string, (context: VaultContext, name: string) => Promise<Uint8Array | undefined>>
> = {
  'put the name': async (context, name) => {
    await putObject(context, LATER, { name });
    return LATER;
  },
  'put another name': async (context) => {
    await putObject(context, LATER, { name: 'z' });
    return LATER;
  },
  async rm(context, name) {
    await deleteObject(context, name).catch(expectTyped);
    return undefined;
  },
  async get(context) {
    const got = await getObject(context, 'x').then(readAll).catch(expectTyped);
    if (got !== undefined) expect([OLD, NEW].some((bytes) => Buffer.compare(bytes, got) === 0)).toBe(true);
    return undefined;
  },
  gc: async () => undefined,
  async recover(context) {
    await recoverVault(context);
    return undefined;
  },
};

function expectTyped(error: { readonly kind?: string }): undefined {
  expect(['NotFound', 'Unavailable']).toContain(error.kind);
}

/** Housekeeping, then a scrub that holds nothing for young. @param gone owners that are dead. */
async function cleanUp(context: VaultContext, gone: readonly string[], minAgeMs = 0): Promise<void> {
  await sweepJournal(context, (owner) => gone.includes(owner));
  await retireUnnamed(context, minAgeMs);
  await retireDue(context);
  await scrubProviders(context, { minAgeMs });
}

async function contentsOf(context: VaultContext): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  for await (const listed of listNames(context)) {
    if ('name' in listed) found.set(listed.name, await readAll(await getObject(context, listed.name)));
  }
  return found;
}

/** All that was acknowledged can be read by some name, and nothing is at the providers that no name leads to. */
async function expectKept(
  vault: TestVault,
  context: VaultContext,
  gone: string[],
  acknowledged: Uint8Array[],
): Promise<void> {
  await recoverVault(context);
  await cleanUp(inAnHour(context), gone);
  const contents = await contentsOf(context);
  for (const bytes of acknowledged) {
    expect(
      [...contents.values()].some((content) => Buffer.compare(content, bytes) === 0),
      `${bytes.length - BYTES}`,
    ).toBe(true);
  }
  for (const name of contents.keys()) await deleteObject(context, name);
  await cleanUp(inAnHour(context), gone);
  expect(await allBlobs(vault)).toEqual([]);
}

async function standsFor(context: VaultContext, name: string): Promise<string | undefined> {
  return (await readName(context, name))?.manifest;
}

/** A vault with two names, and what brings it back to that. */
async function begun() {
  const vault = await testVault(SMALL);
  const base = join(folder, 'base');
  const context = stateIn(base, vault, 'first');
  await putObject(context, OLD, { name: 'x' });
  await putObject(context, KEPT, { name: 'kept' });
  const restore = await remember(vault);
  let copies = 0;
  const copyOf = async (from: string): Promise<string> => {
    const to = join(folder, `${++copies}`);
    // LevelDB removes files of its own accord, between a listing and a copy of them.
    for (let attempt = 0; ; attempt++) {
      try {
        await cp(from, to, { recursive: true });
        return to;
      } catch (error) {
        if (attempt === 10 || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        await rm(to, { recursive: true, force: true });
      }
    }
  };
  return { vault, base, restore, copyOf };
}

/**
 * After how many of its writes to the engine an operation is looked at. Where that is not each, it is others each time.
 */
const step = SLOW ? 1 : 6;
const from = Date.now() % step;
const isLeftOut = (moment: number, use: number): boolean => (moment + use + from) % step !== 0;

describe.each(Object.keys(OPERATIONS) as (keyof typeof OPERATIONS)[])('of %s', (which) => {
  const { name, content, run } = OPERATIONS[which];

  it('every intermediate backup of the state folder, restored once it is over, loses nothing acknowledged', async () => {
    const { vault, base, copyOf } = await begun();
    const backups: string[] = [];
    const home = await copyOf(base);
    const original = stateIn(home, vault, 'original');
    const engine = aroundWrites(original.engine, async (_, work) => {
      const done = await work();
      backups.push(await copyOf(home));
      return done;
    });
    const { manifest } = await run(onEngine(original, engine));
    const restore = await remember(vault);
    expect(backups.length).toBeGreaterThan(2);
    let used = 0;
    for (const [i, backup] of backups.entries()) {
      for (const [k, [, use]] of Object.entries(USES).entries()) {
        if (isLeftOut(i, k)) continue;
        await restore();
        const context = stateIn(await copyOf(backup), vault, 'later');
        const known = (await standsFor(context, name)) === manifest;
        const later = await use(context, name);
        await cleanUp(context, ['original']);
        const replaced = known && (await standsFor(context, name)) !== manifest;
        await expectKept(
          vault,
          context,
          ['original'],
          [KEPT, ...(content && !replaced ? [content] : []), ...(later ? [later] : [])],
        );
        used++;
      }
    }
    console.log(
      `backups: ${which} has ${backups.length} moments, from ${from}; ${used} times one was restored, used and recovered`,
    );
  });

  it('every intermediate copy of the state folder, used while the original goes on, loses nothing acknowledged', async () => {
    const { vault, base, restore, copyOf } = await begun();
    let moments = 0;
    let used = 0;
    for (const [k, [, use]] of Object.entries(USES).entries()) {
      for (let moment = 0; moment === 0 || moment < moments; moment++) {
        if (moments > 0 && isLeftOut(moment, k)) continue;
        await restore();
        const home = await copyOf(base);
        const original = stateIn(home, vault, 'original');
        const acknowledged = [KEPT];
        const stood: (string | undefined)[] = [];
        let writes = 0;
        const engine = aroundWrites(original.engine, async (_, work) => {
          const done = await work();
          if (writes++ !== moment) return done;
          const copy = stateIn(await copyOf(home), vault, 'copy');
          stood.push(await standsFor(copy, name));
          const later = await use(copy, name);
          stood.push(await standsFor(copy, name));
          if (later !== undefined) acknowledged.push(later);
          // As a command does it: nobody can tell whether the other owner lives, and what is young stays.
          await cleanUp(copy, [], HOUR);
          return done;
        });
        const { manifest } = await run(onEngine(original, engine));
        const replaced = stood[0] === manifest && stood[1] !== manifest;
        if (content !== undefined && !replaced) acknowledged.push(content);
        await expectKept(vault, original, ['original', 'copy'], acknowledged);
        moments = writes;
        used++;
      }
    }
    console.log(
      `copies: ${which} has ${moments} moments, from ${from}; ${used} times one was used meanwhile`,
    );
  });
});
