import { crc32, deflateSync } from 'node:zlib';

/** crc32 came to node:zlib in 20.15 and 22.2. */
const chunk = (type, data) => {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
};

/**
 * A true-colour PNG (RFC 2083).
 * @param {number} size width and height in pixels
 * @param {(x: number, y: number) => [number, number, number]} pixel
 */
export function encodePng(size, pixel) {
  const rows = Buffer.alloc(size * (1 + 3 * size));
  for (let y = 0, at = 0; y < size; y++) {
    at++; // each row starts with its filter, 0 for none
    for (let x = 0; x < size; x++, at += 3) rows.set(pixel(x, y), at);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 2], 8); // eight bits a sample, red green blue
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const parts = [chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([signature, ...parts]);
}
