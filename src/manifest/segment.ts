import { addressOf, type BlobAddress, digestOf } from '../core/address.ts';
import { concatBytes, u64 } from '../core/bytes.ts';
import { entryOf } from '../core/maps.ts';
import type { RandomBytes } from '../core/random.ts';
import { seal, unseal } from '../keys/seal.ts';
import { decodeNode, encodeNode } from './dag-cbor.ts';
import { Fields } from './fields.ts';
import { MAX_CHUNK_BYTES, MAX_PACKS, MAX_SEGMENT_CHUNKS, NODE_VERSION } from './limits.ts';

/** One blob at one provider. Its shards stand back to back: see {@link SegmentRecord.places}. */
export interface PackRecord {
  readonly provider: string;
  readonly address: BlobAddress;
  readonly length: number;
}

/** The public part of a segment: enough to verify and repair its shards, never to read them. */
export interface SegmentRecord {
  /** Index of the first chunk in the object. */
  readonly firstChunk: number;
  /** Bytes of ciphertext per chunk: a multiple of the shard length times the data shards. */
  readonly chunkLens: readonly number[];
  /** Poly1305 tags, 16 bytes a chunk. */
  readonly tags: Uint8Array;
  /** BLAKE3 of every shard, 32 bytes each, by chunk and then by shard. */
  readonly shards: Uint8Array;
  readonly packs: readonly PackRecord[];
  /**
   * For every (chunk, shard) the index of its pack, one byte each. Within a pack the data shards stand first,
   * then the others, each part ordered by chunk and then by shard, without gaps.
   */
  readonly places: Uint8Array;
  readonly sealed: Uint8Array;
}

/** What a segment says of its chunks to readers only. */
export interface SegmentSecrets {
  /** Provider whose key each chunk is under. */
  readonly leads: readonly string[];
  readonly plainLens: readonly number[];
  /** Bytes after compression, before padding. */
  readonly storedLens: readonly number[];
  /** Codec ids. */
  readonly codecs: Uint8Array;
  /** 16 bytes a chunk. */
  readonly salts: Uint8Array;
}

export function segmentFields(segment: SegmentRecord): Record<string, unknown> {
  return {
    first_chunk: segment.firstChunk,
    chunk_lens: [...segment.chunkLens],
    tags: segment.tags,
    shards: segment.shards,
    packs: segment.packs.map(packFields),
    places: segment.places,
    sealed: segment.sealed,
  };
}

export const packFields = ({ provider, address, length }: PackRecord): unknown[] => [
  provider,
  digestOf(address),
  length,
];

/** @param totalShards shards a chunk. */
export function readSegmentFields(fields: Fields, totalShards: number): SegmentRecord {
  const firstChunk = fields.uint('first_chunk');
  const chunkLens = fields.uints('chunk_lens', MAX_SEGMENT_CHUNKS, MAX_CHUNK_BYTES);
  const chunks = chunkLens.length;
  if (chunks === 0) throw fields.bad('chunk_lens', 'at least one chunk');
  const tags = fields.bytes('tags', 16 * chunks);
  const shards = fields.bytes('shards', 32 * totalShards * chunks);
  const packs = fields.list('packs', MAX_PACKS, (value) => readPack(value, fields));
  const places = fields.bytes('places', totalShards * chunks);
  if (places.some((pack) => pack >= packs.length)) throw fields.bad('places', 'indices of packs');
  const sealed = fields.bytes('sealed');
  return { firstChunk, chunkLens, tags, shards, packs, places, sealed };
}

/** What {@link packFields} wrote. @param fields what it stands in, for an error. */
export function readPack(value: unknown, fields: Fields): PackRecord {
  if (!Array.isArray(value) || value.length !== 3) throw fields.bad('packs', '[provider, digest, length]');
  const [provider, digest, length] = value as [unknown, unknown, unknown];
  if (typeof provider !== 'string' || provider.length === 0 || provider.length > 256) {
    throw fields.bad('packs', 'a provider id');
  }
  if (!(digest instanceof Uint8Array) || digest.length !== 32) throw fields.bad('packs', 'a 32-byte digest');
  if (!Number.isSafeInteger(length) || (length as number) < 0) throw fields.bad('packs', 'a length');
  return { provider, address: addressOf(digest), length: length as number };
}

/** A segment as a node of its own; one that is alone stands inside its root instead. */
export function encodeSegmentNode(objectId: Uint8Array, segment: SegmentRecord): Uint8Array {
  return encodeNode({
    version: NODE_VERSION,
    node: 'segment',
    object_id: objectId,
    ...segmentFields(segment),
  });
}

/** @throws HoldfastError `Corrupt`, also for a node of another object. */
export function decodeSegmentNode(
  bytes: Uint8Array,
  objectId: Uint8Array,
  totalShards: number,
): SegmentRecord {
  const fields = new Fields(decodeNode(bytes), 'segment node');
  fields.uint('version', NODE_VERSION, NODE_VERSION);
  fields.oneOf('node', ['segment']);
  const id = fields.bytes('object_id', 16);
  if (!id.every((byte, i) => byte === objectId[i])) throw fields.bad('object_id', 'the object of the root');
  const segment = readSegmentFields(fields, totalShards);
  fields.end();
  return segment;
}

export function sealSegment(
  key: Uint8Array,
  objectId: Uint8Array,
  firstChunk: number,
  secrets: SegmentSecrets,
  random: RandomBytes,
): Uint8Array {
  const byLead = new Map<string, { provider: string; chunk_indices: number[]; chunk_lens: number[] }>();
  secrets.leads.forEach((provider, i) => {
    const entry = entryOf(byLead, provider, () => ({ provider, chunk_indices: [], chunk_lens: [] }));
    entry.chunk_indices.push(firstChunk + i);
    entry.chunk_lens.push(secrets.plainLens[i]!);
  });
  const plain = encodeNode({
    provider_chunks: [...byLead.values()],
    stored_lens: [...secrets.storedLens],
    codecs: secrets.codecs,
    salts: secrets.salts,
  });
  return seal(key, segmentAad(objectId, firstChunk), plain, random);
}

/** @throws HoldfastError `Corrupt` when it was not sealed for this object and place. */
export function unsealSegment(key: Uint8Array, objectId: Uint8Array, segment: SegmentRecord): SegmentSecrets {
  const chunks = segment.chunkLens.length;
  const plain = unseal(key, segmentAad(objectId, segment.firstChunk), segment.sealed);
  const fields = new Fields(decodeNode(plain), 'sealed segment');
  const leads: string[] = new Array(chunks);
  const plainLens: number[] = new Array(chunks);
  let seen = 0;
  fields.list('provider_chunks', MAX_PACKS, (value) => {
    const entry = new Fields(value, 'provider_chunks');
    const provider = entry.text('provider', 256);
    const indices = entry.uints('chunk_indices', chunks);
    const lengths = entry.uints('chunk_lens', chunks, MAX_CHUNK_BYTES);
    entry.end();
    if (indices.length !== lengths.length) throw entry.bad('chunk_lens', 'one length for each index');
    indices.forEach((index, i) => {
      const at = index - segment.firstChunk;
      if (at < 0 || at >= chunks || leads[at] !== undefined)
        throw entry.bad('chunk_indices', 'each chunk once');
      leads[at] = provider;
      plainLens[at] = lengths[i]!;
      seen++;
    });
  });
  if (seen !== chunks) throw fields.bad('provider_chunks', 'every chunk of the segment');
  const storedLens = fields.uints('stored_lens', chunks, MAX_CHUNK_BYTES);
  if (storedLens.length !== chunks || storedLens.some((length, i) => length > segment.chunkLens[i]!)) {
    throw fields.bad('stored_lens', 'one per chunk, within its ciphertext');
  }
  const codecs = fields.bytes('codecs', chunks);
  const salts = fields.bytes('salts', 16 * chunks);
  fields.end();
  return { leads, plainLens, storedLens, codecs, salts };
}

const segmentAad = (objectId: Uint8Array, firstChunk: number): Uint8Array =>
  concatBytes(Uint8Array.of(NODE_VERSION), objectId, u64(firstChunk));
