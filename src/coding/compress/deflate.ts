import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { deflateSync, inflateSync } from 'fflate';
import { CODEC_IDS, type Codec, corruptCompressed } from './codec.ts';

type Level = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;

/** Raw DEFLATE (RFC 1951) by fflate: the reference, and the browser's path. */
export function portableDeflate(level: number): Codec {
  return {
    id: CODEC_IDS.deflate,
    name: 'deflate',
    implementation: 'fflate',
    compress: (plain) => deflateSync(plain, { level: clamp(level) }),
    decompress(compressed, maxLength) {
      // One spare byte: a fixed output buffer is cut silently, so longer output shows as a full one.
      const out = new Uint8Array(maxLength + 1);
      let plain: Uint8Array;
      try {
        plain = inflateSync(compressed, { out });
      } catch (cause) {
        throw corruptCompressed('deflate', cause);
      }
      if (plain.length > maxLength) throw corruptCompressed('deflate');
      return plain;
    },
  };
}

const clamp = (level: number): Level => Math.min(9, Math.max(0, Math.round(level))) as Level;

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
