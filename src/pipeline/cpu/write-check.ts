import { chunkAad } from '../../coding/chunk-cipher.ts';
import { CODEC_IDS, type Codec } from '../../coding/compress/codec.ts';
import type { Coder } from '../../coding/erasure/coder.ts';
import { parityHolds } from '../../coding/erasure/parity-check.ts';
import { equalBytes } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { EncodeJob, EncodeResult } from './jobs.ts';
import type { Primitives } from './primitives.ts';

/** Coders of this thread whose first parity was right. */
const proven = new WeakSet<Coder>();

/** What one chunk became, and where its shards stand. */
export interface Encoded extends Omit<EncodeResult, 'spent'> {
  readonly offsets: readonly number[];
}

/** @throws HoldfastError `Corrupt`, code `kernel_fault`, when the compressed bytes do not give back the plaintext. */
export function checkCompressed(
  compressed: Uint8Array,
  plain: Uint8Array,
  codec: Codec,
  primitives: Primitives,
): void {
  const back = decompressed(compressed, plain.length, codec, primitives);
  if (Buffer.compare(back, plain) !== 0) {
    throw kernelFault(`${codec.name} (${codec.implementation})`, 'what it compressed gives other bytes back');
  }
}

/** As much of the check as the job asks for. A coder's first parity is looked at in any case: it is newly compiled. */
export async function checkEncoded(job: EncodeJob, encoded: Encoded, primitives: Primitives): Promise<void> {
  if (job.check === 'none') return;
  const coder = await primitives.coder(job.code);
  const goesBack = job.check !== 'compression';
  if (goesBack || !proven.has(coder)) checkParity(coder, job, encoded, primitives);
  proven.add(coder);
  if (goesBack) await checkWayBack(coder, job, encoded, primitives);
}

function checkParity(
  { code, kernel }: Coder,
  { seed }: EncodeJob,
  { offsets, shardLength }: Encoded,
  primitives: Primitives,
): void {
  if (parityHolds(code, primitives.memory.buffer, offsets, shardLength, seed)) return;
  throw kernelFault(`the erasure kernel (${kernel.name})`, 'parity does not belong to the data');
}

/**
 * Goes the way back from the shards to the plaintext as it was read: with the other cipher, and the other hash if asked,
 * where there is another, so that what is wrong in one of them is not right in both.
 * @throws HoldfastError `Corrupt`, code `kernel_fault`.
 */
async function checkWayBack(
  { code }: Coder,
  job: EncodeJob,
  { codec, storedLength, shardLength, tag, digests, offsets }: Encoded,
  primitives: Primitives,
): Promise<void> {
  const [blake3, aead, unpacker] = await Promise.all([
    job.check === 'twice' ? primitives.second.blake3(offsets.length * shardLength) : primitives.blake3,
    primitives.second.aead(code.dataShards * shardLength),
    primitives.codecById(codec),
  ]);
  // Nothing below waits: scratch memory is this job's only until another one runs.
  const shards = offsets.map((offset) => primitives.memory.subarray(offset, offset + shardLength));
  const right = shards.every((shard, i) =>
    equalBytes(blake3.hash(shard), digests.subarray(32 * i, 32 * i + 32)),
  );
  if (!right) throw kernelFault(`blake3 (${primitives.blake3.name})`, 'a shard has another digest');
  const frame = primitives.scratch(code.dataShards * shardLength).subarray(0, code.dataShards * shardLength);
  const aad = chunkAad({ ...job, codec });
  const cipher = `chacha20-poly1305 (${primitives.aead.name})`;
  attempt(cipher, 'what it encrypted does not authenticate', () =>
    aead.open(job.key, aad, shards.slice(0, code.dataShards), tag, frame),
  );
  const stored = frame.subarray(0, storedLength);
  const plain =
    codec === CODEC_IDS.none ? stored : decompressed(stored, job.plainLength, unpacker, primitives);
  if (!equalBytes(blake3.hash(plain), job.plainHash)) {
    throw kernelFault('the memory or the compressor', 'a chunk does not give back the bytes that were read');
  }
}

function decompressed(stored: Uint8Array, length: number, codec: Codec, primitives: Primitives): Uint8Array {
  return attempt(`${codec.name} (${codec.implementation})`, 'what it compressed cannot be decompressed', () =>
    codec.decompress(stored, length, primitives.scratch(length, 'check')),
  );
}

function attempt<T>(who: string, what: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw kernelFault(who, what, cause);
  }
}

/** This machine computed something wrong: the bytes are not anyone's fault who stores or sends them. */
export function kernelFault(who: string, what: string, cause?: unknown): HoldfastError {
  return new HoldfastError('Corrupt', `${who} computed wrong bytes on this machine: ${what}`, {
    code: 'kernel_fault',
    hint: 'Nothing was stored. Try again; if it comes back, set HOLDFAST_NATIVE=off, and test the memory of this machine.',
    cause,
  });
}
