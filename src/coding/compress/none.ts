import { CODEC_IDS, type Codec, corruptCompressed } from './codec.ts';

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
