import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { queueDeletes } from '../../src/records/deletes.ts';
import { emptyTrash } from '../../src/records/trash.ts';
import { recountIsDue, recountUsage } from '../../src/records/usage.ts';
import { remainsOf } from '../../src/upkeep/remains.ts';
import { internalsOf } from '../../src/vault/opened-vault.ts';
import type { Vault } from '../../src/vault/vault.ts';
import { noise } from '../helpers/vault.ts';
import { openOver } from '../remote/vaults.ts';

const IDS = ['m0', 'm1', 'm2', 'm3', 'm4'];

describe('the bytes used at each provider', () => {
  let home: string;
  let vault: Vault;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'holdfast-usage-'));
    vault = await openOver(
      home,
      IDS.map((id) => ({ id, domain: id, keys: 'adapter = "memory"' })),
      '',
    );
    await vault.putObject(noise(300_000, 1), { name: 'x' });
    await vault.putObject(noise(2_000, 2), { name: 'small' });
  });
  afterEach(async () => {
    await vault.close();
    await rm(home, { recursive: true, force: true });
  });

  const stored = async (): Promise<Record<string, number>> => {
    const { engine } = internalsOf(vault).context;
    const found: Record<string, number> = {};
    for await (const [id, value] of engine.table('provider_usage').entries())
      found[id] = (JSON.parse(Buffer.from(value).toString()) as { used_bytes: number }).used_bytes;
    return found;
  };
  const damage = (text: string): Promise<void> =>
    internalsOf(vault).context.engine.table('provider_usage').put('m2', Buffer.from(text));

  it('are there as soon as the result is, and counted anew they are the same', async () => {
    const { context } = internalsOf(vault);
    const before = await stored();
    expect(Object.keys(before)).toEqual(IDS);
    await recountIsDue(context);
    await recountUsage(context);
    expect(await stored()).toEqual(before);
    await context.engine.table('manifest_usage').delete((await vault.statObject('x')).manifest);
    await damage('{"v":1,"used_bytes":7}');
    await recountIsDue(context);
    await recountUsage(context);
    expect(await stored()).toEqual(before);
    await vault.deleteObject('x');
    await vault.deleteObject('small');
    expect(Object.values(await stored())).toEqual([0, 0, 0, 0, 0]);
  });

  it('are not counted while somebody is at work, but later', async () => {
    const { context } = internalsOf(vault);
    const before = await stored();
    await context.engine.table('journal').put('0123456789abcdef', Buffer.from('{"owner":"somebody"}'));
    await damage('{"v":1,"used_bytes":7}');
    await recountIsDue(context);
    await recountUsage(context);
    expect((await stored()).m2).toBe(7);
    await context.engine.table('journal').delete('0123456789abcdef');
    await recountUsage(context);
    expect(await stored()).toEqual(before);
  });

  it('tell of what housekeeping deletes before that is forgotten, so that a process may be killed', async () => {
    const { context } = internalsOf(vault);
    const before = await stored();
    const { manifest } = await vault.statObject('x');
    const { packs } = await remainsOf(context, manifest, { withoutLost: false });
    await queueDeletes(context, packs);
    expect(await stored()).toEqual(before);
    await emptyTrash(context, async () => false);
    const [{ m0 }, { m0: m0Before }] = [await stored(), before];
    expect(m0).toBe(m0Before! - packs.filter(({ provider }) => provider === 'm0')[0]!.bytes);
  });

  it('stop nothing when their record is damaged, and are put right', async () => {
    await damage('nonsense');
    await internalsOf(vault).catalog.refresh();
    await vault.putObject(noise(100_000, 3), { name: 'y' });
    await vault.deleteObject('y');
    // It is counted when nobody is at work, after an operation.
    const countedAfterAnother = async (): Promise<number> => {
      await vault.putObject(noise(10, 4), { name: 'z' });
      return (await stored().catch(() => ({ m2: 0 }))).m2;
    };
    await expect.poll(countedAfterAnother, { interval: 500 }).toBeGreaterThan(60_000);
  });
});
