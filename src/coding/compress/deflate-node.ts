import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { CODEC_IDS, type Codec, corruptCompressed } from './codec.ts';

/** Raw DEFLATE (RFC 1951) by zlib. */
export function nodeDeflate(level: number): Codec {
  return {
    id: CODEC_IDS.deflate,
    name: 'deflate',
    implementation: 'node:zlib',
    compress: (plain) => deflateRawSync(plain, { level: Math.min(9, Math.max(0, Math.round(level))) }),
    decompress(compressed, maxLength) {
      let plain: Uint8Array;
      try {
        plain = inflateRawSync(compressed, { maxOutputLength: Math.max(1, maxLength) });
      } catch (cause) {
        throw corruptCompressed('deflate', cause);
      }
      if (plain.length > maxLength) throw corruptCompressed('deflate');
      return plain;
    },
  };
}
