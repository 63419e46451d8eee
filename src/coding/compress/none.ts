import { type Codec, corruptCompressed } from './codec.ts';

export const noneCodec: Codec = {
  id: 0,
  name: 'none',
  implementation: 'copy',
  compress: (plain) => plain,
  decompress(stored, maxLength) {
    if (stored.length > maxLength) throw corruptCompressed('none');
    return stored;
  },
};
