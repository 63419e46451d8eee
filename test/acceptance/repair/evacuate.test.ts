import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  createVault,
  type EvacuationProgress,
  openVault,
  type RepairEntry,
  type Vault,
} from '../../../src/index.ts';
import { internalsOf } from '../../../src/vault/opened-vault.ts';
import { providersToml, SMALL_PIECES } from '../../helpers/cli.ts';
import { blobsIn, vanish } from '../../helpers/files.ts';
import { packAt, segmentsNow, toleratesNow } from '../../helpers/moving.ts';
import { noise } from '../../helpers/vault.ts';

const OBJECTS: Readonly<Record<string, Uint8Array>> = {
  big: noise(1_200_000, 1),
  other: noise(300_000, 2),
  small: noise(3_000, 3),
};

interface World {
  readonly home: string;
  readonly vault: Vault;
}

/**
 * Folders with objects of many segments, of several chunks and of one that is kept as copies.
 * @param spare of the providers, the last so many hold nothing yet.
 */
async function world(providers: number, spare = 0, more = ''): Promise<World> {
  const home = await mkdtemp(join(tmpdir(), 'holdfast-evacuate-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  await mkdir(home, { recursive: true });
  await writeFile(join(home, 'storage.toml'), `${SMALL_PIECES}${more}${providersToml(providers)}`);
  const vault = await createVault({ home, unwrapped: true, env: {} });
  onTestFinished(() => vault.close());
  const spares = Array.from({ length: spare }, (_, i) => `p${providers - i}`);
  for (const id of spares) await vault.providers.setMaintenance(id, true);
  for (const [name, bytes] of Object.entries(OBJECTS)) await vault.putObject(bytes, { name });
  for (const id of spares) await vault.providers.setMaintenance(id, false);
  return { home, vault };
}

async function read(vault: Vault, name: string): Promise<Uint8Array> {
  const reader = await vault.getObject(name);
  return new Uint8Array(await new Response(reader.stream()).arrayBuffer());
}

const tolerates = async (vault: Vault, name: string): Promise<number> =>
  toleratesNow(internalsOf(vault).context, (await vault.statObject(name)).manifest);

/** All is as it was put and where it ought to be, and no shard ought to be at the provider. */
async function expectLeft(vault: Vault, provider: string): Promise<void> {
  for (const [name, bytes] of Object.entries(OBJECTS)) {
    expect(await vault.verifyObject(name, { deep: true })).toMatchObject({ intact: true, damage: [] });
    expect(Buffer.compare(await read(vault, name), bytes)).toBe(0);
    const { manifest, providers } = { ...(await vault.statObject(name)) };
    expect(providers.length).toBeGreaterThan(0);
    for (const segment of await segmentsNow(internalsOf(vault).context, manifest))
      expect(() => packAt(segment, provider)).toThrow();
  }
}

/** The time is over for which what was moved away is kept for those that read it; then it is deleted. */
async function afterGrace(vault: Vault): Promise<void> {
  const moves = internalsOf(vault).context.engine.table('moves');
  for await (const [place, row] of moves.entries()) {
    const move = JSON.parse(new TextDecoder().decode(row)) as { state: string };
    if (move.state !== 'leaving') continue;
    await moves.put(place, new TextEncoder().encode(JSON.stringify({ ...move, due: 0 })));
  }
  await vault.gc({ minAgeMs: 0 });
}

/** How many others have a copy of each manifest node, and how many are to have one. */
async function nodesElsewhere(
  { home, vault }: World,
  provider: string,
): Promise<{ readonly copies: number; readonly wanted: number }[]> {
  const others = vault.providers.list().then((all) => all.filter(({ id }) => id !== provider));
  const blobs = await Promise.all((await others).map(({ id }) => blobsIn(join(home, 'providers', id))));
  const nodes = new Map<string, number>();
  for await (const { manifest, certificate } of vault.listManifests()) {
    const segments = await segmentsNow(internalsOf(vault).context, manifest);
    for (const address of [manifest, ...segments.map(({ segment }) => segment)])
      nodes.set(address, certificate.tolerates + 2);
  }
  return [...nodes].map(([address, wanted]) => ({
    wanted,
    copies: blobs.filter((its) => its.some((path) => path.endsWith(address.slice(5)))).length,
  }));
}

/** Addresses of packs that objects have anywhere. */
async function packsOf(vault: Vault): Promise<Set<string>> {
  const packs = new Set<string>();
  for await (const { manifest } of vault.listManifests()) {
    for (const { view } of await segmentsNow(internalsOf(vault).context, manifest)) {
      for (const { address } of [...view.record.packs, ...(view.moved?.packs ?? [])]) packs.add(address);
    }
  }
  return packs;
}

describe('evacuating a provider', () => {
  it('moves all that it holds while objects are read and put, and lowers no certificate', async () => {
    const { home, vault } = await world(10, 1);
    const before = new Map<string, number>();
    for (const name of Object.keys(OBJECTS)) before.set(name, await tolerates(vault, name));
    const plan = await vault.planEvacuation('p3');
    expect(plan.refused.segments).toBe(0);
    expect(plan.bytesRead).toBe(plan.bytes);
    let over = false;
    const readers = Object.entries(OBJECTS).map(async ([name, bytes]) => {
      while (!over) expect(Buffer.compare(await read(vault, name), bytes)).toBe(0);
    });
    const writer = (async () => {
      for (let i = 0; !over; i++) await vault.putObject(noise(200_000, i), { name: 'changing' });
    })();
    const checks: Promise<void>[] = [];
    const result = await vault.evacuate('p3', {
      onProgress: () => {
        for (const [name, least] of before)
          checks.push(tolerates(vault, name).then((now) => void expect(now).toBeGreaterThanOrEqual(least)));
      },
    });
    over = true;
    await Promise.all([...readers, writer, ...checks]);
    expect(result).toMatchObject({ rebuilt: 0, left: { segments: 0, bytes: 0, objects: 0 } });
    expect(result.segments).toBeGreaterThanOrEqual(plan.segments);
    for (const [name, least] of before) expect(await tolerates(vault, name)).toBe(least);
    await expectLeft(vault, 'p3');
    expect((await vault.providers.list()).find(({ id }) => id === 'p3')).toMatchObject({ maintenance: true });

    for (const { copies, wanted } of await nodesElsewhere({ home, vault }, 'p3'))
      expect(copies).toBeGreaterThanOrEqual(wanted);
    const packs = await packsOf(vault);
    const stillThere = async (): Promise<string[]> =>
      (await blobsIn(join(home, 'providers', 'p3'))).filter((path) =>
        [...packs].some((address) => path.endsWith(address.slice(5))),
      );
    expect((await stillThere()).length).toBeGreaterThan(0);
    await afterGrace(vault);
    expect(await stillThere()).toEqual([]);
    await vanish(join(home, 'providers', 'p3'));
    for (const [name, bytes] of Object.entries(OBJECTS))
      expect(Buffer.compare(await read(vault, name), bytes)).toBe(0);
  }, 120_000);

  it('goes on where it was after it was stopped', async () => {
    const { vault } = await world(10, 1);
    const { segments } = await vault.planEvacuation('p3');
    let moved = 0;
    let runs = 0;
    for (; ; runs++) {
      const stop = new AbortController();
      let its: EvacuationProgress | undefined;
      const onProgress = (sum: EvacuationProgress): void => {
        its = sum;
        if (sum.segments === 1) stop.abort();
      };
      const ended = await vault.evacuate('p3', { signal: stop.signal, onProgress }).then(
        () => true,
        (error: unknown) => void expect(error).toMatchObject({ kind: 'Aborted' }),
      );
      moved += its?.segments ?? 0;
      if (ended === true) break;
    }
    expect(runs).toBeGreaterThan(0);
    // What was being recorded when it was stopped is done, and told of by nobody.
    expect(moved).toBeLessThanOrEqual(segments);
    expect((await vault.planEvacuation('p3')).segments).toBe(0);
    await expectLeft(vault, 'p3');
  });

  it('is written down segment by segment, and counted', async () => {
    const { vault } = await world(10, 1);
    const { observers } = internalsOf(vault);
    const counted = vi.spyOn(observers.repair, 'moved');
    const { segments, bytesWritten, nodeCopies } = await vault.evacuate('p3');
    await vault.providers.setMaintenance('p3', false);
    await vault.replace('p4', 'p3').catch(() => {});
    const lines: RepairEntry[] = [];
    for await (const line of vault.repairHistory()) lines.push(line);
    const its = lines.filter(({ kind }) => kind === 'evacuate');
    expect(its.every(({ status }) => status === 'success')).toBe(true);
    const moved = its.flatMap(({ segment }) => segment ?? []);
    expect([moved.length, new Set(moved).size]).toEqual([segments, segments]);
    expect(its.some(({ segment }) => segment === undefined)).toBe(nodeCopies > 0);
    expect(its.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(bytesWritten);
    expect(counted.mock.calls.filter(([kind]) => kind === 'evacuate').length).toBe(its.length);
    expect(lines.some(({ kind }) => kind === 'replace')).toBe(true);
  });

  it('rebuilds what a provider held that is away', async () => {
    const { home, vault } = await world(10, 1);
    await vanish(join(home, 'providers', 'p3'));
    await vault.providers.probe();
    const plan = await vault.planEvacuation('p3');
    expect(plan.bytesRead).toBeGreaterThan(plan.bytes);
    const result = await vault.evacuate('p3');
    expect(result).toMatchObject({ left: { segments: 0, objects: 0 } });
    expect(result.rebuilt).toBe(result.shards);
    await expectLeft(vault, 'p3');
  });

  it('leaves what would survive fewer losses, and says so', async () => {
    const { vault } = await world(9);
    const before = await tolerates(vault, 'big');
    // What is kept as copies has room elsewhere; not every such object has one there.
    for (let i = 0; i < 100 && (await vault.planEvacuation('p3')).segments === 0; i++)
      await vault.putObject(noise(3_000, i), { name: `small ${i}` });
    const plan = await vault.planEvacuation('p3');
    expect(plan).toMatchObject({ segments: 1, refused: { before, after: before - 1 } });
    const result = await vault.evacuate('p3');
    const { segments, bytes } = plan.refused;
    expect(result).toMatchObject({ segments: 1, left: { segments, bytes, refused: segments, objects: 0 } });
    expect(await tolerates(vault, 'big')).toBe(before);
    await vault.providers.setMaintenance('p3', false);
    await expect(vault.evacuate('p3')).rejects.toMatchObject({ code: 'certificate_shortfall' });
    // One that is refused leaves the provider as it was.
    expect((await vault.providers.list()).find(({ id }) => id === 'p3')).toMatchObject({
      maintenance: false,
    });
    // Who says that fewer losses are enough has it done.
    const all = await vault.evacuate('p3', { minTolerates: before - 1 });
    expect(all.left).toMatchObject({ segments: 0, refused: 0 });
    expect(await tolerates(vault, 'big')).toBe(before - 1);
    await expectLeft(vault, 'p3');
  });

  it('needs no key', async () => {
    const { home, vault } = await world(10, 1);
    await vault.close();
    await rm(join(home, 'vault.key'));
    const worker = await openVault({ home, sealed: true, env: {} });
    onTestFinished(() => worker.close());
    expect(await worker.evacuate('p3')).toMatchObject({ left: { segments: 0, objects: 0 } });
  });

  it('says what is left and why when a provider may give no more today', async () => {
    const { vault } = await world(10, 1, '[repair]\negress_per_day = "100 KiB"\n');
    const result = await vault.evacuate('p3');
    expect(result.segments).toBeGreaterThan(0);
    expect(result.left.segments).toBeGreaterThan(0);
    expect(result.left.bytes).toBeGreaterThan(0);
    // What is read back where it went counts as much as what is read where it was.
    expect(result.left.capped.length).toBeGreaterThan(0);
    expect(['p3', 'p10']).toEqual(expect.arrayContaining([...result.left.capped]));
    expect(result.left.why[0]!.message).toContain('has given as much');
  });
});

describe('replacing a provider', () => {
  it('moves all to the one and keeps every certificate', async () => {
    const { vault } = await world(10, 1);
    const before = await tolerates(vault, 'big');
    const held = await vault.planEvacuation('p3');
    expect(await vault.planReplacement('p3', 'p10')).toMatchObject({ bytesWritten: held.bytes });
    const result = await vault.replace('p3', 'p10');
    expect(result).toMatchObject({ segments: held.segments, left: { segments: 0, objects: 0 } });
    expect(await tolerates(vault, 'big')).toBe(before);
    await expectLeft(vault, 'p3');
    // With the other in maintenance nobody has room for what the one has now.
    const { bytes, refused } = await vault.planEvacuation('p10');
    expect(bytes + refused.bytes).toBe(held.bytes);
  });

  it('is refused by one that holds other shards of the same chunks', async () => {
    const { vault } = await world(9);
    // What is kept as copies may have none at the other.
    await vault.deleteObject('small');
    await expect(vault.replace('p3', 'p4')).rejects.toMatchObject({ code: 'certificate_shortfall' });
    await expect(vault.replace('p3', 'p3')).rejects.toMatchObject({ code: 'bad_option' });
    await expect(vault.replace('p3', 'p77')).rejects.toMatchObject({ code: 'unknown_provider' });
  });
});

describe('rebalancing providers', () => {
  it('gives a provider that was added its share, and lowers no certificate', async () => {
    const { vault } = await world(10, 1);
    for (let i = 0; i < 6; i++) await vault.putObject(noise(300_000, i), { name: `more ${i}` });
    await vault.providers.setMaintenance('p10', true);
    for (let i = 0; i < 6; i++) await vault.putObject(noise(600_000, 10 + i), { name: `most ${i}` });
    await vault.providers.setMaintenance('p10', false);
    const names: string[] = [];
    for await (const { name } of vault.listObjects()) names.push(name);
    const before = new Map<string, number>();
    for (const name of names) before.set(name, await tolerates(vault, name));
    const plan = await vault.planRebalance();
    expect(plan.packs).toBeGreaterThan(0);
    const { packs, isEven, after, failed } = await vault.rebalance();
    expect({ isEven, failed }).toEqual({ isEven: true, failed: 0 });
    expect(packs).toBeGreaterThanOrEqual(plan.packs);
    const mean = after.reduce((sum, { bytes }) => sum + bytes, 0) / 10;
    expect(after.map(({ bytes }) => Math.abs(bytes - mean) <= 0.1 * mean)).toEqual(Array(10).fill(true));
    for (const name of names) expect(await tolerates(vault, name)).toBeGreaterThanOrEqual(before.get(name)!);
    for (const [name, bytes] of Object.entries(OBJECTS)) {
      expect(await vault.verifyObject(name, { deep: true })).toMatchObject({ intact: true, damage: [] });
      expect(Buffer.compare(await read(vault, name), bytes)).toBe(0);
    }
    expect(await vault.planRebalance()).toMatchObject({ isEven: true });
  }, 60_000);

  it('moves nothing that would survive fewer losses then', async () => {
    const { vault } = await world(9);
    const before = await tolerates(vault, 'big');
    await vault.providers.setMaintenance('p9', true);
    await vault.putObject(noise(300_000, 10), { name: 'without' });
    const fewer = await tolerates(vault, 'without');
    await vault.providers.setMaintenance('p9', false);
    const { packs, failed } = await vault.rebalance();
    expect(packs).toBeGreaterThan(0);
    expect(failed).toBe(0);
    // Those that are at all nine stay: two parts of one at the ninth would make it weaker.
    for (const name of ['big', 'other']) expect(await tolerates(vault, name)).toBe(before);
    expect(await tolerates(vault, 'without')).toBeGreaterThanOrEqual(fewer);
  });
});
