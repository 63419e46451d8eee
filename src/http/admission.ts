import type { Clock } from '../core/clock.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import { HttpProblem } from './problem.ts';

/** `control` requests (health, metrics) are never turned away: they are how overload is seen. */
export type Load = 'read' | 'write' | 'control';

interface AdmissionLimits {
  /** Reads and writes at once. */
  readonly maxInflight: number;
  /** Requests a second of all clients together; undefined: not limited. */
  readonly maxRps: number | undefined;
  /** Requests a second of one client address; undefined: not limited. */
  readonly maxClientRps: number | undefined;
  /** Reads a second of one path; undefined: not limited. */
  readonly maxPathRps?: number | undefined;
}

export interface Admission {
  /**
   * Lets a request in or turns it away. @param path of a read. @returns what the caller calls when the request is over; only the first call counts.
   * @throws HttpProblem 429 or 503, with `Retry-After`.
   */
  enter(load: Load, client: string, path?: string): () => void;
  /** Counts a request that was refused for its credentials, so that guessing is bounded too. @throws HttpProblem 429 */
  countRefused(load: Load, client: string): void;
  /** Makes the answer to one request more than may wait on its connection. */
  tooManyWaiting(load: Load): HttpProblem;
  /** False while a write of the client would be turned away, or one just was. */
  takesWrites(client: string): boolean;
  readonly inflight: number;
}

/** Why a service turns requests and connections away before any work: the values of the metric's label. */
export const REJECTIONS = [
  'max_connections',
  'client_connections',
  'max_inflight',
  'max_rps',
  'client_rps',
  'path_rps',
  'pipelined',
  'idle_timeout',
  'request_timeout',
  'malformed',
  'unauthorized',
] as const;

export type Rejection = (typeof REJECTIONS)[number];

/** The rejections that a single request meets. The metrics count those of reads apart. */
type Shedding = Extract<Rejection, 'max_inflight' | 'max_rps' | 'client_rps' | 'path_rps' | 'pipelined'>;

/** Why a service refuses reads, likewise. */
export const READ_DENIALS: readonly (Shedding | 'unauthorized' | 'forbidden')[] = [
  'max_inflight',
  'max_rps',
  'client_rps',
  'path_rps',
  'pipelined',
  'unauthorized',
  'forbidden',
];

/** This share of every limit is kept for reads, so that they suffer last. */
const READ_RESERVE = 0.25;
/** Clients, and paths, that are told apart; those of late. */
const MAX_BUCKETS = 10_000;
/** How long the readiness shows that a write was turned away. */
const REMEMBER_MS = 3_000;

interface AdmissionParts {
  readonly clock: Clock;
  readonly metrics: ServiceMetrics;
}

export const createAdmission = (limits: AdmissionLimits, parts: AdmissionParts): Admission =>
  new RequestAdmission(limits, parts);

class RequestAdmission implements Admission {
  readonly #clock: Clock;
  readonly #metrics: ServiceMetrics;
  readonly #maxInflight: number;
  readonly #maxWrites: number;
  readonly #total: BucketRate | undefined;
  readonly #totalBucket: Bucket | undefined;
  readonly #perClient: BucketRate | undefined;
  readonly #clients = new Map<string, Bucket>();
  readonly #perPath: BucketRate | undefined;
  readonly #paths = new Map<string, Bucket>();
  #inflight = 0;
  #lastShedMs = Number.NEGATIVE_INFINITY;

  constructor(limits: AdmissionLimits, { clock, metrics }: AdmissionParts) {
    const { maxInflight, maxRps, maxClientRps, maxPathRps } = limits;
    this.#clock = clock;
    this.#metrics = metrics;
    this.#maxInflight = maxInflight;
    this.#maxWrites = Math.max(1, Math.floor(maxInflight * (1 - READ_RESERVE)));
    this.#total = rateOf(maxRps);
    this.#totalBucket = this.#total && fullBucket(this.#total, clock.monotonic());
    this.#perClient = rateOf(maxClientRps);
    this.#perPath = rateOf(maxPathRps);
  }

  get inflight(): number {
    return this.#inflight;
  }

  enter(load: Load, client: string, path?: string): () => void {
    if (load === 'control') return () => {};
    if (this.#inflight >= (load === 'write' ? this.#maxWrites : this.#maxInflight))
      throw this.#shed(load, 503, 'max_inflight', 1000);
    this.#checkRates(load, client, path);
    this.#metrics.inflight(++this.#inflight);
    let inside = true;
    return () => {
      if (inside) this.#metrics.inflight(--this.#inflight);
      inside = false;
    };
  }

  countRefused(load: Load, client: string): void {
    this.#checkClient(load, client, this.#clock.monotonic());
  }

  tooManyWaiting(load: Load): HttpProblem {
    return this.#shed(load, 503, 'pipelined', 1000, true);
  }

  takesWrites(client: string): boolean {
    const now = this.#clock.monotonic();
    const roomy = this.#inflight < this.#maxWrites && now - this.#lastShedMs > REMEMBER_MS;
    return roomy && !this.#writeWouldWait(client, now);
  }

  #checkRates(load: Load, client: string, path: string | undefined): void {
    const now = this.#clock.monotonic();
    this.#checkClient(load, client, now);
    this.#checkPath(load, path, now);
    if (this.#total === undefined || this.#totalBucket === undefined) return;
    const waitMs = takeToken(this.#totalBucket, this.#total, now, reserveOf(load, this.#total));
    if (waitMs > 0) throw this.#shed(load, 429, 'max_rps', waitMs);
  }

  #checkClient(load: Load, client: string, now: number): void {
    if (this.#perClient === undefined) return;
    const bucket = bucketOf(this.#clients, client, this.#perClient, now);
    const waitMs = takeToken(bucket, this.#perClient, now);
    if (waitMs > 0) throw this.#shed(load, 429, 'client_rps', waitMs);
  }

  #checkPath(load: Load, path: string | undefined, now: number): void {
    if (this.#perPath === undefined || path === undefined) return;
    const waitMs = takeToken(bucketOf(this.#paths, path, this.#perPath, now), this.#perPath, now);
    if (waitMs > 0) throw this.#shed(load, 429, 'path_rps', waitMs);
  }

  /** Finds what `checkRates` would find for a write, and takes nothing. */
  #writeWouldWait(client: string, now: number): boolean {
    const own = this.#clients.get(client);
    if (this.#perClient !== undefined && own !== undefined && !hasToken(own, this.#perClient, now))
      return true;
    if (this.#total === undefined || this.#totalBucket === undefined) return false;
    return !hasToken(this.#totalBucket, this.#total, now, reserveOf('write', this.#total));
  }

  #shed(load: Load, status: 429 | 503, reason: Shedding, waitMs: number, close = false): HttpProblem {
    this.#metrics.rejected(reason);
    if (load === 'read') this.#metrics.readDenied(reason);
    // The limits that one client reaches by itself say nothing to the others.
    else if (reason === 'max_inflight' || reason === 'max_rps') this.#lastShedMs = this.#clock.monotonic();
    const [problem, message] =
      status === 429
        ? (['RateLimited', 'too many requests'] as const)
        : (['Unavailable', 'this server is serving as many requests as it can'] as const);
    const headers = { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))) };
    const denied = load === 'read' ? { denied: reason } : {};
    return new HttpProblem(status, problem, message, { headers, close, shed: true, ...denied });
  }
}

const reserveOf = (load: Load, { burst }: BucketRate): number =>
  load === 'write' ? burst * READ_RESERVE : 0;

/** A second's worth at once, and never less than one request even with the reserve kept. */
function rateOf(perSecond: number | undefined): BucketRate | undefined {
  return perSecond === undefined ? undefined : { perSecond, burst: Math.max(2, perSecond) };
}

/** The bucket of a key, which becomes the last to be forgotten: the order of the map is the order of use. */
function bucketOf(buckets: Map<string, Bucket>, key: string, rate: BucketRate, nowMs: number): Bucket {
  const bucket = buckets.get(key) ?? fullBucket(rate, nowMs);
  buckets.delete(key);
  buckets.set(key, bucket);
  if (buckets.size > MAX_BUCKETS) {
    for (const oldest of buckets.keys()) {
      buckets.delete(oldest);
      break;
    }
  }
  return bucket;
}

/** A token bucket: `perSecond` requests on average, `burst` at once. */
interface Bucket {
  level: number;
  updatedMs: number;
}

interface BucketRate {
  readonly perSecond: number;
  readonly burst: number;
}

const fullBucket = ({ burst }: BucketRate, nowMs: number): Bucket => ({
  level: burst,
  updatedMs: nowMs,
});

/**
 * Takes one token if more than `reserve` are there.
 * @returns 0 when it was taken, else the milliseconds until it could be.
 */
function takeToken(bucket: Bucket, rate: BucketRate, nowMs: number, reserve = 0): number {
  refill(bucket, rate, nowMs);
  const missing = reserve + 1 - bucket.level;
  if (missing <= 0) {
    bucket.level -= 1;
    return 0;
  }
  return (1000 * missing) / rate.perSecond;
}

/** Tells whether a token could be taken. */
function hasToken(bucket: Bucket, rate: BucketRate, nowMs: number, reserve = 0): boolean {
  refill(bucket, rate, nowMs);
  return bucket.level >= reserve + 1;
}

function refill(bucket: Bucket, { perSecond, burst }: BucketRate, nowMs: number): void {
  const elapsedMs = Math.max(0, nowMs - bucket.updatedMs);
  bucket.level = Math.min(burst, bucket.level + (elapsedMs * perSecond) / 1000);
  bucket.updatedMs = nowMs;
}

/** Counts the connections of each client, up to a bound. */
export interface ClientCounts {
  /** @returns what gives the place back, once; undefined when the client has as many as it may. */
  enter(client: string): (() => void) | undefined;
}

/** @param max undefined: not limited. */
export function createClientCounts(max: number | undefined): ClientCounts {
  const counts = new Map<string, number>();
  return {
    enter(client) {
      const taken = counts.get(client) ?? 0;
      if (max !== undefined && taken >= max) return undefined;
      counts.set(client, taken + 1);
      return () => {
        const left = (counts.get(client) ?? 1) - 1;
        if (left > 0) counts.set(client, left);
        else counts.delete(client);
      };
    },
  };
}
