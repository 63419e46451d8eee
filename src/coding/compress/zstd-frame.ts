import { corruptCompressed } from './codec.ts';

const MAGIC = 0xfd2fb528;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;

/**
 * The decompressed size of data that is one zstd frame (RFC 8878, 3.1.1) and nothing behind it. Our frames always
 * state their size, so a decoder that allocates what frame headers ask for is bounded before it runs.
 * @throws HoldfastError `Corrupt` when the frame is malformed, cut, states no size, or is not alone.
 */
export function zstdContentSize(frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (frame.length < 6 || view.getUint32(0, true) !== MAGIC) throw corruptCompressed('zstd');
  const descriptor = frame[4]!;
  const singleSegment = (descriptor & 0x20) !== 0;
  const checksumBytes = (descriptor & 4) === 0 ? 0 : 4;
  const sizeFlag = descriptor >> 6;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const at = 5 + (singleSegment ? 0 : 1) + dictionaryBytes;
  const sizeBytes = sizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << sizeFlag;
  if (sizeBytes === 0 || at + sizeBytes > frame.length) throw corruptCompressed('zstd');
  if (blocksEnd(view, at + sizeBytes) + checksumBytes !== frame.length) throw corruptCompressed('zstd');
  if (sizeBytes === 1) return frame[at]!;
  if (sizeBytes === 2) return view.getUint16(at, true) + 256;
  if (sizeBytes === 4) return view.getUint32(at, true);
  return Number(view.getBigUint64(at, true));
}

/** The offset behind the last block (RFC 8878, 3.1.1.2). */
function blocksEnd(view: DataView, from: number): number {
  let at = from;
  for (let last = false; !last; ) {
    if (at + 3 > view.byteLength) throw corruptCompressed('zstd');
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const type = (header >> 1) & 3;
    if (type === RESERVED_BLOCK) throw corruptCompressed('zstd');
    last = (header & 1) === 1;
    at += 3 + (type === RLE_BLOCK ? 1 : header >> 3);
  }
  return at;
}
