import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { retiredVersions, retiring } from '../../src/records/retired.ts';
import { deleteObject } from '../../src/upkeep/delete.ts';
import { createRetention, retireDue } from '../../src/upkeep/retention.ts';
import { allBlobs } from '../helpers/faulty.ts';
import { noise, readAll, type TestVault, type TestVaultOptions, testVault } from '../helpers/vault.ts';

const GRACE_MS = 60_000;

interface GraceVault extends TestVault {
  readonly time: { ms: number };
}

/** A vault that keeps what was replaced for a minute, on a clock that is set by hand. */
async function graceVault(options: TestVaultOptions = {}, replacedMs = GRACE_MS): Promise<GraceVault> {
  const vault = await testVault({ providers: 4, ...options });
  const time = { ms: Date.now() };
  const base = { ...vault.context, clock: { ...systemClock, now: () => time.ms } };
  return { ...vault, time, context: { ...base, retention: createRetention(base, replacedMs) } };
}

const put = (context: VaultContext, seed: number, bytes = 5_000) =>
  putObject(context, noise(bytes, seed), { name: 'x' });

async function retired(context: VaultContext): Promise<string[]> {
  const found: string[] = [];
  for await (const { version } of retiredVersions(context)) found.push(version?.manifest ?? 'unreadable');
  return found;
}

describe('what another version replaced', () => {
  it('stays readable for the grace, and is gone to the last blob after it', async () => {
    const vault = await graceVault();
    const { context, time } = vault;
    const first = await put(context, 1);
    const reader = await getObject(context, first.manifest);
    await put(context, 2);
    time.ms += GRACE_MS - 1;
    expect(await retireDue(context)).toMatchObject({
      retired: 0,
      postponed: [],
      lost: [],
      poison: { records: 0 },
    });
    expect(Buffer.compare(await readAll(reader), noise(5_000, 1))).toBe(0);
    time.ms += 1;
    expect(await retireDue(context)).toMatchObject({ retired: 1 });
    await expect(getObject(context, first.manifest)).rejects.toMatchObject({ kind: 'NotFound' });
    expect(await retired(context)).toEqual([]);
    await deleteObject(context, 'x');
    expect(await allBlobs(vault)).toEqual([]);
  });

  it('goes within the grace from now if its time was written by a clock that was wrong', async () => {
    const { context, time } = await graceVault();
    await put(context, 1);
    time.ms += 10 * 365 * 86_400_000;
    await put(context, 2);
    time.ms -= 10 * 365 * 86_400_000;
    expect(await retireDue(context)).toMatchObject({ retired: 0 });
    time.ms += GRACE_MS;
    expect(await retireDue(context)).toMatchObject({ retired: 1 });
  });

  it('stays if a name stands for it', async () => {
    const { context } = await graceVault();
    const { manifest } = await put(context, 1);
    const times = { sinceMs: 0, dueMs: 1, attempts: 0, journal: undefined };
    const nameKey = context.keys.nameKey('x');
    await context.engine.batch([retiring({ manifest, why: 'replaced', nameKey, ...times })]);
    await retireDue(context);
    expect(await retired(context)).toEqual([]);
    expect(Buffer.compare(await readAll(await getObject(context, 'x')), noise(5_000, 1))).toBe(0);
  });

  it('stays while its journal is open: the providers may not know what took its place', async () => {
    const { context, time } = await graceVault();
    await put(context, 1);
    const { engine } = context;
    await put(context, 2);
    const { value } = await retiredVersions(context)[Symbol.asyncIterator]().next();
    await engine.batch([retiring({ ...value!.version!, journal: 'j' })]);
    await engine.table('journal').put('j', new Uint8Array(1));
    time.ms += GRACE_MS;
    expect(await retireDue(context)).toMatchObject({ retired: 0 });
    await engine.table('journal').delete('j');
    expect(await retireDue(context)).toMatchObject({ retired: 1 });
  });

  it('is passed over, and reported, where its record cannot be read', async () => {
    const { context, time } = await graceVault();
    await put(context, 1);
    await context.engine.table('retired').put('00000000000001/b3:00', new Uint8Array([1]));
    await put(context, 2);
    time.ms += GRACE_MS;
    expect(await retireDue(context)).toMatchObject({
      retired: 1,
      postponed: [],
      lost: [],
      poison: { records: 1, keys: ['00000000000001/b3:00'] },
    });
  });
});

describe('a read under overwrite', () => {
  it('reads the version that took the place of one that was gone before the first byte', async () => {
    const { context } = await graceVault({}, 0);
    await put(context, 1, 5_000);
    const reader = await getObject(context, 'x');
    const second = await put(context, 2, 400_000);
    expect(Buffer.compare(await readAll(reader), noise(400_000, 2))).toBe(0);
    expect(reader).toMatchObject({ manifest: second.manifest, size: 400_000, length: 400_000 });
  });

  it('that lasts longer than the grace ends with a typed error, after right bytes of one version', async () => {
    const { context } = await graceVault(
      { chunkBytes: 64 * 1024, policy: { packTargetBytes: 64 * 1024 } },
      0,
    );
    await put(context, 1, 3_000_000);
    const seen: Uint8Array[] = [];
    const reading = (async () => {
      for await (const piece of await getObject(context, 'x')) {
        if (seen.push(piece) === 1) await put(context, 2, 400_000);
      }
    })();
    await expect(reading).rejects.toMatchObject({ kind: 'Unavailable', code: 'version_replaced' });
    const bytes = Buffer.concat(seen);
    expect(bytes.length).toBeGreaterThan(0);
    expect(Buffer.compare(bytes, noise(3_000_000, 1).subarray(0, bytes.length))).toBe(0);
  });

  it.each([3_000, 1_500_000])('never fails: %i bytes', async (bytes) => {
    const { context } = await graceVault({}, 0);
    const kept: VaultContext = { ...context, retention: createRetention(context, GRACE_MS) };
    // Small enough for one piece: then even no grace at all is enough.
    const writer = bytes < 4096 ? context : kept;
    await put(writer, 1, bytes);
    let writes = 1;
    let done = false;
    const writing = (async () => {
      for (; !done; await nextTurn()) await put(writer, ++writes, bytes);
    })();
    const seen = new Set<number>();
    const reads = process.env.SLOW ? 5_000 : bytes < 4096 ? 300 : 10;
    for (let read = 0; read < reads || (seen.size < 3 && read < 100 * reads); read++) {
      // In memory all happens in one turn of the loop, and who waits for a thread or a timer would wait for ever.
      await nextTurn();
      // The latest that is known to be there may still be the one before.
      const from = Math.max(1, writes - 1);
      const got = await readAll(await getObject(context, 'x'));
      const seeds = Array.from({ length: writes + 2 - from }, (_, i) => from + i);
      const seed = seeds.find((one) => Buffer.compare(got, noise(bytes, one)) === 0);
      expect(seed, 'a version, whole').toBeDefined();
      seen.add(seed!);
    }
    done = true;
    await writing;
    expect(seen.size).toBeGreaterThanOrEqual(3);
  });
});

describe('what cannot be read', () => {
  /** Several segments, and so nodes below the root. */
  const LONG = { policy: { packTargetBytes: 64 * 1024 } };

  it.each(['Unavailable', 'Corrupt', 'Unexpected'] as const)(
    'is not taken for deleted: a node that fails with %s leaves nothing behind once it can be read',
    async (kind) => {
      const { HoldfastError } = await import('../../src/core/errors.ts');
      let failing = false;
      const vault = await graceVault({
        ...LONG,
        wrap: (adapter) => ({
          ...adapter,
          fetch: async (...args: Parameters<typeof adapter.fetch>) => {
            if (failing) throw new HoldfastError(kind, 'EIO: i/o error, read');
            return adapter.fetch(...args);
          },
        }),
      });
      const { context, time } = vault;
      await put(context, 1, 900_000);
      failing = true;
      const removed = await deleteObject(context, 'x');
      expect(removed).toMatchObject({ name: 'x', deleted: 0, postponed: expect.any(String) });
      time.ms += 3_600_000;
      expect(await retireDue(context)).toMatchObject({ retired: 0, postponed: [expect.anything()] });
      expect(await allBlobs(vault)).not.toEqual([]);
      failing = false;
      expect(await retireDue(context)).toMatchObject({ retired: 0 });
      time.ms += 3_600_000;
      expect(await retireDue(context)).toMatchObject({ retired: 1 });
      expect(await allBlobs(vault)).toEqual([]);
    },
  );

  it('is fetched again where the root that is kept here has a rotten byte', async () => {
    const vault = await graceVault(LONG);
    const { context } = vault;
    const { manifest } = await put(context, 1, 900_000);
    const roots = context.engine.table('manifests');
    const root = (await roots.get(manifest))!;
    root[root.length >> 1]! ^= 1;
    await roots.put(manifest, root);
    expect(await deleteObject(context, 'x')).toMatchObject({ queued: 0 });
    expect(await allBlobs(vault)).toEqual([]);
  });
});

it('an old version that is removed by its address takes no newer one with it', async () => {
  const { context } = await graceVault();
  const first = await put(context, 1);
  const removing = deleteObject(context, first.manifest);
  const second = await put(context, 2);
  await removing;
  await deleteObject(context, first.manifest).catch(() => {});
  const reader = await getObject(context, 'x');
  expect(reader.manifest).toBe(second.manifest);
  expect(Buffer.compare(await readAll(reader), noise(5_000, 2))).toBe(0);
});
