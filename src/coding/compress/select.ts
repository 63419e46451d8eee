import type { Acceleration } from '../../core/acceleration.ts';
import { type OnUnfit, WRONG_BYTES } from '../../core/acceleration.ts';
import { countingBytes } from '../../core/bytes.ts';
import { type Codec, type CodecName, noneCodec } from './codec.ts';

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
      const deflate = await import('./deflate.ts');
      const native = acceleration.native ? deflate.nodeDeflate(level) : undefined;
      return native !== undefined && isFit(native, onUnfit) ? native : deflate.portableDeflate(level);
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

/** Few symbols, most of them one of some: entropy coding. */
function skewed(length: number): Uint8Array {
  const out = new Uint8Array(length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    out[i] = Math.clz32(state | 1) * 3 + ((state >>> 8) & 1);
  }
  return out;
}

/**
 * Streams made by the portable implementations, in Base64: of 65,537 periodic bytes and of 1,025 skewed ones. A test
 * reads them with every implementation.
 */
const KNOWN_STREAMS: Readonly<Partial<Record<CodecName, { periodic: string; skewed: string }>>> = {
  zstd: {
    periodic:
      'KLUv/WAB/y0IALQPAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+' +
      'P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5fYGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn+AgYKDhIWGh4iJ' +
      'iouMjY6PkJGSk5SVlpeYmZqbnJ2en6ChoqOkpaanqKmqq6ytrq+wsbKztLW2t7i5uru8vb6/wMHCw8TFxsfIycrLzM3Oz9DR0tPU' +
      '1dbX2Nna29zd3t/g4eLj5OXm5+jp6uvs7e7v8PHy8/T19vf4+foBAPuBv183Ug==',
    skewed:
      'KLUv/WABA90OAMamRZ53BmBVBEAyAiAhABABAAAAOwBCAD8AzjBlrJmPyxFrrmHnss7eQlTxChmumsyr8DF0yHjCJ7+P1wItBvMo' +
      'I5YpitMYmqei0tLMdP8pMghUX1TrkWWzPUIGh3ke00mQyPhlYWN58jkYegYBTAJ/CF8AFQgZLOB/nIQ+ZnxbtwEcCV8Yw0tSSbDR' +
      's7J2E9KpWSjkmQQDWBkF8tEHI+OEwwnASZJMakYN0ugnEXlSImx8or0cWhOVzSti9SsRUyoQBCqRk8zKq9EgmPsLml+0LCDcHYs6' +
      'kxsQxgwpk7uB/EQPwhTAJ4NgnDkcv4xtZhKToeDMMyfhHmgG6oF6QYTcopffDCEEa5J/bMIxmUL3xC0V6csYmGoBX6jhJEIOIWJK' +
      'SJOkkuEgQmIIs3oQ0A4HmUv9X28vvqyHjSaijTp1KPWi05GfDonwzmSt0E2BOMDpPsdhCWVmD48eyAZ4dA+R8MjHZ0lhqp3xkUEQ' +
      'RioSqbeFN3Gy+UCNQ8bIk9PqtFtoOHdlu5mIr3pSDK7bqeJuJaCkuNVzu7X6gP7qdOgTFEBQM9ckaKmeUQzRnR+QJJ6IaDThIr3c' +
      'FHaztLmbgFm0g3MJQgx3hmT+Ew8Dr+JG1Zj/8IPvJbWx/AE=',
  },
  deflate: {
    periodic:
      '7c+zYSAAAADAt23btm3btm3btm3btm3bNlKlzRA3wgULHiJkqNBhwoYLHyFipMhRokaLHiNmrNhx4saLnyBhosRJkiZLniJlqtRp' +
      '0qZLnyFjpsxZsmbLniNnrtx58ubLX6BgocJFihYrXqJkqdJlypYrX6FipcpVqlarXqNmrdp16tar36Bho8ZNmjZr3qJlq9Zt2rZr' +
      '36Fjp85dunbr3qNnr959+vbrP2DgoMFDhg4bPmLkqNFjxo4bP2HipMlTpk6bPmPmrNlz5s6bv2DhosVLli5bvmLlqtVr1q5bv2Hj' +
      'ps1btm7bvmPnrt179u7bf+DgocNHjh47fuLkqdNnzp47f+HipctXrl67fuPmrdt37t67/+Dho8dPnj57/uLlq9dv3r57/+Hjp89f' +
      'vn77/uPnr99//v77H4COjo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6O' +
      'jo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6O' +
      'jo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6O' +
      'jo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo6Ojo4elB4I',
    skewed:
      'LZPdquUwCIUVRUlIaWlhYK7m/d9yvuU5m+7SaOL60YSVu/G7TpWls2CZ3REeivMqAt6xdyiVrJUq054sX82n9708Lg/3TQn3Sjci' +
      'Orprm23Cy8h0JVG3XYsVIavl6dmCIlFuaX7AyqC28dF8d1DH8rRVtnN2QYmdFgtK4MKSqt4enVcIQw8U/QzdKbVfCXB/rO1DjTtL' +
      '4wVIw9AWcMPKE1h+f5TMu9Zl9pGytXldSkV+cYavaAC8bwiNuJCCJLdJDa0XdLypikf2SJyMzw3jPnbgB1ITlgVFNV8y3Le5SFFk' +
      '/SUTag09Q/1LAWwFTZYlnKgKLGRkv5qJBDBo0zQWj7CfDRQQSfGm888bOLkK0viBM4jHMl/12/1pmxxJdXoEEi31g9qxJS2jyI+3' +
      'eJkPIcIBCCm4o64QD5FAgCw5gedsUD3CHUW3IPfx37YgUn1DH2R2yy+Li6D5B28Nq4Rrwv7JJzVbPduYMwNEAJZop5qGAdkjS55q' +
      'P1NVAp4pmJml7EJjgj6ASXfGQxdznvBrLXmxm4MAYaSilGYcadyru3SDcnfc6iGpBS3Gd0xse8/gl/xMUt2gMM5KMy0wh26qmmxr' +
      '+c0sQ5ULCstPspH8bLDZzXB63TqlKyQ/IMowzvDODHD1VLp503ua83MrOQO42X8=',
  },
};

/** Around the ends of blocks: the longest of zstd is 128 KiB. */
const LENGTHS = [0, 1, 1023, 1024, 1025, 4096, 65_537, 131_073];

/**
 * Whether a codec reads known streams, and reads back what it writes. It costs a few milliseconds.
 * @internal Tests give it implementations that are wrong.
 */
export function codesRight(codec: Codec): boolean {
  const known = KNOWN_STREAMS[codec.name];
  const [long, short] = [countingBytes(LENGTHS.at(-1)!, 251), skewed(1025)];
  const same = (read: Uint8Array, from: Uint8Array, length: number): boolean =>
    Buffer.compare(read, from.subarray(0, length)) === 0;
  const reads = (stream: string, plain: Uint8Array, length: number): boolean =>
    same(codec.decompress(Buffer.from(stream, 'base64'), length), plain, length);
  if (known !== undefined) {
    if (!reads(known.periodic, long, 65_537) || !reads(known.skewed, short, 1025)) return false;
  }
  return LENGTHS.every((length) => {
    const plain = length > short.length ? long : short;
    return same(codec.decompress(codec.compress(plain.subarray(0, length)).slice(), length), plain, length);
  });
}
