import type { Acceleration } from '../../core/acceleration.ts';
import { type OnUnfit, WRONG_BYTES } from '../../core/fitness.ts';
import type { Codec, CodecName } from './codec.ts';
import { codesRight } from './known.ts';
import { noneCodec } from './none.ts';

/**
 * The implementation of a codec that is fastest here and reads and writes the right bytes.
 * @param level the codec's own scale.
 * @param onUnfit told of implementations that do not.
 */
export async function selectCodec(
  name: CodecName,
  level: number,
  acceleration: Acceleration,
  onUnfit?: OnUnfit,
): Promise<Codec> {
  switch (name) {
    case 'none':
      return noneCodec;
    case 'zstd': {
      const zstd = await import('./zstd.ts');
      const natives = acceleration.native ? zstd.nativeZstd(level) : [];
      return natives.find((codec) => isFit(codec, onUnfit)) ?? zstd.portableZstd(level);
    }
    case 'deflate': {
      const native = acceleration.native ? (await import('./deflate-node.ts')).nodeDeflate(level) : undefined;
      if (native !== undefined && isFit(native, onUnfit)) return native;
      return (await import('./deflate.ts')).portableDeflate(level);
    }
    case 'rle':
      return (await import('./rle.ts')).rleCodec;
    case 'lz77-rle':
      return (await import('./lz77-rle.ts')).lz77RleCodec;
  }
}

function isFit(codec: Codec, onUnfit?: OnUnfit): boolean {
  try {
    if (codesRight(codec)) return true;
  } catch {
    // As wrong as other bytes.
  }
  onUnfit?.(codec.name, codec.implementation, WRONG_BYTES);
  return false;
}
