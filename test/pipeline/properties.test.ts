import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { type CodeParams, DEFAULT_LRC } from '../../src/coding/erasure/params.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { getObject } from '../../src/pipeline/get/get.ts';
import { putObject } from '../../src/pipeline/put/put.ts';
import { verifyObject } from '../../src/upkeep/verify.ts';
import { arenaIsFree } from '../helpers/faulty.ts';
import { noise, readAll, testVault } from '../helpers/vault.ts';

const SLOW = process.env.SLOW === '1';
const KIB = 1024;

const codes = fc.constantFrom<CodeParams>(
  DEFAULT_LRC,
  { ...DEFAULT_LRC, fountainKind: 'none', fountainShards: 0 } as CodeParams,
  { ...DEFAULT_LRC, fountainKind: 'pair', fountainShards: 3 } as CodeParams,
  { algorithm: 'reed-solomon', dataShards: 16, parityShards: 8 },
  { algorithm: 'reed-solomon', dataShards: 4, parityShards: 2 },
  { algorithm: 'reed-solomon', dataShards: 1, parityShards: 3 },
  { algorithm: 'xor', dataShards: 4, parityShards: 1 },
  { algorithm: 'xor', dataShards: 16, parityShards: 1 },
);

/** Contents of every kind: noise, runs, text, and mixtures; sizes around every border. */
const content = fc.record({
  size: fc.oneof(
    fc.integer({ min: 0, max: 600 }),
    fc.integer({ min: 4000, max: 4200 }),
    fc.integer({ min: 65_500, max: 65_600 }),
    fc.integer({ min: 0, max: 400_000 }),
  ),
  kind: fc.constantFrom('noise', 'zeros', 'text', 'mixed'),
  seed: fc.integer({ min: 1, max: 2 ** 31 }),
});

/** Made inside the property, so that a counterexample prints its recipe and not its bytes. */
function bytesOf({ size, kind, seed }: typeof content extends fc.Arbitrary<infer T> ? T : never): Uint8Array {
  if (kind === 'zeros') return new Uint8Array(size);
  const bytes = noise(size, seed);
  if (kind === 'text') for (const [i, byte] of bytes.entries()) bytes[i] = 97 + (byte % 5);
  if (kind === 'mixed') bytes.fill(seed, size >> 2, size >> 1);
  return bytes;
}

const setup = fc.record({
  content,
  code: codes,
  providers: fc.integer({ min: 1, max: 12 }),
  chunkBytes: fc.constantFrom(1 * KIB, 4 * KIB, 32 * KIB, 64 * KIB, 128 * KIB),
  codec: fc.constantFrom(
    'none' as const,
    'zstd' as const,
    'deflate' as const,
    'lz77-rle' as const,
    'rle' as const,
  ),
  packTarget: fc.constantFrom(1 * KIB, 16 * KIB, 256 * KIB),
  replicaBelow: fc.constantFrom(0, 500, 4096, 100_000),
  pieces: fc.integer({ min: 1, max: 90_000 }),
});

async function* cut(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function vaultOf(
  given: typeof setup extends fc.Arbitrary<infer T> ? T : never,
): ReturnType<typeof testVault> {
  return testVault({
    providers: given.providers,
    chunkBytes: given.chunkBytes,
    policy: {
      code: createLinearCode(given.code),
      compression: given.codec,
      packTargetBytes: given.packTarget,
      replicaBelowBytes: given.replicaBelow,
      minTolerates: 0,
    },
  });
}

describe('for any bytes, code, codec, chunk length and number of providers', () => {
  it('what was put is what is got, whole and in ranges', { timeout: 600_000 }, async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(
        setup,
        fc.array(
          fc.tuple(
            fc.double({ min: -0.2, max: 0.999, noNaN: true }),
            fc.double({ min: 0, max: 1.2, noNaN: true }),
          ),
          { maxLength: 4 },
        ),
        async (given, ranges) => {
          const { context } = await vaultOf(given);
          const bytes = bytesOf(given.content);
          const put = await putObject(context, cut(bytes, given.pieces), { name: 'x' });
          expect(put.size).toBe(bytes.length);
          expect(Buffer.compare(await readAll(await getObject(context, 'x')), bytes)).toBe(0);
          expect(Buffer.compare(await readAll(await getObject(context, put.manifest)), bytes)).toBe(0);
          for (const [from, part] of ranges) {
            const start = Math.trunc(from * bytes.length);
            const length = Math.trunc(part * bytes.length);
            if (start >= bytes.length && bytes.length > 0) continue;
            const first = start < 0 ? Math.max(0, bytes.length + start) : start;
            const got = await readAll(await getObject(context, 'x', { start, length }));
            expect(Buffer.compare(got, bytes.subarray(first, first + length))).toBe(0);
          }
          const verified = await verifyObject(context, 'x');
          expect(verified.intact).toBe(true);
          expect(verified.certificate.live.tolerates).toBe(put.certificate.tolerates);
          expect(arenaIsFree(context)).toBe(true);
          runs++;
        },
      ),
      { numRuns: SLOW ? 2000 : 60 },
    );
    console.log(`properties: ${runs} random vaults, objects and ranges identical`);
  });

  it('what the certificate tolerates is survived; beyond it, right or a typed error', {
    timeout: 600_000,
  }, async () => {
    const counted = { within: 0, beyondRight: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(
        setup,
        fc.array(fc.nat({ max: 11 }), { minLength: 1, maxLength: 8 }),
        async (given, losses) => {
          const { context, providers, gone } = await vaultOf(given);
          const bytes = bytesOf(given.content);
          const put = await putObject(context, cut(bytes, given.pieces), { name: 'x' });
          for (const i of losses) gone.add(providers[i % providers.length]!.id);
          const seen: Uint8Array[] = [];
          try {
            for await (const piece of await getObject(context, 'x')) seen.push(piece);
            expect(Buffer.compare(Buffer.concat(seen), bytes)).toBe(0);
            if (gone.size <= put.certificate.tolerates) counted.within++;
            else counted.beyondRight++;
          } catch (error) {
            expect(error).toBeInstanceOf(HoldfastError);
            expect(['Unavailable', 'NotFound']).toContain((error as HoldfastError).kind);
            expect(gone.size, JSON.stringify(put.certificate)).toBeGreaterThan(put.certificate.tolerates);
            const before = Buffer.concat(seen);
            expect(Buffer.compare(before, bytes.subarray(0, before.length))).toBe(0);
            counted.refused++;
          }
          expect(arenaIsFree(context)).toBe(true);
        },
      ),
      { numRuns: SLOW ? 2000 : 80 },
    );
    console.log(
      `properties: ${counted.within} losses within the certificate, all survived; ${counted.beyondRight} beyond it survived, ${counted.refused} refused typed`,
    );
  });
});
