const KIB = 1024;

/** Bounds that every service has. Bytes, milliseconds. */
export interface HttpLimits {
  /** Reads and writes at once. */
  readonly maxInflight: number;
  /** Requests a second, all clients together; undefined: not limited. */
  readonly maxRps: number | undefined;
  /** Requests a second of one client address; undefined: not limited. */
  readonly maxClientRps: number | undefined;
  readonly maxConnections: number;
  /** Of one client address; undefined: not limited. Those over a Unix socket are not counted. */
  readonly maxClientConnections: number | undefined;
  /** Requests that wait on a connection for those before them. */
  readonly maxPipelined: number;
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
  /** How long requests under way may take once the service stops. */
  readonly drainMs: number;
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  maxInflight: 512,
  maxRps: undefined,
  maxClientRps: undefined,
  maxConnections: 8192,
  maxClientConnections: 256,
  maxPipelined: 16,
  maxHeaderBytes: 16 * KIB,
  headersMs: 10_000,
  requestMs: 300_000,
  idleMs: 30_000,
  keepAliveMs: 30_000,
  graceMs: 15_000,
  minBytesPerSecond: 16 * KIB,
  drainMs: 30_000,
};
