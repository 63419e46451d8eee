import type { Acceleration } from '../acceleration.ts';
import { type OnUnfit, WRONG_BYTES } from '../acceleration.ts';
import { countingBytes, toHex } from '../bytes.ts';
import type { Blake3 } from './blake3.ts';

/** The fastest implementation that loads here and gives the right bytes. @param onUnfit told of those that do not. */
export async function selectBlake3(acceleration: Acceleration, onUnfit?: OnUnfit): Promise<Blake3> {
  if (acceleration.native) {
    const native = await load(async () => (await import('./native.ts')).nativeBlake3, onUnfit);
    if (native !== undefined) return native;
  }
  return selectPortable(acceleration, onUnfit);
}

/** What checks the work of the one in use: another implementation, where there is one. */
export async function secondBlake3(first: Blake3, acceleration: Acceleration): Promise<Blake3> {
  const second = await selectPortable(acceleration);
  return second.name === first.name ? (await import('./portable.ts')).portableBlake3 : second;
}

/** From here on a call into native code is worth its while: below, it takes longer than the hash. */
const LONG_BYTES = 4_096;

/** The fastest for each message, of records and of what is made of thousands of them. */
export async function selectBlake3ByLength(
  acceleration: Acceleration,
  onUnfit?: OnUnfit,
): Promise<Pick<Blake3, 'hash'>> {
  const [long, short] = await Promise.all([
    selectBlake3(acceleration, onUnfit),
    selectPortable(acceleration, onUnfit),
  ]);
  return { hash: (data) => (data.length < LONG_BYTES ? short : long).hash(data) };
}

async function selectPortable(acceleration: Acceleration, onUnfit?: OnUnfit): Promise<Blake3> {
  if (acceleration.wasm) {
    const wasm = await load(async () => (await import('./wasm.ts')).wasmBlake3, onUnfit);
    if (wasm !== undefined) return wasm;
  }
  return (await import('./portable.ts')).portableBlake3;
}

async function load(get: () => Promise<Blake3>, onUnfit?: OnUnfit): Promise<Blake3 | undefined> {
  let candidate: Blake3;
  try {
    candidate = await get();
  } catch {
    return undefined; // not installed for this platform: the next one does
  }
  if (isRight(candidate)) return candidate;
  onUnfit?.('blake3', candidate.name, WRONG_BYTES);
  return undefined;
}

function isRight(candidate: Blake3): boolean {
  try {
    return hashesRight(candidate);
  } catch {
    return false;
  }
}

/**
 * BLAKE3 of the first so many bytes of 0, 1 … 250, 0, 1 …, as in the official vectors. Lengths stand where a code path
 * begins or ends: blocks of 64 bytes, chunks of 1024, the batches of 4, 8 and 16 chunks of the vector units, and the
 * 64 chunks that one implementation pools. A test compares them with the portable one.
 * @internal Tests compare it with the reference.
 */
export const KNOWN_HASHES: readonly (readonly [length: number, digest: string])[] = [
  [0, 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'],
  [1, '2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213'],
  [64, '4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98'],
  [1023, '10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11'],
  [1024, '42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7'],
  [1025, 'd00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444'],
  [2048, 'e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a'],
  [4095, '0cdbdde4d038f0509412a5d1c3b1fb767d5e8c8a0eb2aae963fd36d1f544791a'],
  [4096, '015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969'],
  [4097, '9b4052b38f1c5fc8b1f9ff7ac7b27cd242487b3d890d15c96a1c25b8aa0fb995'],
  [8193, 'bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b'],
  [16_385, '1dabe216be2578830263b049de1639f39f05a4da616b9b78c7a5e4e41662fd1f'],
  [65_535, 'de7d0f4c044c56f56e0c5f7ab247be9491c4520e8688f0f0d25406f46fdfbd03'],
  [65_536, '68d647e619a930e7b1082f74f334b0c65a315725569bdc123f0ee11881717bfe'],
  [65_537, '7c99f9840a73dfcb6e5bfe4ff6d1558acab7e015640790c26411818bdbe17eca'],
  [131_073, 'f837d4254d24ba3d50fe3743d46e4af6db5f5d6ab0469197d94e7ba1e906c4d8'],
];

/** Where pieces of {@link KNOWN_HASHES}' inputs are cut: inside blocks, inside chunks and between them. */
const CUTS = [1, 1000, 4096, 70_000];

/**
 * Whether an implementation gives the known digests, of whole inputs and of pieces. It costs about a millisecond.
 * @internal Tests give it implementations that are wrong.
 */
export function hashesRight(blake3: Blake3): boolean {
  const input = countingBytes(KNOWN_HASHES.at(-1)![0], 251);
  return KNOWN_HASHES.every(([length, digest]) => {
    const bytes = input.subarray(0, length);
    const edges = [0, ...CUTS.filter((cut) => cut < length), length];
    const parts = edges.slice(1).map((end, i) => bytes.subarray(edges[i], end));
    const hasher = blake3.createHasher();
    for (const part of parts) {
      hasher.digest();
      hasher.update(part);
    }
    const digests = [blake3.hash(bytes), blake3.hashParts(parts), hasher.digest()];
    return digests.every((found) => toHex(found) === digest);
  });
}
