import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isHoldfastError } from '../../src/core/errors.ts';
import { CliVault, IDS, SLOW } from '../helpers/cli.ts';
import { combinations } from '../helpers/files.ts';
import { noise, readAll } from '../helpers/vault.ts';

const NAME = 'a real object';
/** One thread: a vault is opened for each subset, and threads cost more than such an object. */
const PIECES =
  '[chunks]\nladder = ["128 KiB"]\ndefault_bytes = "128 KiB"\n[packs]\ntarget_bytes = "96 KiB"\n[limits]\nmax_workers = 1\n';

/** What a fresh vault makes of the object: nobody remembers how providers behaved before. */
async function readFresh(
  cli: CliVault,
): Promise<Uint8Array | { kind: string; code: string; text: string; seen: Uint8Array[] }> {
  const vault = await cli.open();
  const seen: Uint8Array[] = [];
  try {
    for await (const piece of await vault.getObject(NAME)) seen.push(piece);
    return Buffer.concat(seen);
  } catch (error) {
    // The library under test is the built one, whose classes are its own.
    const { kind, code, message, hint, context } = error as import('../../src/index.ts').HoldfastError;
    return { kind, code, text: `${message} ${hint} ${JSON.stringify(context)}`, seen };
  } finally {
    await vault.close();
  }
}

describe('nine providers', () => {
  let cli: CliVault;
  const bytes = noise(1024 * 1024 + 3, 11);
  beforeAll(async () => {
    cli = await CliVault.create(PIECES);
    const put = await cli.run(['put', '-', '--name', NAME, '--json'], { input: bytes });
    expect(JSON.parse(put.stdout.toString()).certificate).toMatchObject({ providers: 9, tolerates: 3 });
    const shown = await cli.run(['manifest', NAME, '--json']);
    console.log(
      `losses: one object of ${bytes.length} bytes, ${JSON.parse(shown.stdout.toString()).links.length} segments`,
    );
  });
  afterAll(() => cli.remove());

  async function without<T>(ids: readonly string[], work: () => Promise<T>): Promise<T> {
    const moved = join(cli.home, 'gone-');
    for (const id of ids) await rename(cli.providerRoot(id), moved + id);
    try {
      return await work();
    } finally {
      for (const id of ids) await rename(moved + id, cli.providerRoot(id));
    }
  }

  it('any three may be gone: the object is read whole', async () => {
    const triples = combinations(IDS, 3).filter((_, i) => SLOW || i % 6 === 0);
    let right = 0;
    for (const lost of triples) {
      const got = await without(lost, () => readFresh(cli));
      expect(got, lost.join()).toBeInstanceOf(Uint8Array);
      expect(Buffer.compare(got as Uint8Array, bytes), lost.join()).toBe(0);
      right++;
    }
    console.log(`losses: ${right} of ${triples.length} triples removed, object identical`);
    expect(right).toBe(SLOW ? 84 : 14);
  });

  it('any four gone: right, or a typed error that names them', async () => {
    const fours = combinations(IDS, 4).filter((_, i) => SLOW || i % 12 === 0);
    let refused = 0;
    let right = 0;
    for (const lost of fours) {
      const got = await without(lost, () => readFresh(cli));
      if (got instanceof Uint8Array) {
        expect(Buffer.compare(got, bytes)).toBe(0);
        right++;
        continue;
      }
      expect(got.kind, got.text).toBe('Unavailable');
      for (const id of lost) expect(got.text).toContain(id);
      const before = Buffer.concat(got.seen);
      expect(Buffer.compare(before, bytes.subarray(0, before.length))).toBe(0);
      refused++;
    }
    console.log(
      `losses: ${fours.length} fours removed: ${refused} typed errors naming them, ${right} still identical`,
    );
    expect(refused + right).toBe(SLOW ? 126 : 11);
    expect(refused).toBeGreaterThan(0);
  });

  it('the command line exits with 0 and 4', async () => {
    const step = SLOW ? 1 : 42;
    const codes = new Map<string, number>();
    const count = (key: string): void => void codes.set(key, (codes.get(key) ?? 0) + 1);
    for (const lost of combinations(IDS, 3).filter((_, i) => i % step === 0)) {
      const got = await without(lost, () => cli.run(['get', NAME]));
      expect(Buffer.compare(got.stdout, bytes)).toBe(0);
      for (const id of lost) expect(got.stderr).toContain(id);
      count(`three lost: ${got.code}`);
    }
    for (const lost of combinations(IDS, 4).filter((_, i) => i % step === 0)) {
      const got = await without(lost, () => cli.run(['get', NAME, '--json']));
      if (got.code === 0) expect(Buffer.compare(got.stdout, bytes)).toBe(0);
      else for (const id of lost) expect(got.stderr).toContain(id);
      count(`four lost: ${got.code}`);
    }
    console.log(`losses: exit codes ${[...codes].map(([key, n]) => `${key} × ${n}`).join(', ')}`);
    expect([...codes.keys()].sort()).toEqual(['four lost: 4', 'three lost: 0']);
  });

  it('a provider that comes back empty is damage, not a failure', async () => {
    await without(['p3'], async () => {
      expect((await cli.run(['providers init', 'p3'])).code).toBe(0);
      const got = await cli.run(['get', NAME]);
      expect(Buffer.compare(got.stdout, bytes)).toBe(0);
      expect(got.stderr).toMatch(/p3: missing/);
      const verify = await cli.run(['verify', NAME, '--json']);
      expect(verify.code).toBe(4);
      const found = JSON.parse(verify.stdout.toString());
      expect(found.readable).toBe(true);
      expect(found.certificate.live.tolerates).toBe(2);
      await rename(cli.providerRoot('p3'), join(cli.home, 'empty-p3'));
    });
    const again = await cli.run(['verify', NAME]);
    expect(again.code, again.stdout.toString()).toBe(0);
  });

  it('errors of the built library are typed', async () => {
    const vault = await cli.open();
    const error = await readAll(await vault.getObject(NAME, { start: 0, length: 1 })).then(() =>
      vault.getObject('no such thing').catch((e: unknown) => e),
    );
    expect((error as Error).name).toBe('HoldfastError');
    expect(isHoldfastError(error)).toBe(false); // another copy of the class: compare kinds across builds
    await vault.close();
  });
});
