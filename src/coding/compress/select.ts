import type { Acceleration } from '../../core/acceleration.ts';
import type { Codec, CodecName } from './codec.ts';
import { noneCodec } from './none.ts';

/** The implementation of a codec that is fastest here. @param level the codec's own scale. */
export async function selectCodec(
  name: CodecName,
  level: number,
  acceleration: Acceleration,
): Promise<Codec> {
  switch (name) {
    case 'none':
      return noneCodec;
    case 'zstd':
      return (await import('./zstd.ts')).selectZstd(level, acceleration);
    case 'deflate':
      return acceleration.native
        ? (await import('./deflate-node.ts')).nodeDeflate(level)
        : (await import('./deflate.ts')).portableDeflate(level);
    case 'rle':
      return (await import('./rle.ts')).rleCodec;
    case 'lz77-rle':
      return (await import('./lz77-rle.ts')).lz77RleCodec;
  }
}
