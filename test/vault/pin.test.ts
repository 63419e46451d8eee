import { describe, expect, it } from 'vitest';
import { createMemoryEngine } from '../../src/engine/index.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { sealPointer } from '../../src/manifest/pointer.ts';
import { pinVault } from '../../src/vault/pin.ts';
import { fixedRandom } from '../helpers/fixed-random.ts';
import { rottenEngine } from '../helpers/rotten-engine.ts';

const keysOf = (byte: number) => vaultKeysOf(deriveSubkeys(new Uint8Array(32).fill(byte)));
const [MINE, OTHER] = [keysOf(1), keysOf(2)];
const WRONG = { kind: 'PermissionDenied', code: 'wrong_vault' };

/** State of a time before vaults were pinned. */
async function stateWith(...names: readonly ('right' | 'damaged')[]) {
  const engine = createMemoryEngine();
  for (const [i, kind] of names.entries()) {
    const key = MINE.nameKey(`${i}`);
    const lineage = { writer: new Uint8Array(16), ancestors: new Uint8Array(0) };
    const pointer = { name: `${i}`, version: 1, manifest: undefined, ...lineage, size: 0, createdMs: 0 };
    const sealed = sealPointer(pointer, key, MINE.pointer, fixedRandom('pin'));
    if (kind === 'damaged') sealed[40]! ^= 1;
    await engine.table('names').put(key, sealed);
  }
  return engine;
}

describe('the vault of a state', () => {
  it('is the first that opens an empty one', async () => {
    const engine = createMemoryEngine();
    await pinVault(engine, MINE);
    await pinVault(engine, MINE);
    await expect(pinVault(engine, OTHER)).rejects.toMatchObject(WRONG);
  });

  it('is one for all that open it at the same time', async () => {
    const engine = createMemoryEngine();
    const outcomes = await Promise.allSettled([pinVault(engine, MINE), pinVault(engine, OTHER)]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('is known by the names in an older state, damaged ones aside', async () => {
    await expect(pinVault(await stateWith('right'), OTHER)).rejects.toMatchObject(WRONG);
    const engine = await stateWith('damaged', 'right', 'damaged');
    await pinVault(engine, MINE);
    await expect(pinVault(engine, OTHER)).rejects.toMatchObject(WRONG);
  });

  it.each(['', '0123', '0123456789abcdef', 'ABCDEF', '\u00ff'.repeat(16)])(
    'is told by its names where the id is %j, damaged',
    async (id) => {
      const engine = await stateWith('damaged', 'right');
      await engine.table('vault').put('id', Buffer.from(id, 'latin1'));
      await expect(pinVault(engine, OTHER)).rejects.toMatchObject(WRONG);
      await pinVault(engine, MINE);
      expect(Buffer.from((await engine.table('vault').get('id'))!).toString()).toBe(MINE.id);
    },
  );

  it('is told by its names where the record of the id cannot be read', async () => {
    const engine = rottenEngine(await stateWith('right'));
    await pinVault(engine, MINE);
    engine.rot('vault', 'id');
    await expect(pinVault(engine, OTHER)).rejects.toMatchObject(WRONG);
    await pinVault(engine, MINE);
    await expect(pinVault(engine, OTHER)).rejects.toMatchObject(WRONG);
  });
});
