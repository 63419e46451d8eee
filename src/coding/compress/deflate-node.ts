import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { type Codec, corruptCompressed } from './codec.ts';

/** Raw DEFLATE (RFC 1951) by zlib. */
export function nodeDeflate(level: number): Codec {
  return {
    id: 1,
    name: 'deflate',
    implementation: 'node:zlib',
    compress: (plain) => deflateRawSync(plain, { level: Math.min(9, Math.max(0, Math.round(level))) }),
    decompress(compressed, maxLength) {
      try {
        return inflateRawSync(compressed, { maxOutputLength: Math.max(1, maxLength) });
      } catch (cause) {
        throw corruptCompressed('deflate', cause);
      }
    },
  };
}
