const KIB = 1024;
const MIB = 1024 * KIB;

/** Every bound of a node. Bytes, milliseconds. */
export interface NodeLimits {
  /** Reads and writes at once. */
  readonly maxInflight: number;
  /** Requests a second, all clients together; undefined: not limited. */
  readonly maxRps: number | undefined;
  /** Requests a second of one client address; undefined: not limited. */
  readonly maxClientRps: number | undefined;
  /** Longest body of a client that has shown a token or come over a private plane; inflated, if it is compressed. */
  readonly maxBodyBytes: number;
  /** Longest body of anyone else. */
  readonly maxForeignBodyBytes: number;
  readonly maxConnections: number;
  readonly maxHeaderBytes: number;
  /** From the first byte of a request to the end of its header. */
  readonly headersMs: number;
  /** From the first byte of a request to the end of its body. */
  readonly requestMs: number;
  /** A connection on which nothing moves in mid-message. */
  readonly idleMs: number;
  /** A connection between two requests. */
  readonly keepAliveMs: number;
  /** What a peer may waste in mid-message, and what it must move to be given more. */
  readonly graceMs: number;
  readonly minBytesPerSecond: number;
  /** Whole blobs kept in memory, and the longest of them. */
  readonly hotBytes: number;
  readonly hotBlobBytes: number;
  /** Memory for what is known of verified blobs. */
  readonly proofBytes: number;
  /** Free space below which no blob is taken. */
  readonly minFreeBytes: number;
  /** How long requests under way may take once the node stops. */
  readonly drainMs: number;
}

export const DEFAULT_LIMITS: NodeLimits = {
  maxInflight: 512,
  maxRps: undefined,
  maxClientRps: undefined,
  maxBodyBytes: 64 * MIB,
  maxForeignBodyBytes: MIB,
  maxConnections: 8192,
  maxHeaderBytes: 16 * KIB,
  headersMs: 10_000,
  requestMs: 300_000,
  idleMs: 30_000,
  keepAliveMs: 30_000,
  graceMs: 15_000,
  minBytesPerSecond: 16 * KIB,
  hotBytes: 64 * MIB,
  hotBlobBytes: 2 * MIB,
  proofBytes: 32 * MIB,
  minFreeBytes: 32 * MIB,
  drainMs: 30_000,
};
