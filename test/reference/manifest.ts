import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { blake3 } from '@noble/hashes/blake3.js';
import { type CborMap, Link, readMap, type Value } from './cbor.ts';

/**
 * A slow reader of objects, written from `docs/format/manifest.md` and sharing nothing with the product: from a vault's
 * root key, a manifest's address and the providers' blobs to the plaintext. It decodes from data shards only.
 */

/** The bytes at an address, wherever they are; undefined when nobody has them. */
export type Blobs = (address: string) => Uint8Array | undefined;
/** Decompression by codec id, for all but 0. */
export type Codecs = Readonly<Record<number, (stored: Uint8Array, plainLength: number) => Uint8Array>>;

export interface ReadObject {
  readonly name: string | undefined;
  readonly contentType: string;
  readonly size: number;
  readonly createdMs: number;
  readonly plain: Uint8Array;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const same = (a: Uint8Array, b: Uint8Array): boolean => hex(a) === hex(b);
const derive = (context: string, ...material: Uint8Array[]): Uint8Array =>
  blake3(Buffer.concat(material), { context: Buffer.from(`holdfast 2026-11 ${context}`) });

function u64le(value: number): Uint8Array {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt(value));
  return out;
}

function unseal(key: Uint8Array, aad: Uint8Array, record: Uint8Array): Uint8Array {
  return xchacha20poly1305(key, record.subarray(0, 24), aad).decrypt(record.subarray(24));
}

function fetchBlob(blobs: Blobs, address: string): Uint8Array {
  const bytes = blobs(address);
  if (bytes === undefined) throw new Error(`${address} is nowhere`);
  if (`b3:${hex(blake3(bytes))}` !== address) throw new Error(`${address} has other bytes`);
  return bytes;
}

/** The manifest that a name stands for, from the content of the slots at one provider. */
export function readPointer(
  vaultRoot: Uint8Array,
  name: string,
  slots: (slot: string) => Uint8Array | undefined,
): {
  readonly version: number;
  readonly manifest: string | null;
  readonly lineage: string;
  readonly hash: string;
} {
  const keyed = (context: string): Uint8Array =>
    blake3(Buffer.from(name), { key: derive(context, vaultRoot) });
  const nameKey = keyed('vault name key');
  const content = slots(hex(keyed('vault slot key')));
  if (content === undefined || !same(content.subarray(0, 32), nameKey)) throw new Error('no such name');
  const aad = Uint8Array.from([1, 0xfc, ...nameKey]);
  const plain = unseal(derive('vault pointer key', vaultRoot), aad, content.subarray(32));
  const pointer = readMap(plain);
  if (pointer.text('name') !== name) throw new Error('a pointer of another name');
  const manifest = pointer.get('manifest');
  const isSecond = pointer.values.get('v') === 2;
  return {
    version: pointer.number('version'),
    manifest: manifest instanceof Link ? manifest.address : null,
    lineage: isSecond
      ? hex(pointer.bytes('writer')) + hex(pointer.bytes('ancestors'))
      : hex(pointer.bytes('previous')),
    hash: hex(blake3(plain)),
  };
}

/** What the chunks of one object have in common. */
interface Opened {
  readonly objectKey: Uint8Array;
  readonly sealedKey: Uint8Array;
  readonly objectId: Uint8Array;
  readonly chunks: number;
  readonly dataShards: number;
  readonly totalShards: number;
  readonly blobs: Blobs;
  readonly codecs: Codecs;
}

export function readObject(
  vaultRoot: Uint8Array,
  manifest: string,
  blobs: Blobs,
  codecs: Codecs,
): ReadObject {
  const root = readMap(fetchBlob(blobs, manifest));
  if (root.number('version') !== 1 || root.text('node') !== 'root') throw new Error('not a root');
  const objectId = root.bytes('object_id');
  const objectKey = openWrap(root, derive('vault wrap key', vaultRoot), objectId);
  if (!same(derive('object key commitment', objectKey), root.bytes('key_commitment'))) {
    throw new Error('another key was committed to');
  }
  const mac = blake3(root.without('mac'), { key: derive('object manifest mac key', objectKey) });
  if (!same(mac, root.bytes('mac'))) throw new Error('the public part was changed');
  const sealedKey = derive('object sealed part key', objectKey);
  const told = readMap(unseal(sealedKey, Uint8Array.from([1, 0xfe, ...objectId]), root.bytes('sealed')));
  const dataShards = root.number('erasure_data');
  const totalShards = dataShards + root.number('erasure_parity');
  const chunks = root.number('chunks');
  const opened = { objectKey, sealedKey, objectId, chunks, dataShards, totalShards, blobs, codecs };
  const plain = Buffer.concat(
    root.number('depth') === 0
      ? readSegment(root.map('segment'), opened)
      : readLinks(root.list('links'), told.list('link_lens'), root.number('depth') - 1, opened),
  );
  if (plain.length !== told.number('size')) throw new Error('another size than the manifest states');
  if (!same(blake3(plain), told.bytes('plain_hash'))) throw new Error('another plaintext hash');
  return {
    name: told.values.has('name') ? told.text('name') : undefined,
    contentType: told.text('content_type'),
    size: told.number('size'),
    createdMs: told.number('created_ms'),
    plain,
  };
}

function openWrap(root: CborMap, wrapKey: Uint8Array, objectId: Uint8Array): Uint8Array {
  for (const wrap of root.list('wraps')) {
    const [recipient, record] = wrap as [string, Uint8Array];
    if (recipient !== 'vault') continue;
    try {
      return unseal(wrapKey, Uint8Array.from([1, 0xfd, ...objectId]), record);
    } catch {
      // for another vault
    }
  }
  throw new Error('not for this vault');
}

function readLinks(links: Value[], lengths: Value[], depth: number, opened: Opened): Uint8Array[] {
  if (links.length !== lengths.length) throw new Error('links and lengths differ in number');
  return links.flatMap((entry, i) => {
    const [link] = entry as [Link, number];
    const node = readMap(fetchBlob(opened.blobs, link.address));
    if (!same(node.bytes('object_id'), opened.objectId)) throw new Error('a node of another object');
    const parts = depth === 0 ? readSegmentNode(node, opened) : readIndexNode(node, depth, opened);
    if (Buffer.concat(parts).length !== lengths[i]) throw new Error('another length than the link states');
    return parts;
  });
}

function readSegmentNode(node: CborMap, opened: Opened): Uint8Array[] {
  if (node.text('node') !== 'segment') throw new Error('not a segment');
  return readSegment(node, opened);
}

function readIndexNode(node: CborMap, depth: number, opened: Opened): Uint8Array[] {
  if (node.text('node') !== 'index') throw new Error('not an index');
  const aad = Uint8Array.from([1, 0xff, ...opened.objectId]);
  const told = readMap(unseal(opened.sealedKey, aad, node.bytes('sealed')));
  return readLinks(node.list('links'), told.list('link_lens'), depth - 1, opened);
}

function readSegment(segment: CborMap, opened: Opened): Uint8Array[] {
  const { objectId, dataShards, totalShards } = opened;
  const first = segment.number('first_chunk');
  const chunkLens = segment.list('chunk_lens') as number[];
  const aad = Uint8Array.from([1, ...objectId, ...u64le(first)]);
  const told = readMap(unseal(opened.sealedKey, aad, segment.bytes('sealed')));
  const leads = new Map<number, { readonly provider: string; readonly plainLength: number }>();
  for (const entry of told.list('provider_chunks') as CborMap[]) {
    const lengths = entry.list('chunk_lens') as number[];
    (entry.list('chunk_indices') as number[]).forEach((index, i) => {
      leads.set(index, { provider: entry.text('provider'), plainLength: lengths[i]! });
    });
  }
  const storedLens = told.list('stored_lens') as number[];
  const shards = shardsOf(segment, chunkLens, opened);
  return chunkLens.map((_, chunk) => {
    const frame = Buffer.concat(
      Array.from({ length: dataShards }, (_, shard) => shards[chunk * totalShards + shard]!),
    );
    return readChunk(frame, opened, {
      index: first + chunk,
      ...leads.get(first + chunk)!,
      salt: told.bytes('salts').subarray(16 * chunk, 16 * chunk + 16),
      tag: segment.bytes('tags').subarray(16 * chunk, 16 * chunk + 16),
      codec: told.bytes('codecs')[chunk]!,
      storedLength: storedLens[chunk]!,
    });
  });
}

/** Cuts the packs of a segment into shards; those whose pack is nowhere are left out. */
function shardsOf(segment: CborMap, chunkLens: readonly number[], opened: Opened): Uint8Array[] {
  const { dataShards, totalShards, blobs } = opened;
  const places = segment.bytes('places');
  const digests = segment.bytes('shards');
  const shards: Uint8Array[] = [];
  segment.list('packs').forEach((entry, pack) => {
    const [, digest, length] = entry as [string, Uint8Array, number];
    const held = [...places.keys()].filter((at) => places[at] === pack);
    const data = held.filter((at) => at % totalShards < dataShards);
    const others = held.filter((at) => at % totalShards >= dataShards);
    const bytes = fetchBlob(blobs, `b3:${hex(digest)}`);
    let offset = 0;
    for (const at of [...data, ...others]) {
      const shardLength = chunkLens[Math.floor(at / totalShards)]! / dataShards;
      const shard = bytes.subarray(offset, offset + shardLength);
      if (!same(blake3(shard), digests.subarray(32 * at, 32 * at + 32))) throw new Error('not that shard');
      shards[at] = shard;
      offset += shardLength;
    }
    if (offset !== length || bytes.length !== length) throw new Error('a pack of another length');
  });
  return shards;
}

interface Chunk {
  readonly index: number;
  readonly provider: string;
  readonly plainLength: number;
  readonly salt: Uint8Array;
  readonly tag: Uint8Array;
  readonly codec: number;
  readonly storedLength: number;
}

function readChunk(frame: Uint8Array, opened: Opened, chunk: Chunk): Uint8Array {
  const providerKey = derive('object provider key', opened.objectKey, Buffer.from(chunk.provider));
  const key = derive('provider chunk key', providerKey, chunk.salt, u64le(chunk.index));
  const last = chunk.index === opened.chunks - 1 ? 1 : 0;
  const aad = Uint8Array.from([
    1,
    ...opened.objectId,
    ...u64le(chunk.index),
    last,
    ...u64le(chunk.plainLength),
    chunk.codec,
  ]);
  const padded = chacha20poly1305(key, new Uint8Array(12), aad).decrypt(Buffer.concat([frame, chunk.tag]));
  const stored = padded.slice(0, chunk.storedLength);
  if (padded.subarray(chunk.storedLength).some((byte) => byte !== 0)) throw new Error('padding is zeros');
  const plain = chunk.codec === 0 ? stored : opened.codecs[chunk.codec]!(stored, chunk.plainLength);
  if (plain.length !== chunk.plainLength) throw new Error('a chunk of another length');
  return plain;
}
