const MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const RAW = 0;
const RLE = 1;
const BLOCK = 128 * 1024;

/** Header of a frame (RFC 8878, 3.1.1.1) that states its size and window. */
function header(size: number, windowLog: number): Buffer {
  const out = Buffer.alloc(10);
  out[0] = 0xc0;
  out[1] = (windowLog - 10) << 3;
  out.writeBigUInt64LE(BigInt(size), 2);
  return Buffer.concat([MAGIC, out]);
}

function block(type: number, size: number, last: boolean, content: Uint8Array): Buffer {
  const head = Buffer.alloc(3);
  head.writeUIntLE((size << 3) | (type << 1) | (last ? 1 : 0), 0, 3);
  return Buffer.concat([head, content]);
}

function frame(
  size: number,
  windowLog: number,
  type: number,
  contentOf: (from: number, to: number) => Uint8Array,
): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at < size; at += BLOCK) {
    const end = Math.min(size, at + BLOCK);
    blocks.push(block(type, end - at, end === size, contentOf(at, end)));
  }
  return Buffer.concat([header(size, windowLog), ...blocks]);
}

/** `size` zero bytes: four bytes for every 128 KiB. */
export const zstdOfOneByte = (size: number, windowLog = 17): Buffer =>
  frame(size, windowLog, RLE, () => Buffer.alloc(1));

/** Bytes as they are. */
export const zstdStored = (bytes: Uint8Array): Buffer =>
  frame(bytes.length, 17, RAW, (from, to) => bytes.subarray(from, to));
