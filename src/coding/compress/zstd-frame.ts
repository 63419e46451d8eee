import { corruptCompressed } from './codec.ts';

const MAGIC = 0xfd2fb528;

/**
 * The decompressed size a zstd frame states (RFC 8878, 3.1.1.1). Our frames always state it, so a decoder that
 * allocates what the header asks for can be bounded before it runs.
 * @throws HoldfastError `Corrupt` when the header is malformed or states no size.
 */
export function zstdContentSize(frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (frame.length < 6 || view.getUint32(0, true) !== MAGIC) throw corruptCompressed('zstd');
  const descriptor = frame[4]!;
  const singleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const at = 5 + (singleSegment ? 0 : 1) + dictionaryBytes;
  const sizeBytes = sizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << sizeFlag;
  if (sizeBytes === 0 || at + sizeBytes > frame.length) throw corruptCompressed('zstd');
  if (sizeBytes === 1) return frame[at]!;
  if (sizeBytes === 2) return view.getUint16(at, true) + 256;
  if (sizeBytes === 4) return view.getUint32(at, true);
  return Number(view.getBigUint64(at, true));
}
