import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliVault, SLOW, SMALL_PIECES, said } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';

describe('several processes at once', () => {
  let cli: CliVault;
  beforeEach(async () => {
    cli = await CliVault.create(SMALL_PIECES);
  });
  afterEach(() => cli.remove());

  it('putting the same name: one wins whole, the others leave nothing', async () => {
    const rounds = SLOW ? 20 : 2;
    for (let round = 0; round < rounds; round++) {
      const contents = [0, 1, 2].map((i) => noise(400_000 + i, round * 10 + i + 1));
      const puts = await Promise.all(
        contents.map((input) => cli.run(['put', '-', '--name', 'x', '--json'], { input })),
      );
      for (const put of puts) expect(put.code, said(put)).toBe(0);
      const got = await cli.run(['get', 'x']);
      const winner = contents.findIndex((content) => Buffer.compare(got.stdout, content) === 0);
      expect(winner).toBeGreaterThanOrEqual(0);
      const stat = JSON.parse((await cli.run(['stat', 'x', '--json'])).stdout.toString());
      expect(stat.manifest).toBe(JSON.parse(puts[winner]!.stdout.toString()).manifest);
      expect(stat.version).toBe(3 * (round + 1));
      expect(JSON.parse((await cli.run(['manifests', '--json'])).stdout.toString())).toHaveLength(1);
      const verify = await cli.run(['verify', 'x']);
      expect(verify.code, said(verify)).toBe(0);
    }
    expect((await cli.run(['rm', 'x'])).code).toBe(0);
    expect(await cli.blobs()).toEqual([]);
    console.log(
      `races: ${rounds} rounds of three processes putting one name: one whole winner, no blob of the others left`,
    );
  });

  it('putting different names: all are there', async () => {
    const names = Array.from({ length: 8 }, (_, i) => `n${i}`);
    const puts = await Promise.all(
      names.map((name, i) => cli.run(['put', '-', '--name', name], { input: noise(100_000, i + 1) })),
    );
    for (const put of puts) expect(put.code, said(put)).toBe(0);
    const gets = await Promise.all(names.map((name) => cli.run(['get', name])));
    for (const [i, get] of gets.entries()) expect(Buffer.compare(get.stdout, noise(100_000, i + 1))).toBe(0);
  });

  it('putting to a name that is being read: the reader gets the old bytes or an error, never others', async () => {
    const old = noise(3_000_000, 1);
    await cli.run(['put', '-', '--name', 'x'], { input: old });
    const reader = await cli.open();
    const object = await reader.getObject('x');
    const iterator = object[Symbol.asyncIterator]();
    const seen = [(await iterator.next()).value as Uint8Array];
    const put = await cli.run(['put', '-', '--name', 'x'], { input: noise(2_000_000, 2) });
    expect(put.code, said(put)).toBe(0);
    let failure: unknown;
    try {
      for (let step = await iterator.next(); !step.done; step = await iterator.next()) seen.push(step.value);
    } catch (error) {
      failure = error;
    }
    const bytes = Buffer.concat(seen);
    expect(Buffer.compare(bytes, old.subarray(0, bytes.length))).toBe(0);
    if (failure === undefined) expect(bytes.length).toBe(old.length);
    else expect(['Unavailable', 'NotFound']).toContain((failure as { kind: string }).kind);
    await reader.close();
    expect(Buffer.compare((await cli.run(['get', 'x'])).stdout, noise(2_000_000, 2))).toBe(0);
    console.log(
      `races: a reader overtaken by a put saw ${bytes.length} right bytes, then ${failure === undefined ? 'the end' : 'a typed error'}`,
    );
  });

  it('removing and putting one name at once: there whole, or gone whole', async () => {
    const bytes = noise(300_000, 1);
    await cli.run(['put', '-', '--name', 'x'], { input: noise(1000, 9) });
    const [put, rm] = await Promise.all([
      cli.run(['put', '-', '--name', 'x'], { input: bytes }),
      cli.run(['rm', 'x']),
    ]);
    expect(put.code, said(put)).toBe(0);
    expect(rm.code, said(rm)).toBe(0);
    const got = await cli.run(['get', 'x']);
    if (got.code === 0) expect(Buffer.compare(got.stdout, bytes)).toBe(0);
    else expect(got.code, said(got)).toBe(3);
    if (got.code === 0) await cli.run(['rm', 'x']);
    expect(await cli.blobs()).toEqual([]);
  });

  it('one vault put and read many times over at once, in one process', async () => {
    const vault = await cli.open();
    try {
      const work = Array.from({ length: 24 }, async (_, i) => {
        const bytes = noise(500_000 + i, i + 1);
        await vault.putObject(bytes, { name: `c${i}` });
        const parts: Uint8Array[] = [];
        for await (const piece of await vault.getObject(`c${i}`)) parts.push(piece);
        expect(Buffer.compare(Buffer.concat(parts), bytes)).toBe(0);
        if (i % 3 === 0) await vault.deleteObject(`c${i}`);
      });
      await Promise.all(work);
      let listed = 0;
      for await (const { name } of vault.listObjects()) {
        const verified = await vault.verifyObject(name);
        expect(verified.damage).toEqual([]);
        expect(verified.intact).toBe(true);
        listed++;
      }
      expect(listed).toBe(16);
    } finally {
      await vault.close();
    }
  });

  it('fewer providers than before: a put goes on, or is refused by policy', async () => {
    const { rm } = await import('node:fs/promises');
    const bytes = noise(200_000, 1);
    const tolerated: string[] = [];
    for (let gone = 1; gone <= 9; gone++) {
      await rm(join(cli.providerRoot(`p${gone}`)), { recursive: true });
      const put = await cli.run(['put', '-', '--name', 'x', '--json'], { input: bytes });
      if (put.code === 0 || put.code === 8) {
        // Where no majority is left, none can say that no copy of the home took the put for dead.
        expect(put.code, said(put)).toBe(9 - gone > 4 ? 0 : 8);
        const { certificate, leftOut } = JSON.parse(put.stdout.toString());
        expect(certificate.providers).toBe(9 - gone);
        expect(leftOut).toHaveLength(gone);
        expect(said(put)).toContain(`p${gone} got no shards`);
        tolerated.push(`${9 - gone}: ${certificate.tolerates}`);
        expect(Buffer.compare((await cli.run(['get', 'x'])).stdout, bytes)).toBe(0);
        const verify = await cli.run(['verify', 'x']);
        expect(verify.code, said(verify)).toBe(0);
      } else {
        expect(put.code, said(put)).toBe(9 - gone === 0 ? 4 : 6);
        tolerated.push(`${9 - gone}: refused`);
      }
    }
    console.log(`races: providers left and losses tolerated ${tolerated.join(', ')}`);
    expect(tolerated.at(-1)).toBe('0: refused');
    expect(tolerated.at(-2)).toBe('1: refused');
  });
});
