import { mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { collected } from '../../../src/cli/with-vault.ts';
import { createVault, openVault, type Vault } from '../../../src/index.ts';
import { damageOf, noteDamage } from '../../../src/records/damage.ts';
import { backOff } from '../../../src/records/repair-backoff.ts';
import { internalsOf } from '../../../src/vault/opened-vault.ts';
import { CliVault, said } from '../../helpers/cli.ts';
import { blobsIn } from '../../helpers/files.ts';
import { type StoredSegment, segmentsNow } from '../../helpers/moving.ts';
import { noise } from '../../helpers/vault.ts';

interface World {
  readonly home: string;
  readonly vault: Vault;
  readonly segment: StoredSegment;
}

/** A vault of nine folders with one object of one segment: by default of several chunks. */
async function world(bytes = 9_000_000): Promise<World> {
  const home = await mkdtemp(join(tmpdir(), 'holdfast-chunk-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const vault = await createVault({ home, unwrapped: true, env: {} });
  onTestFinished(() => vault.close());
  const { manifest } = await vault.putObject(noise(bytes, 1), { name: 'big' });
  const segments = await segmentsNow(internalsOf(vault).context, manifest);
  expect(segments).toHaveLength(1);
  return { home, vault, segment: segments[0]! };
}

/** Makes a data shard of a chunk rotten, and says so as a scrub would unless it is to be found. */
async function spoil(
  { home, vault, segment: { segment, manifest, view } }: World,
  chunk: number,
  { noted = true } = {},
): Promise<void> {
  const at = chunk * view.code.totalShards;
  const { provider, address } = view.record.packs[view.record.places[at]!]!;
  const files = await blobsIn(join(home, 'providers', provider));
  const path = files.find((one) => one.endsWith(address.slice(5)))!;
  const bytes = await readFile(path);
  bytes[view.layout.offsets[at]!]! ^= 1;
  await writeFile(path, bytes);
  const found = { segment, manifest, provider, pack: address, problem: 'corrupt', foundBy: 'scrub' } as const;
  if (noted) await noteDamage(internalsOf(vault).context, [{ ...found, shards: [at] }]);
}

const notedOf = async ({ vault, segment }: World): Promise<(readonly number[] | undefined)[]> =>
  (await damageOf(internalsOf(vault).context, segment.segment)).map(({ shards }) => shards);

const deeply = ({ vault }: World) => vault.verifyObject('big', { deep: true });

describe('the repair of one chunk', () => {
  it('is done now though the chunk has to wait, and leaves the other chunks alone', async () => {
    const its = await world();
    const { vault, segment } = its;
    const { manifest, view } = segment;
    for (const chunk of [0, 1]) await spoil(its, chunk);
    for (const chunk of [0, 1]) await backOff(internalsOf(vault).context, manifest, chunk, 'no luck');
    expect((await vault.repair()).chunks).toMatchObject({ success: 0, skipped: 2 });

    expect(await vault.repairChunk('big', 1)).toMatchObject({
      ...{ manifest, chunk: 1, status: 'success', shards: 1, bytesRestored: view.shardLengths[1] },
      ...{ error: undefined, nextMs: undefined },
    });
    expect((await vault.status()).repair.putOff).toBe(1);
    expect(await notedOf(its)).toEqual([[0]]);
    expect(await vault.repairChunk(manifest, 1)).toMatchObject({ status: 'intact', shards: 0, bytesRead: 0 });
    expect(await vault.repairChunk(manifest, 0)).toMatchObject({ status: 'success' });
    expect(await deeply(its)).toMatchObject({ intact: true, damage: [] });
    const [latest] = await collected(vault.repairHistory({ limit: 1 }));
    expect(latest).toMatchObject({ manifest, chunk: 0, status: 'success' });
  });

  it('writes every shard anew when it is told to, and with them one that nobody knew to be rotten', async () => {
    const its = await world();
    const { vault, segment } = its;
    const { code, shardLengths } = segment.view;
    await spoil(its, 1, { noted: false });
    expect(await vault.repairChunk('big', 1)).toMatchObject({ status: 'intact' });
    expect(await vault.repairChunk('big', 1, { force: true })).toMatchObject({
      status: 'success',
      shards: code.totalShards,
      bytesRestored: code.totalShards * shardLengths[1]!,
    });
    expect(await deeply(its)).toMatchObject({ intact: true, damage: [] });
    expect((await vault.statObject('big')).live.certificate.tolerates).toBe(3);
  });

  it('writes whole packs anew where they are, under the addresses that they have', async () => {
    const its = await world(300_000);
    const { vault } = its;
    await spoil(its, 0, { noted: false });
    const inodes = async (): Promise<Map<string, number>> => {
      const found: string[] = [];
      for (const { provider, address } of its.segment.view.record.packs) {
        const files = await blobsIn(join(its.home, 'providers', provider));
        found.push(...files.filter((file) => file.endsWith(address.slice(5))));
      }
      return new Map(await Promise.all(found.map(async (file) => [file, (await stat(file)).ino] as const)));
    };
    const before = await inodes();
    expect(before.size).toBe(9);
    expect(await vault.repairChunk('big', 0, { force: true })).toMatchObject({ status: 'success' });
    expect(await deeply(its)).toMatchObject({ intact: true, damage: [] });
    expect(await internalsOf(vault).context.relocations.open({ fresh: true })).toBeUndefined();
    const after = await inodes();
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    for (const [file, inode] of before) expect(after.get(file)).not.toBe(inode);
  });

  it('is refused where there is no such object or chunk, and for a name where there is no key', async () => {
    const { home, vault, segment } = await world();
    const { manifest, record } = segment;
    await expect(vault.repairChunk('big', record.chunks)).rejects.toMatchObject({
      ...{ kind: 'NotFound', code: 'chunk_not_found' },
      hint: `It has ${record.chunks}: 0 to ${record.chunks - 1}.`,
    });
    await expect(vault.repairChunk('nobody', 0)).rejects.toMatchObject({ code: 'name_not_found' });
    await expect(vault.repairChunk(`b3:${'0'.repeat(64)}`, 0)).rejects.toMatchObject({
      ...{ kind: 'NotFound', code: 'manifest_not_found' },
    });
    await vault.close();
    const worker = await openVault({ home, sealed: true, env: {} });
    onTestFinished(() => worker.close());
    await expect(worker.repairChunk('big', 0)).rejects.toMatchObject({ code: 'sealed' });
    expect(await worker.repairChunk(manifest, 0)).toMatchObject({ status: 'intact' });
  });

  it('is a command, which takes no key for an address and says by its exit code how it went', async () => {
    const vault = await CliVault.create();
    onTestFinished(() => vault.remove());
    const put = await vault.run(['put', '-', '--name', 'x', '--json'], { input: noise(100_000) });
    const { manifest } = JSON.parse(put.stdout.toString()) as { manifest: string };
    const byName = await vault.run(['repair-chunk', 'x', '0']);
    expect([byName.code, said(byName)]).toEqual([0, expect.stringContaining('is known to be lost')]);
    const key = join(vault.home, 'vault.key');
    await rename(key, `${key}.away`);
    const forced = await vault.run(['repair-chunk', manifest, '0', '--force', '--json']);
    expect(forced.code, said(forced)).toBe(0);
    expect(JSON.parse(forced.stdout.toString())).toMatchObject({ manifest, chunk: 0, status: 'success' });
    const none = await vault.run(['repair-chunk', manifest, '7']);
    expect([none.code, said(none)]).toEqual([3, expect.stringContaining('the object has no chunk 7')]);
    expect((await vault.run(['repair-chunk', manifest, 'x'])).code).toBe(2);
  });
});
