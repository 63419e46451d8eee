import { mkdir, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Damage, Vault } from '../../src/index.ts';
import { CliVault, IDS, providersToml, SLOW, SMALL_PIECES } from '../helpers/cli.ts';
import { addressOfPath, blobsIn, filesBelow, flipBit } from '../helpers/files.ts';
import { noise } from '../helpers/vault.ts';

const BIG = 'several segments';
const SMALL = 'whole copies';

interface Seen {
  readonly bytes: Buffer;
  readonly damage: readonly Damage[];
  readonly error?: { kind: string; code: string } | undefined;
}

describe('bytes that are not what they were', () => {
  let cli: CliVault;
  const contents = new Map([
    [BIG, noise((SLOW ? 1024 : 640) * 1024 + 77, 21)],
    [SMALL, noise(3000, 22)],
    ['empty', new Uint8Array(0)],
  ]);

  beforeAll(async () => {
    cli = await CliVault.create(SMALL_PIECES);
    for (const [name, bytes] of contents) {
      expect((await cli.run(['put', '-', '--name', name], { input: bytes })).code).toBe(0);
    }
    // Read manifests from the providers too: a local copy would hide damaged nodes.
    await rm(join(cli.home, 'engine'), { recursive: true });
    expect((await cli.run(['recover'])).code).toBe(0);
  });
  afterAll(() => cli.remove());

  async function read(vault: Vault, name: string): Promise<Seen> {
    const pieces: Uint8Array[] = [];
    let damage: readonly Damage[] = [];
    try {
      const object = await vault.getObject(name);
      damage = object.damage;
      for await (const piece of object) pieces.push(piece);
      return { bytes: Buffer.concat(pieces), damage };
    } catch (error) {
      return { bytes: Buffer.concat(pieces), damage, error: error as { kind: string; code: string } };
    }
  }

  async function withVault<T>(work: (vault: Vault) => Promise<T>): Promise<T> {
    const vault = await cli.open();
    try {
      return await work(vault);
    } finally {
      await vault.close();
    }
  }

  /** Every object is right or refused; returns all damage that verify and get name. */
  async function inspect(shared?: Vault): Promise<{ damage: Damage[]; refused: number }> {
    const using = <T>(work: (vault: Vault) => Promise<T>): Promise<T> =>
      shared === undefined ? withVault(work) : work(shared);
    return using(async (vault) => {
      const damage: Damage[] = [];
      let refused = 0;
      for (const [name, bytes] of contents) {
        const got = await read(vault, name);
        damage.push(...got.damage);
        if (got.error === undefined) expect(Buffer.compare(got.bytes, bytes), name).toBe(0);
        else {
          refused++;
          expect(['Corrupt', 'Unavailable', 'NotFound']).toContain(got.error.kind);
          expect(Buffer.compare(got.bytes, bytes.subarray(0, got.bytes.length)), name).toBe(0);
        }
        // Where not even the manifest can be had, there is nothing to verify.
        const verified = await vault.verifyObject(name).catch((error: unknown) => {
          if (got.error === undefined) throw error;
          expect(error).toMatchObject({ kind: expect.stringMatching(/^(Corrupt|Unavailable)$/) });
        });
        damage.push(...(verified?.damage ?? []));
      }
      return { damage, refused };
    });
  }

  /** Does something to every blob in turn and undoes it. */
  async function eachBlob(
    what: string,
    harm: (path: string, original: Buffer) => Promise<void>,
    every = 1,
  ): Promise<void> {
    let blobs = 0;
    let named = 0;
    // One vault for all: what it remembers of providers must not make it worse either.
    const vault = await cli.open();
    for (const id of IDS) {
      for (const path of (await blobsIn(cli.providerRoot(id))).filter((_, i) => i % every === 0)) {
        const original = await readFile(path);
        await harm(path, original);
        const { damage, refused } = await inspect(vault);
        expect(refused).toBe(0);
        const right = damage.some(({ provider, blob }) => provider === id && blob === addressOfPath(path));
        expect(right, `${what}: ${id} ${addressOfPath(path)} is not named in ${JSON.stringify(damage)}`).toBe(
          true,
        );
        expect(damage.filter(({ provider }) => provider !== id)).toEqual([]);
        blobs++;
        if (right) named++;
        await rm(path, { recursive: true, force: true });
        await writeFile(path, original);
      }
    }
    await vault.close();
    console.log(
      `damage: ${what}: ${blobs} blobs in turn, never a wrong byte, ${named} named with their provider`,
    );
  }

  it('one bit flipped in stored blobs in turn', async () => {
    let turn = 0;
    await eachBlob(
      'one bit flipped',
      async (path, original) => {
        await flipBit(path, (turn++ * 7919) % (original.length * 8));
      },
      SLOW ? 1 : 8,
    );
  });

  it('blobs cut short, emptied, lengthened, swapped, or made a folder', async () => {
    await eachBlob('cut by one byte', (path, original) => truncate(path, original.length - 1), SLOW ? 1 : 24);
    await eachBlob('emptied', (path) => truncate(path, 0), SLOW ? 1 : 24);
    await eachBlob(
      'replaced by another blob',
      async (path) => {
        const others = (await filesBelow(join(path, '..', '..'))).filter((other) => other !== path);
        await writeFile(path, await readFile(others[0]!));
      },
      SLOW ? 1 : 24,
    );
    await eachBlob(
      'replaced by a folder',
      async (path) => {
        await rm(path);
        await mkdir(path);
      },
      SLOW ? 1 : 24,
    );
  });

  it('all blobs of one provider flipped, for each provider', async () => {
    for (const id of IDS) {
      const originals = new Map<string, Buffer>();
      for (const path of await blobsIn(cli.providerRoot(id))) {
        originals.set(path, await readFile(path));
        await flipBit(path, (originals.get(path)!.length * 4) | 3);
      }
      const { damage, refused } = await inspect();
      expect(refused).toBe(0);
      expect([...new Set(damage.map(({ provider }) => provider))]).toEqual([id]);
      for (const [path, original] of originals) await writeFile(path, original);
    }
    console.log('damage: all blobs of one provider flipped: 9 of 9 providers, objects identical');
  });

  it('all blobs of three providers replaced by noise', async () => {
    const originals = new Map<string, Buffer>();
    for (const id of ['p1', 'p4', 'p7']) {
      for (const path of await blobsIn(cli.providerRoot(id))) {
        originals.set(path, await readFile(path));
        await writeFile(path, noise(originals.get(path)!.length, originals.size));
      }
    }
    expect((await inspect()).refused).toBe(0);
    const verify = await cli.run(['verify', BIG]);
    expect(verify.code).toBe(5);
    for (const id of ['p1', 'p4', 'p7']) expect(verify.stdout.toString()).toContain(`${id}: corrupt`);
    for (const [path, original] of originals) await writeFile(path, original);
  });

  it('too many flipped: refused as corrupt, exit code 5, no file', async () => {
    const originals = new Map<string, Buffer>();
    for (const id of ['p1', 'p2', 'p4', 'p7', 'p9']) {
      for (const path of await blobsIn(cli.providerRoot(id))) {
        originals.set(path, await readFile(path));
        await writeFile(path, noise(originals.get(path)!.length, originals.size));
      }
    }
    const out = join(cli.home, 'out');
    const got = await cli.run(['get', '-o', out, BIG]);
    expect(got.code).toBe(5);
    expect((await readdir(cli.home)).filter((name) => name.startsWith('out'))).toEqual([]);
    const { refused } = await inspect();
    expect(refused).toBeGreaterThan(0);
    for (const [path, original] of originals) await writeFile(path, original);
    expect((await inspect()).damage).toEqual([]);
  });

  it('every slot in turn damaged: names are recovered from the others', async () => {
    const engine = join(cli.home, 'engine');
    const aside = join(cli.home, 'engine-aside');
    let slots = 0;
    for (const id of IDS) {
      for (const [i, path] of (await filesBelow(join(cli.providerRoot(id), 'slots'))).entries()) {
        // A recovery writes the generation of the state anew, so its slot moves on.
        const original = await readFile(path).catch(() => undefined);
        if (original === undefined) continue;
        // The first byte is the slot's own header, the second its version, later ones the pointer.
        await flipBit(path, [0, 9, 300][i % 3]!);
        await rename(engine, aside);
        const result = await withVault((vault) => vault.recover());
        expect(result).toMatchObject({ names: contents.size, manifests: contents.size, lost: [] });
        expect((await inspect()).refused).toBe(0);
        await rm(engine, { recursive: true });
        await rename(aside, engine);
        await writeFile(path, original);
        slots++;
      }
    }
    console.log(`damage: ${slots} slots damaged in turn, all ${contents.size} names recovered each time`);
  });

  it('one slot damaged at every provider costs that name only', async () => {
    // Of three providers each keeps every slot, so there is no way around the damaged ones.
    const three = await CliVault.create(providersToml(3));
    try {
      for (const name of ['a', 'b', 'c', 'd'])
        await three.run(['put', '-', '--name', name], { input: noise(10) });
      const perProvider = ['p1', 'p2', 'p3'].map((id) => readdir(join(three.providerRoot(id), 'slots')));
      const slots = [...new Set((await Promise.all(perProvider)).flat())];
      // Beside the names: the generation of the state, at a majority, and who uses the place.
      expect(slots).toHaveLength(4 + 2);
      const found: number[] = [];
      for (const slot of slots) {
        const originals = new Map<string, Buffer>();
        for (const id of ['p1', 'p2', 'p3']) {
          for (const path of await filesBelow(join(three.providerRoot(id), 'slots', slot))) {
            originals.set(path, await readFile(path));
            await writeFile(path, Uint8Array.of(99));
          }
        }
        await rm(join(three.home, 'engine'), { recursive: true });
        const recovered = await three.run(['recover', '--json']);
        found.push(JSON.parse(recovered.stdout.toString()).names as number);
        for (const [path, original] of originals) await writeFile(path, original);
      }
      expect(found.sort()).toEqual([3, 3, 3, 3, 4, 4]);
      expect((await three.run(['recover'])).code).toBe(0);
      // A damaged slot is written over by the next change of its name.
      for (const path of await filesBelow(join(three.providerRoot('p1'), 'slots')))
        await writeFile(path, 'x');
      const put = await three.run(['put', '-', '--name', 'a', '--json'], { input: noise(20) });
      expect(JSON.parse(put.stdout.toString()).pointerCopies).toBe(3);
    } finally {
      await three.remove();
    }
  });
});
