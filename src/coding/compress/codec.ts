import { HoldfastError } from '../../core/errors.ts';

/** A compressor of single chunks. Ids and formats are for ever: what was written stays readable. */
export interface Codec {
  readonly id: number;
  readonly name: CodecName;
  /** Shown by `--version --verbose`. */
  readonly implementation: string;
  /** @param into memory that the result may be put into, where it saves the codec fresh memory. */
  compress(plain: Uint8Array, into?: Uint8Array): Uint8Array;
  /**
   * @param maxLength the caller's bound on the output; never exceeded, whatever the input claims.
   * @throws HoldfastError `Corrupt` for malformed input or longer output.
   */
  decompress(compressed: Uint8Array, maxLength: number, into?: Uint8Array): Uint8Array;
}

export const CODEC_IDS = { none: 0, deflate: 1, zstd: 2, rle: 3, 'lz77-rle': 4 } as const;
export type CodecName = keyof typeof CODEC_IDS;

export function codecName(id: number): CodecName {
  for (const [name, known] of Object.entries(CODEC_IDS)) if (known === id) return name as CodecName;
  throw new HoldfastError('Corrupt', `unknown codec id ${id}`, { code: 'unknown_codec' });
}

export function corruptCompressed(codec: CodecName, cause?: unknown): HoldfastError {
  return new HoldfastError('Corrupt', `malformed ${codec} data`, { code: 'malformed_compression', cause });
}

export const noneCodec: Codec = {
  id: CODEC_IDS.none,
  name: 'none',
  implementation: 'copy',
  compress: (plain) => plain,
  decompress(stored, maxLength) {
    if (stored.length > maxLength) throw corruptCompressed('none');
    return stored;
  },
};
