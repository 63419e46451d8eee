const KIB = 1024;

/** The bounds of every service, in bytes and milliseconds. */
export interface HttpLimits {
  /** Reads and writes at once. */
  readonly maxInflight: number;
  /** Requests a second of all clients together; undefined: not limited. */
  readonly maxRps: number | undefined;
  /** Requests a second of one client address; undefined: not limited. */
  readonly maxClientRps: number | undefined;
  /** Reads a second of one path; undefined: not limited. */
  readonly maxPathRps: number | undefined;
  readonly maxConnections: number;
  /** Connections of one client address; undefined: not limited. Connections over a Unix socket do not count. */
  readonly maxClientConnections: number | undefined;
  /** Requests that wait on a connection for those before them. */
  readonly maxPipelined: number;
  readonly maxHeaderBytes: number;
  /** From the first byte of a request to the end of its header. */
  readonly headersMs: number;
  /** From the first byte of a request to the end of its body. */
  readonly requestMs: number;
  /** How long nothing may move on a connection in mid-message. */
  readonly idleMs: number;
  /** How long a connection may wait between two requests. */
  readonly keepAliveMs: number;
  /** How long a peer may waste in mid-message, and the bytes that it must move to be given more. */
  readonly graceMs: number;
  readonly minBytesPerSecond: number;
  /** How long requests under way may take once the service stops. */
  readonly drainMs: number;
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  maxInflight: 512,
  maxRps: undefined,
  maxClientRps: undefined,
  maxPathRps: undefined,
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
