// Writes bodies that a node has to refuse into the folder that is named: see README.md.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const folder = process.argv[2];
if (folder === undefined) throw new Error('name a folder to write into');

const MIB = 2 ** 20;
const bomb = gzipSync(Buffer.alloc(50 * MIB), { level: 9 });

/** A zstd frame of so many zeros: blocks that each say one byte and how often, at most 128 KiB. See RFC 8878. */
function zstdOfZeros(bytes) {
  const BLOCK = 128 * 1024;
  const header = Buffer.alloc(9);
  header.writeUInt32LE(0xfd2fb528, 0);
  header[4] = 0b1010_0000; // the length in four bytes, one segment
  header.writeUInt32LE(bytes, 5);
  const blocks = [];
  for (let left = bytes; left > 0; left -= BLOCK) {
    const size = Math.min(left, BLOCK);
    const block = Buffer.alloc(4);
    block.writeUIntLE((size << 3) | (1 << 1) | (left <= BLOCK ? 1 : 0), 0, 3);
    blocks.push(block);
  }
  return Buffer.concat([header, ...blocks]);
}

const bodies = {
  'bomb.gz': bomb,
  'bomb.zst': zstdOfZeros(4 * MIB),
  'nested.gz': gzipSync(bomb, { level: 0 }),
  'broken.gz': bomb.subarray(0, 20),
  'text.txt': 'This is no gzip.\n',
  'other.bin': 'Other bytes than the address says.\n',
};

mkdirSync(folder, { recursive: true });
for (const [name, bytes] of Object.entries(bodies)) {
  writeFileSync(join(folder, name), bytes);
  console.log(`${join(folder, name)}: ${bytes.length} bytes`);
}
