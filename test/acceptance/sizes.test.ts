import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Vault } from '../../src/index.ts';
import { DamageLog } from '../../src/object/damage.ts';
import { readableSegments } from '../../src/object/readable-segments.ts';
import { openManifest } from '../../src/records/manifests.ts';
import { openVault } from '../../src/vault/open-vault.ts';
import { internalsOf } from '../../src/vault/opened-vault.ts';
import { CliVault, SLOW, SMALL_PIECES } from '../helpers/cli.ts';
import { noise, readAll } from '../helpers/vault.ts';

const MIB = 1024 * 1024;
const SIZES = [0, 1, 15, 16, 17, 1023, 1024, MIB - 1, MIB, MIB + 1, 5 * MIB + 3, (SLOW ? 64 : 24) * MIB];

/** Offsets at which a chunk of the object starts or ends. */
async function chunkEdges(home: string, name: string): Promise<number[]> {
  await using vault = await openVault({ home, env: {} });
  const { manifest } = await vault.statObject(name);
  const { context } = internalsOf(vault);
  const damage = new DamageLog();
  const root = await openManifest(context, manifest, damage);
  const edges = [0];
  const all = { start: 0, end: root.secrets.size };
  for await (const segment of readableSegments(context, { manifest, root }, all, damage)) {
    for (const length of segment.secrets.plainLens) edges.push(edges.at(-1)! + length);
  }
  return edges;
}

describe('objects of every size', () => {
  let cli: CliVault;
  let vault: Vault;
  beforeAll(async () => {
    cli = await CliVault.create();
    vault = await cli.open();
  });
  afterAll(async () => {
    await vault.close();
    await cli.remove();
  });

  it('come back identical through the library and the command line', async () => {
    for (const size of SIZES) {
      const bytes = noise(size, size + 7);
      const file = join(cli.home, `in-${size}`);
      const out = join(cli.home, `out-${size}`);
      await writeFile(file, bytes);

      const put = await cli.run(['put', '--json', file]);
      expect(put.stderr).toBe('');
      expect(put.code).toBe(0);
      expect(JSON.parse(put.stdout.toString()).size).toBe(size);
      expect((await cli.run(['get', '-o', out, `in-${size}`])).code).toBe(0);
      expect(Buffer.compare(await readFile(out), bytes)).toBe(0);
      const piped = await cli.run(['get', `in-${size}`]);
      expect(Buffer.compare(piped.stdout, bytes)).toBe(0);

      await vault.putObject(bytes, { name: `lib-${size}` });
      expect(Buffer.compare(await readAll(await vault.getObject(`lib-${size}`)), bytes)).toBe(0);
      // What one of the two has put, the other gets.
      expect(Buffer.compare(await readAll(await vault.getObject(`in-${size}`)), bytes)).toBe(0);
      await rm(file);
      await rm(out);
    }
    console.log(
      `sizes: ${SIZES.length} sizes identical through library and command line: ${SIZES.join(', ')}`,
    );
  });

  it('can be read from and to any edge of a chunk', async () => {
    const small = await CliVault.create(SMALL_PIECES);
    const source = await small.open();
    try {
      const bytes = noise(2 * MIB + 12_345, 99);
      await source.putObject(bytes, { name: 'x' });
      const edges = await chunkEdges(small.home, 'x');
      expect(edges.length).toBeGreaterThan(20);
      let ranges = 0;
      for (const edge of edges) {
        for (const start of [edge - 1, edge, edge + 1]) {
          if (start < 0 || start >= bytes.length) continue;
          for (const length of SLOW ? [1, 2, 65_536, 65_537] : [2, 65_537]) {
            const got = await readAll(await source.getObject('x', { start, length }));
            expect(Buffer.compare(got, bytes.subarray(start, start + length))).toBe(0);
            ranges++;
          }
        }
      }
      for (const edge of [edges[1]!, edges[7]!, edges.at(-1)!]) {
        const range = `${edge - 1}-${edge}`;
        const got = await small.run(['get', 'x', '--range', range]);
        expect(Buffer.compare(got.stdout, bytes.subarray(edge - 1, edge + 1))).toBe(0);
      }
      const suffix = await small.run(['get', 'x', '--range=-5']);
      expect(Buffer.compare(suffix.stdout, bytes.subarray(-5))).toBe(0);
      const beyond = await small.run(['get', 'x', '--range', `${bytes.length}-`]);
      expect(beyond.code).toBe(2);
      console.log(`ranges: ${ranges} ranges around ${edges.length} chunk edges identical`);
    } finally {
      await source.close();
      await small.remove();
    }
  });
});

describe('memory', () => {
  /** Pseudo-random bytes in pieces, and their hash. */
  async function* stream(total: number, hash: ReturnType<typeof createHash>): AsyncGenerator<Uint8Array> {
    const piece = Buffer.from(noise(MIB, 5));
    for (let at = 0; at < total; at += piece.length) {
      // A counter in each piece keeps them different.
      piece.writeBigUInt64LE(BigInt(at), 0);
      const part = Buffer.from(piece.subarray(0, Math.min(piece.length, total - at)));
      hash.update(part);
      yield part;
    }
  }

  // Whoever held an object, or kept what it had read of one, would be far over the bound.
  const [config, bound, cases] = SLOW
    ? [undefined, 400 * MIB, [MIB * 1024, 4 * MIB * 1024]]
    : ['[limits]\nmemory_bytes = "16 MiB"\n', 340 * MIB, [256 * MIB]];
  const expectBounded = ({ peakRssBytes }: { peakRssBytes: number }): void => {
    expect(peakRssBytes).toBeGreaterThan(0);
    expect(peakRssBytes).toBeLessThan(bound);
  };
  for (const total of cases) {
    it(`stays bounded for ${total / MIB} MiB through standard input and output`, async () => {
      const cli = await CliVault.create(config);
      try {
        const sent = createHash('sha256');
        const put = await cli.run(['put', '-', '--name', 'big', '--json'], { input: stream(total, sent) });
        expect(put.code).toBe(0);
        expect(JSON.parse(put.stdout.toString()).size).toBe(total);
        const got = createHash('sha256');
        let bytes = 0;
        const get = await cli.run(['get', 'big'], {
          onOutput: (piece) => {
            bytes += piece.length;
            got.update(piece);
          },
        });
        expect(get.code).toBe(0);
        expect(bytes).toBe(total);
        const digest = sent.digest('hex');
        expect(got.digest('hex')).toBe(digest);
        const out = join(cli.home, 'out');
        const toFile = await cli.run(['get', 'big', '-o', out]);
        expect((await stat(out)).size).toBe(total);
        const filed = createHash('sha256');
        for await (const piece of createReadStream(out)) filed.update(piece as Buffer);
        expect(filed.digest('hex')).toBe(digest);
        const peak = (outcome: { peakRssBytes: number }): string =>
          `${(outcome.peakRssBytes / MIB).toFixed(0)} MiB`;
        console.log(
          `memory: ${total / MIB} MiB, identical; peak of put ${peak(put)}, of get to a pipe ${peak(get)}, to a file ${peak(toFile)}`,
        );
        for (const run of [put, get, toFile]) expectBounded(run);
      } finally {
        await cli.remove();
      }
    });
  }

  it('a file is put with the same bound', async () => {
    const cli = await CliVault.create(config);
    try {
      const size = SLOW ? 1024 * MIB : 256 * MIB;
      const path = join(cli.home, 'file');
      const file = await open(path, 'w');
      const part = noise(16 * MIB, 3);
      for (let at = 0; at < size; at += part.length) await file.write(part, 0, part.length, at);
      await file.close();
      const put = await cli.run(['put', path]);
      expect(put.code).toBe(0);
      console.log(
        `memory: peak of put of a ${size / MIB} MiB file ${(put.peakRssBytes / MIB).toFixed(0)} MiB`,
      );
      expectBounded(put);
    } finally {
      await cli.remove();
    }
  });
});
