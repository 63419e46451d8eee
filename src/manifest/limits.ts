/** Version of every node written today. */
export const NODE_VERSION: number = 1;
/** Nodes are under 1 MiB, so that any of them can be fetched, checked and cached whole. */
export const MAX_NODE_BYTES: number = 1024 * 1024;
/** The most chunks of a segment; {@link maxSegmentChunks} says how many the writer may gather. */
export const MAX_SEGMENT_CHUNKS: number = 512;
/** Pack indices are one byte. */
export const MAX_PACKS: number = 255;
/** Longest ciphertext of a chunk. */
export const MAX_CHUNK_BYTES: number = 32 * 1024 * 1024;
/** Links in one node before another level is added. */
export const MAX_LINKS: number = 8192;
export const MAX_DEPTH: number = 4;

/** Room in a node for what does not grow with its chunks: packs, provider ids, certificate. */
const FIXED_BYTES = 448 * 1024;
/** Of a chunk beside its shards: tag, lengths, salt, codec. */
const CHUNK_BYTES = 100;

/** Chunks that a segment may gather so that its node stays under {@link MAX_NODE_BYTES}: 33 bytes a shard. */
export const maxSegmentChunks = (totalShards: number): number =>
  Math.min(MAX_SEGMENT_CHUNKS, Math.floor((MAX_NODE_BYTES - FIXED_BYTES) / (33 * totalShards + CHUNK_BYTES)));
