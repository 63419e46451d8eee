import { DEFAULT_HTTP_LIMITS, type HttpLimits } from '../http/limits.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Every bound of a node. Bytes, milliseconds. */
export interface NodeLimits extends HttpLimits {
  /** Longest body of a client that has shown a token or come over a private plane; inflated, if it is compressed. */
  readonly maxBodyBytes: number;
  /** Longest body of anyone else. */
  readonly maxForeignBodyBytes: number;
  /** Whole blobs kept in memory, and the longest of them. */
  readonly hotBytes: number;
  readonly hotBlobBytes: number;
  /** Memory for windows of long blobs on their way out. */
  readonly windowBytes: number;
  /** Memory for bodies as they come, and the longest that is taken whole; others pass through in batches. */
  readonly uploadBytes: number;
  readonly uploadBodyBytes: number;
  /** Memory for what is known of verified blobs. */
  readonly proofBytes: number;
  /** Free space below which no blob is taken. */
  readonly minFreeBytes: number;
}

export const DEFAULT_LIMITS: NodeLimits = {
  ...DEFAULT_HTTP_LIMITS,
  maxBodyBytes: 64 * MIB,
  maxForeignBodyBytes: MIB,
  hotBytes: 64 * MIB,
  hotBlobBytes: 16 * MIB,
  windowBytes: 32 * MIB,
  uploadBytes: 64 * MIB,
  uploadBodyBytes: 2 * MIB,
  proofBytes: 32 * MIB,
  minFreeBytes: 32 * MIB,
};
