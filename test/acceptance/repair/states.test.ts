import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openVault } from '../../../src/index.ts';
import { vanish } from '../../helpers/files.ts';
import { BIG, blobsOf, expectIntact, type Nine, nine, read, SMALL } from '../../helpers/nine.ts';

describe('what repair has moved', () => {
  it('deletes nothing of what was moved in an older copy of the state, which knows nothing of it', async () => {
    const its = await nine();
    const { home } = its;
    const [engine, older, newer] = ['engine', 'older', 'newer'].map((name) => join(home, name)) as [
      string,
      string,
      string,
    ];
    await its.vault.providers.setLost('p3', true);
    await its.vault.close();
    await cp(engine, older, { recursive: true });
    const first = await openVault({ home, env: {} });
    await vanish(join(home, 'providers', 'p3'));
    await first.repair();
    await first.close();
    await rename(engine, newer);
    await rename(older, engine);
    const before = await blobsOf(its, 'p1');
    const second = await openVault({ home, env: {} });
    const { providers } = await second.gc({ minAgeMs: 0 });
    await second.close();
    expect(providers.filter(({ kept }) => kept === 'moved').length).toBeGreaterThan(5);
    expect(await blobsOf(its, 'p1')).toEqual(before);
    await rm(engine, { recursive: true });
    await rename(newer, engine);
    const third = await openVault({ home, env: {} });
    onTestFinished(() => third.close());
    await expectIntact(third);
  });

  it('is read, and learnt of, by another home with the same key', async () => {
    const its = await nine();
    const { home } = its;
    const [engine, one, other] = ['engine', 'one', 'other'].map((name) => join(home, name)) as [
      string,
      string,
      string,
    ];
    for (const id of ['p3', 'p4']) await its.vault.providers.setLost(id, true);
    await its.vault.close();
    await cp(engine, other, { recursive: true });
    const first = await openVault({ home, env: {} });
    for (const id of ['p3', 'p4']) await vanish(join(home, 'providers', id));
    await first.repair();
    expect((await first.statObject('big')).live.certificate.tolerates).toBe(2);
    await first.close();
    await rename(engine, one);
    await rename(other, engine);
    // By what the other home knows, four are gone, and too little is left.
    for (const id of ['p1', 'p2']) await rename(join(home, 'providers', id), join(home, `${id}.away`));
    const reading = await openVault({ home, env: {} });
    expect(Buffer.compare(await read(reading, 'big'), BIG)).toBe(0);
    await reading.close();
    for (const id of ['p1', 'p2']) await rename(join(home, `${id}.away`), join(home, 'providers', id));
    const second = await openVault({ home, env: {} });
    expect(await second.recover()).toMatchObject({ lost: [] });
    await expectIntact(second);
    const before = await blobsOf(its, 'p1');
    await second.gc({ minAgeMs: 0 });
    await second.close();
    expect(await blobsOf(its, 'p1')).toEqual(before);
    await rm(engine, { recursive: true });
    await rename(one, engine);
    const again = await openVault({ home, env: {} });
    onTestFinished(() => again.close());
    await expectIntact(again);
  });

  /** Nine, of which one vanished and was repaired; then the state is lost. */
  async function lostState(sealed = false): Promise<Nine & { readonly tolerates: number }> {
    const its = await nine();
    const { home } = its;
    await vanish(join(home, 'providers', 'p3'));
    await its.vault.providers.setLost('p3', true);
    await its.vault.close();
    const first = await openVault({ home, sealed, env: {} });
    await first.repair();
    await first.close();
    const keyed = await openVault({ home, env: {} });
    const { live } = await keyed.statObject('big');
    await keyed.close();
    await rm(join(home, 'engine'), { recursive: true });
    const vault = await openVault({ home, env: {} });
    onTestFinished(() => vault.close());
    return { home, vault, tolerates: live.certificate.tolerates };
  }

  it.each([false, true])(
    'outlives the loss of the state, whoever did it (without the key: %s)',
    async (sealed) => {
      const its = await lostState(sealed);
      const { home, vault, tolerates } = its;
      expect(await vault.recover()).toMatchObject({ lost: [], names: 2 });
      const { live } = await vault.statObject('big');
      expect(live.certificate.tolerates).toBe(tolerates);
      expect(live.without).toEqual([]);
      await expectIntact(vault);
      // Nothing is repaired twice.
      await vault.providers.setLost('p3', true);
      expect(await vault.repair()).toMatchObject({ bytesRestored: 0, chunks: { success: 0 } });
      // And what no record leads to is told again.
      const before = await blobsOf(its, 'p1');
      const { providers } = await vault.gc({ minAgeMs: 0 });
      expect(providers.filter(({ kept }) => kept === 'moved')).toEqual([]);
      expect(await blobsOf(its, 'p1')).toEqual(before);
      await expectIntact(vault);
      for (const id of ['p1', 'p2']) await vanish(join(home, 'providers', id));
      expect(Buffer.compare(await read(vault, 'big'), BIG)).toBe(0);
    },
  );

  it('outlives the loss of the state and of as many providers as the objects survive then', async () => {
    const { home, vault, tolerates } = await lostState();
    expect(tolerates).toBe(2);
    for (const id of ['p1', 'p2']) await vanish(join(home, 'providers', id));
    expect(await vault.recover()).toMatchObject({ lost: [] });
    expect(Buffer.compare(await read(vault, 'big'), BIG)).toBe(0);
    expect(Buffer.compare(await read(vault, 'small'), SMALL)).toBe(0);
  });
});
