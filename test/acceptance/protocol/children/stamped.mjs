import { createHash } from 'node:crypto';

const POOL = createHash('shake256', { outputLength: 8 * 1024 * 1024 })
  .update('stamped')
  .digest();
/** Each block begins with the version. */
const BLOCK = 512;

/** Bytes of a version from `start` on, that do not compress. What another version has there differs in every block. */
export function stamped(version, start, length) {
  const out = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; ) {
    const from = (start + at) % POOL.length;
    at += POOL.copy(out, at, from, from + length - at);
  }
  const stamp = Buffer.alloc(4);
  stamp.writeUInt32LE(version);
  for (let block = start - (start % BLOCK); block < start + length; block += BLOCK) {
    for (let i = 0; i < 4; i++) {
      const at = block + i - start;
      if (at >= 0 && at < length) out[at] = stamp[i];
    }
  }
  return out;
}

/** The version that all of these bytes are of; undefined: none, or several. There is a whole block in them. */
export function versionOf(bytes, start) {
  const version = Buffer.from(bytes).readUInt32LE((BLOCK - (start % BLOCK)) % BLOCK);
  return Buffer.compare(bytes, stamped(version, start, bytes.length)) === 0 ? version : undefined;
}
