import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../../src/core/errors.ts';
import { secureRandom } from '../../../src/core/random.ts';
import { deriveSubkeys, vaultKeysOf } from '../../../src/keys/derivation.ts';
import { ending } from '../../../src/records/manifests.ts';
import type { Moved } from '../../../src/upkeep/repair/move-shards.ts';
import { verifyObject } from '../../../src/upkeep/verify.ts';
import { allBlobs } from '../../helpers/faulty.ts';
import { keysIn, placeNow, rowsOf, segmentsNow, shardsAt } from '../../helpers/moving.ts';
import { away, CONTENT, isWhole, move, tidy, type World, world } from '../../helpers/moving-shards.ts';
import { noise } from '../../helpers/vault.ts';

/** Bytes of a pack there are others from now on. */
async function rot({ vault }: World, provider: string, address: string, at: number): Promise<void> {
  const { adapter } = vault.providers.find(({ id }) => id === provider)!;
  const bytes = (await adapter.fetch(address as never)).slice();
  bytes[at]! ^= 1;
  await adapter.delete(address as never);
  await adapter.store(address as never, [bytes]);
}

const sum = (
  moved: readonly Moved[],
  of: 'read' | 'rebuilt' | 'copied' | 'bytesRead' | 'bytesWritten',
): number => moved.reduce((total, one) => total + one[of], 0);

describe('one shard that has rotted', () => {
  it('is rebuilt from the three or four others of its group', async () => {
    const its = await world();
    const [segment] = await its.now();
    const pack = placeNow(segment!, 0);
    await rot(its, pack.provider, pack.address, 5);
    const only = { moves: new Map([[0, pack.provider]]), lost: new Set([0]) };
    its.watch.calls.length = 0;
    const [moved] = await move(its, () => only);
    expect(moved).toMatchObject({ rebuilt: 1, copied: 0, failed: [] });
    expect(moved!.read).toBeGreaterThanOrEqual(3);
    expect(moved!.read).toBeLessThanOrEqual(4);
    expect(its.watch.calls.filter((call) => call.startsWith('fetchRange')).length).toBe(moved!.read);
    await tidy(its);
    await isWhole(its);
  });

  it('is found on the way too, and what is built with it is not believed', async () => {
    const its = await world();
    const [segment] = await its.now();
    const group = placeNow(segment!, 1);
    const lost = placeNow(segment!, 0);
    await rot(its, group.provider, group.address, 0);
    const [moved] = await move(its, () => ({ moves: new Map([[0, lost.provider]]), lost: new Set([0]) }));
    expect(moved).toMatchObject({ rebuilt: 1, failed: [] });
    expect(moved!.damage.map(({ problem }) => problem)).toContain('corrupt');
  });
});

describe('what is to be read back', () => {
  const capReached = (provider: string): HoldfastError =>
    new HoldfastError('QuotaExceeded', 'no more today', { code: 'egress_cap', provider });

  it('is asked for before anything is read, and none is stored that may not be read back today', async () => {
    const its = await world();
    const [p1, p2] = [shardsAt((await its.now())[0]!, 'p1'), shardsAt((await its.now())[0]!, 'p2')];
    its.watch.calls.length = 0;
    const asked: string[] = [];
    const moves = new Map([...p1.map((at) => [at, 'p10'] as const), ...p2.map((at) => [at, 'p2'] as const)]);
    const [moved] = await move(its, () => ({ moves, lost: new Set([...p1, ...p2]) }), {
      async reserve(provider) {
        asked.push(...its.watch.calls, provider);
        if (provider === 'p10') throw capReached(provider);
        return () => {};
      },
    });
    expect(asked.toSorted()).toEqual(['p10', 'p2']);
    expect(moved!.failed.map(({ at }) => at).toSorted()).toEqual(p1.toSorted());
    for (const { error } of moved!.failed) expect(error.code).toBe('egress_cap');
    expect(moved!.bytesWritten).toBeGreaterThan(0);
    expect(its.watch.calls.filter((call) => call.includes('p10'))).toEqual([]);
    await tidy(its);
    await isWhole(its);
  });

  it('is taken back where a cap keeps what it takes from being read', async () => {
    const its = await world();
    let [reserved, stored] = [0, 0];
    const moving = move(its, away('p1', 'p10', true), {
      async reserve(_, bytes) {
        reserved += bytes;
        return () => {
          reserved -= bytes;
        };
      },
      async read(provider) {
        throw capReached(provider);
      },
      async store(bytes) {
        stored += bytes;
      },
    });
    await expect(moving).rejects.toMatchObject({ code: 'egress_cap' });
    expect([reserved, stored]).toEqual([0, 0]);
  });
});

describe('what is read in vain', () => {
  it('is counted, and so is what is read in its stead', async () => {
    const its = await world();
    const [segment] = await its.now();
    const [lost, group] = [placeNow(segment!, 0), placeNow(segment!, 1)];
    await rot(its, group.provider, group.address, 0);
    its.watch.calls.length = 0;
    const counted: string[] = [];
    const moves = new Map([[0, lost.provider]]);
    await move(its, () => ({ moves, lost: new Set([0]) }), {
      async read(provider) {
        counted.push(provider);
      },
    });
    const calls = its.watch.calls.filter((call) => call.startsWith('fetchRange'));
    expect(new Set(counted)).toEqual(new Set(calls.map((call) => call.split(' ')[1]!)));
  });
});

describe('a pack that is not there', () => {
  it.each([
    ['is held against its provider', false],
    ['is nobody’s fault where the object is being removed', true],
  ])('%s', async (_, isEnding) => {
    const its = await world();
    const [segment] = await its.now();
    const [lost, other] = [placeNow(segment!, 0), placeNow(segment!, 1)];
    its.watch.before = async (call) => {
      if (call !== 'fetchRange') return;
      its.watch.before = () => {};
      if (isEnding) await its.context.engine.batch([ending(its.manifest, true)]);
      const { adapter } = its.vault.providers.find(({ id }) => id === other.provider)!;
      await adapter.delete(other.address);
    };
    // Whatever comes of the move then.
    await move(its, () => ({ moves: new Map([[0, lost.provider]]), lost: new Set([0]) })).catch(() => {});
    expect([...new Set(its.blamed)]).toEqual(isEnding ? [] : [other.provider]);
  });
});

describe('a provider that is lost', () => {
  it.each([
    ['in its root', 1024 * 1024, CONTENT],
    ['in nodes of their own', 64 * 1024, CONTENT],
    ['as copies', 1024 * 1024, noise(1_000)],
  ])('is made up for by another, of an object with segments %s', async (_, packTargetBytes, content) => {
    const its = await world(content, { policy: { packTargetBytes } });
    const [from, lostBytes] = Object.entries(its.used)[0]!;
    its.vault.gone.add(from);
    const moved = await move(its, away(from, 'p10', true));
    expect(moved.flatMap(({ failed }) => failed)).toEqual([]);
    expect(sum(moved, 'bytesWritten')).toBe(lostBytes);
    expect(sum(moved, 'bytesRead')).toBeLessThanOrEqual(8 * lostBytes);
    expect(await verifyObject(its.context, 'x')).toMatchObject({ intact: true });
    its.vault.gone.delete(from);
    await tidy(its);
    await isWhole(its);
    expect((await allBlobs(its.vault)).filter((blob) => blob.startsWith(`${from}/`)).length).toBeLessThan(
      its.before.filter((blob) => blob.startsWith(`${from}/`)).length,
    );
  });

  it('and that comes back without its packs gets them again, as they were, and no relocation is written', async () => {
    const its = await world();
    for (const [segment] of [await its.now()]) {
      const { provider, address } = placeNow(segment!, 0);
      await its.vault.providers.find(({ id }) => id === provider)!.adapter.delete(address);
      const its1 = shardsAt(segment!, provider);
      const [moved] = await move(its, () => ({
        moves: new Map(its1.map((at) => [at, provider])),
        lost: new Set(its1),
      }));
      expect(moved).toMatchObject({ failed: [], rebuilt: its1.length });
    }
    expect(await keysIn(its.context, 'relocations')).toEqual([]);
    expect(await allBlobs(its.vault)).toEqual(its.before);
    await isWhole(its);
  });
});

describe('shards that are moved away and back', () => {
  it('are where they were, under the address that they had', async () => {
    for (const passMs of [0, 60_000]) {
      const its = await world();
      await move(its, away('p3', 'p10'));
      await tidy(its, passMs);
      const moved = await move(its, away('p10', 'p3'));
      expect(sum(moved, 'rebuilt')).toBe(0);
      await tidy(its);
      for (const segment of await its.now()) expect(shardsAt(segment, 'p10')).toEqual([]);
      expect(await allBlobs(its.vault)).toEqual(its.before);
      await isWhole(its);
    }
  });

  it('twenty times are found, and fewer relocations stay than a reader looks at', async () => {
    const its = await world(noise(200_000));
    for (let i = 0; i < 20; i++) {
      const at = i % 27;
      await move(its, () => ({
        moves: new Map([
          [at, `p${1 + ((3 * i) % 10)}`],
          [at + 1, `p${1 + ((3 * i) % 10)}`],
        ]),
      }));
      expect((await keysIn(its.context, 'relocations')).length).toBeLessThanOrEqual(16);
    }
    await tidy(its);
    await isWhole(its);
  });
});

describe('a provider that takes a pack', () => {
  it.each(['drops', 'garbles', 'refuses stores'] as const)(
    'and %s is found out, and nothing is moved there',
    async (how) => {
      const its = await world();
      its.watch.conduct.p10 = how;
      const [segment] = await its.now();
      const mine = shardsAt(segment!, 'p1');
      const [moved] = await move(its, away('p1', 'p10'));
      expect(moved!.failed.map(({ at }) => at)).toEqual(mine);
      expect(moved).toMatchObject({ bytesWritten: 0 });
      expect(await keysIn(its.context, 'relocations')).toEqual([]);
      its.watch.conduct.p10 = 'good';
      await tidy(its);
      expect(await allBlobs(its.vault)).toEqual(its.before);
      await isWhole(its);
    },
  );

  it('and has other bytes there already gets the right ones', async () => {
    const its = await world();
    const [segment] = await its.now();
    const { address, length } = placeNow(segment!, shardsAt(segment!, 'p1')[0]!);
    await its.vault.providers[9]!.adapter.store(address, [noise(length, 7)]);
    its.watch.calls.length = 0;
    const [moved] = await move(its, away('p1', 'p10'));
    expect(moved!.failed).toEqual([]);
    const stores = its.watch.calls.filter((call) => /^(store|replace) /.test(call));
    expect(stores).toEqual([`store p10 ${address}`, `replace p10 ${address}`]);
    await tidy(its);
    await isWhole(its);
  });

  it('and has it whole is not written to, though it is asked for once more', async () => {
    const its = await world();
    const [segment] = await its.now();
    const mine = shardsAt(segment!, 'p1');
    its.watch.calls.length = 0;
    const [moved] = await move(its, () => ({ moves: new Map(mine.map((at) => [at, 'p1'])) }));
    expect(moved!.failed).toEqual([]);
    expect(its.watch.calls.filter((call) => call.startsWith('replace'))).toEqual([]);
    await isWhole(its);
  });

  it('and never answers keeps none of the others from getting theirs', async () => {
    const its = await world();
    its.watch.conduct.p10 = 'hangs on stores';
    const [segment] = await its.now();
    const mine = shardsAt(segment!, 'p1');
    const targets = new Map(mine.map((at, i) => [at, i % 4 === 0 ? 'p10' : `p${2 + (i % 4)}`]));
    const [moved] = await move(its, () => ({ moves: targets }));
    expect(moved!.failed.map(({ at }) => at)).toEqual(mine.filter((_, i) => i % 4 === 0));
    for (const { error } of moved!.failed) expect(error).toMatchObject({ kind: 'Timeout' });
    const [after] = await its.now();
    for (const [at, provider] of targets)
      expect(placeNow(after!, at).provider).toBe(provider === 'p10' ? 'p1' : provider);
    its.watch.conduct.p10 = 'good';
    its.context.directory.heard('p10');
    await tidy(its);
    await isWhole(its);
  });

  it('but only short ones gets several', async () => {
    const its = await world();
    const [segment] = await its.now();
    const most = 2 * segment!.view.shardLengths[0]!;
    const { adapter } = its.vault.providers[9]!;
    Object.assign(adapter, { capabilities: { ...adapter.capabilities, maxBlobBytes: most } });
    const [moved] = await move(its, away('p1', 'p10'));
    expect(moved!.failed).toEqual([]);
    const [after] = await its.now();
    const lengths = shardsAt(after!, 'p10').map((at) => placeNow(after!, at).length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(most);
    await tidy(its);
    await isWhole(its);
  });
});

it('no key is needed', async () => {
  const its = await world();
  const keys = vaultKeysOf(deriveSubkeys(secureRandom(32)));
  const context = { ...its.context, keys };
  const [segment] = await its.now();
  const lost = shardsAt(segment!, 'p1');
  its.vault.gone.add('p1');
  const now = () => segmentsNow(context, its.manifest);
  const moved = await move({ context, now }, away('p1', 'p10', true));
  expect(moved).toMatchObject([{ failed: [], rebuilt: lost.length }]);
  its.vault.gone.clear();
  await tidy(its);
  await isWhole(its);
});

it('what is recorded of the index is what a segment is placed like then', async () => {
  const its = await world();
  await move(its, away('p1', 'p10'));
  const rows = await keysIn(its.context, 'shard_index');
  expect(rows.length).toBe((await its.now()).length);
  expect(await rowsOf(its.context, 'manifest_usage')).toMatchObject({
    [its.manifest]: { bytes: { p10: its.used.p1 } },
  });
});
