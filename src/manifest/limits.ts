/** Version of every node written today. */
export const NODE_VERSION: number = 1;
/** Nodes are under 1 MiB, so that any of them can be fetched, checked and cached whole. */
export const MAX_NODE_BYTES: number = 1024 * 1024;
/** A segment of this many chunks of 27 shards stays well under {@link MAX_NODE_BYTES}. */
export const MAX_SEGMENT_CHUNKS: number = 512;
/** Pack indices are one byte. */
export const MAX_PACKS: number = 255;
/** Room over the 4 MiB of the ladder for padding to whole shards. */
export const MAX_CHUNK_BYTES: number = 8 * 1024 * 1024;
/** Links in one node before another level is added. */
export const MAX_LINKS: number = 8192;
export const MAX_DEPTH: number = 4;
