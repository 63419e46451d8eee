import fc from 'fast-check';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { type CodeParams, DEFAULT_LRC } from '../../src/coding/erasure/params.ts';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import type { CertificateRecord } from '../../src/manifest/certificate.ts';
import { Cid } from '../../src/manifest/cid.ts';
import type { Link } from '../../src/manifest/links.ts';
import type { Pointer } from '../../src/manifest/pointer.ts';
import { encodeRoot, type RootInput } from '../../src/manifest/root.ts';
import type { SegmentRecord, SegmentSecrets } from '../../src/manifest/segment.ts';
import { fixedRandom } from '../helpers/fixed-random.ts';

/** Arbitrary valid records, for properties. */

export const fixed = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
export const address: fc.Arbitrary<BlobAddress> = fixed(32).map(addressOf);
export const cid: fc.Arbitrary<Cid> = address.map((one) => new Cid(one));
/** Well-formed Unicode of at most 100 UTF-16 code units. */
export const text: fc.Arbitrary<string> = fc.string({ unit: 'binary', maxLength: 50 });
const providerId = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 40 });
const uint = fc.nat({ max: Number.MAX_SAFE_INTEGER });

export const code: fc.Arbitrary<CodeParams> = fc.oneof(
  fc.constant(DEFAULT_LRC),
  fc.integer({ min: 1, max: 9 }).map((copies): CodeParams => ({ algorithm: 'replica', copies })),
  fc
    .record({ dataShards: fc.integer({ min: 1, max: 20 }), parityShards: fc.integer({ min: 1, max: 10 }) })
    .chain((shape) =>
      fc.constantFrom('reed-solomon' as const, 'xor' as const).map((algorithm) => ({ algorithm, ...shape })),
    ),
);

export const secrets = (chunks: number, chunkLens: readonly number[]): fc.Arbitrary<SegmentSecrets> =>
  fc.record({
    leads: fc.array(fc.constantFrom('p1', 'p2', 'p3'), { minLength: chunks, maxLength: chunks }),
    plainLens: fc.array(fc.nat({ max: 2 ** 22 }), { minLength: chunks, maxLength: chunks }),
    storedLens: fc.tuple(...chunkLens.map((max) => fc.nat({ max }))),
    codecs: fixed(chunks),
    salts: fixed(16 * chunks),
  });

export function segment(params: CodeParams): fc.Arbitrary<SegmentRecord> {
  const { totalShards, dataShards } = createLinearCode(params);
  return fc
    .record({ chunks: fc.integer({ min: 1, max: 4 }), packs: fc.integer({ min: 1, max: 5 }) })
    .chain(({ chunks, packs }) =>
      fc.record({
        firstChunk: uint,
        chunkLens: fc.array(
          fc.integer({ min: 1, max: 8 }).map((n) => 512 * dataShards * n),
          { minLength: chunks, maxLength: chunks },
        ),
        tags: fixed(16 * chunks),
        shards: fixed(32 * totalShards * chunks),
        packs: fc.array(fc.record({ provider: providerId, address, length: uint }), {
          minLength: packs,
          maxLength: packs,
        }),
        places: fc
          .array(fc.nat({ max: packs - 1 }), {
            minLength: totalShards * chunks,
            maxLength: totalShards * chunks,
          })
          .map((places) => Uint8Array.from(places)),
        sealed: fc.uint8Array({ maxLength: 60 }),
      }),
    );
}

export const links: fc.Arbitrary<Link[]> = fc.array(
  fc.record({ cid, chunks: fc.integer({ min: 1, max: 2 ** 40 }), plainBytes: uint }),
  { minLength: 1, maxLength: 6 },
);

const small = fc.nat({ max: 255 });
const certificate: fc.Arbitrary<CertificateRecord> = fc.record({
  code: text,
  providers: small,
  domains: fc.record({
    level: fc.constantFrom('provider' as const, 'account' as const, 'region' as const),
    count: small,
  }),
  tolerates: small,
  worst_case: fc.array(text, { maxLength: 4 }),
});

export const rootInput: fc.Arbitrary<RootInput> = code.chain((params) =>
  fc.record({
    objectId: fixed(16),
    code: fc.constant(params),
    compression: fc.constantFrom('none', 'zstd', 'lz77-rle'),
    chunkLen: fc.nat({ max: 2 ** 25 }),
    chunks: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    providers: fc.array(providerId, { maxLength: 5 }),
    certificate,
    body: fc.oneof(
      segment(params).map((one) => ({ depth: 0 as const, segment: one })),
      fc.record({ depth: fc.integer({ min: 1, max: 4 }), links }),
    ),
    secrets: fc.record({
      name: fc.option(text, { nil: undefined }),
      contentType: text,
      size: uint,
      plainHash: fixed(32),
      createdMs: uint,
    }),
  }),
);

export const pointer: fc.Arbitrary<Pointer> = fc.record({
  name: text,
  version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  manifest: fc.option(address, { nil: undefined }),
  writer: fixed(16),
  ancestors: fc.integer({ min: 0, max: 16 }).chain((count) => fixed(16 * count)),
  size: uint,
  createdMs: uint,
});

export const OBJECT_KEY: Uint8Array = new Uint8Array(32).fill(0x0b);
export const WRAP_KEY: Uint8Array = new Uint8Array(32).fill(0x3a);

export const encodeSample = (input: RootInput): Uint8Array =>
  encodeRoot(input, OBJECT_KEY, WRAP_KEY, fixedRandom('sample'));

/** One root of each form, small enough to change everywhere. */
export function sampleRoots(): { readonly whole: Uint8Array; readonly linked: Uint8Array } {
  const id = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
  const digest = (byte: number): BlobAddress => addressOf(new Uint8Array(32).fill(byte));
  const base = {
    objectId: id,
    compression: 'none',
    chunkLen: 1024,
    providers: ['p1', 'p2'],
    certificate: {
      code: 'reed-solomon(2+1)',
      providers: 2,
      domains: { level: 'provider', count: 2 },
      tolerates: 1,
      worst_case: ['p1', 'p2'],
    },
    secrets: { name: 'a', contentType: 'text/plain', size: 9, plainHash: new Uint8Array(32), createdMs: 1 },
  } as const;
  const whole = encodeSample({
    ...base,
    code: { algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 },
    chunks: 1,
    body: {
      depth: 0,
      segment: {
        firstChunk: 0,
        chunkLens: [1024],
        tags: new Uint8Array(16).fill(1),
        shards: new Uint8Array(96).fill(2),
        packs: [
          { provider: 'p1', address: digest(3), length: 1024 },
          { provider: 'p2', address: digest(4), length: 512 },
        ],
        places: Uint8Array.of(0, 1, 0),
        sealed: new Uint8Array(50).fill(5),
      },
    },
  });
  const linked = encodeSample({
    ...base,
    code: DEFAULT_LRC,
    chunks: 3,
    body: {
      depth: 1,
      links: [
        { cid: new Cid(digest(6)), chunks: 2, plainBytes: 5 },
        { cid: new Cid(digest(7)), chunks: 1, plainBytes: 4 },
      ],
    },
  });
  return { whole, linked };
}
