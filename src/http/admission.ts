import type { Clock } from '../core/clock.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import { HttpProblem } from './problem.ts';

/** `control` requests (health, metrics) are never turned away: they are how overload is seen. */
export type Load = 'read' | 'write' | 'control';

interface AdmissionLimits {
  /** Reads and writes at once. */
  readonly maxInflight: number;
  /** Of all clients together; undefined: not limited. */
  readonly maxRps: number | undefined;
  /** Of one client address; undefined: not limited. */
  readonly maxClientRps: number | undefined;
}

export interface Admission {
  /**
   * Lets a request in or turns it away. @returns what is to be called when the request is over; the first time counts.
   * @throws HttpProblem 429 or 503, with `Retry-After`.
   */
  enter(load: Load, client: string): () => void;
  /** Counts a request that was refused for what it showed, so that guessing is bounded too. @throws HttpProblem 429 */
  countRefused(load: Load, client: string): void;
  /** The answer to one request more than may wait on its connection. */
  tooManyWaiting(load: Load): HttpProblem;
  /** False while a write of the client would be turned away, or one just was. */
  takesWrites(client: string): boolean;
  readonly inflight: number;
}

/** Of every limit this share is kept for reads, so that they are the last to suffer. */
const READ_RESERVE = 0.25;
const MAX_CLIENTS = 10_000;
/** How long a write that was turned away shows in the readiness. */
const REMEMBER_MS = 3_000;

export function createAdmission(
  limits: AdmissionLimits,
  { clock, metrics }: { readonly clock: Clock; readonly metrics: ServiceMetrics },
): Admission {
  const { maxInflight } = limits;
  const maxWrites = Math.max(1, Math.floor(maxInflight * (1 - READ_RESERVE)));
  const total = rateOf(limits.maxRps);
  const perClient = rateOf(limits.maxClientRps);
  const totalBucket = total && fullBucket(total, clock.monotonic());
  const clients = new Map<string, Bucket>();
  let inflight = 0;
  let lastShedMs = Number.NEGATIVE_INFINITY;

  const shed = (
    load: Load,
    status: 429 | 503,
    reason: Shedding,
    waitMs: number,
    close = false,
  ): HttpProblem => {
    metrics.rejected(reason);
    if (load === 'read') metrics.readDenied(reason);
    // What one client brings upon itself says nothing to the others.
    else if (reason === 'max_inflight' || reason === 'max_rps') lastShedMs = clock.monotonic();
    const [problem, message] =
      status === 429
        ? (['RateLimited', 'too many requests'] as const)
        : (['Unavailable', 'as many requests as are taken here are being served'] as const);
    const headers = { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))) };
    return new HttpProblem(status, problem, message, { headers, close, shed: true });
  };

  const checkClient = (load: Load, client: string, now: number): void => {
    if (perClient === undefined) return;
    const waitMs = takeToken(bucketOf(clients, client, perClient, now), perClient, now);
    if (waitMs > 0) throw shed(load, 429, 'client_rps', waitMs);
  };

  const checkRates = (load: Load, client: string): void => {
    const now = clock.monotonic();
    checkClient(load, client, now);
    if (total === undefined || totalBucket === undefined) return;
    const waitMs = takeToken(totalBucket, total, now, reserveOf(load, total));
    if (waitMs > 0) throw shed(load, 429, 'max_rps', waitMs);
  };

  /** As `checkRates` would find it for a write, and takes nothing. */
  const writeWouldWait = (client: string, now: number): boolean => {
    const own = clients.get(client);
    if (perClient !== undefined && own !== undefined && !hasToken(own, perClient, now)) return true;
    if (total === undefined || totalBucket === undefined) return false;
    return !hasToken(totalBucket, total, now, reserveOf('write', total));
  };

  return {
    get inflight() {
      return inflight;
    },
    takesWrites(client) {
      const now = clock.monotonic();
      return inflight < maxWrites && now - lastShedMs > REMEMBER_MS && !writeWouldWait(client, now);
    },
    countRefused: (load, client) => checkClient(load, client, clock.monotonic()),
    tooManyWaiting: (load) => shed(load, 503, 'pipelined', 1000, true),
    enter(load, client) {
      if (load === 'control') return () => {};
      if (inflight >= (load === 'write' ? maxWrites : maxInflight))
        throw shed(load, 503, 'max_inflight', 1000);
      checkRates(load, client);
      metrics.inflight(++inflight);
      let inside = true;
      return () => {
        if (inside) metrics.inflight(--inflight);
        inside = false;
      };
    },
  };
}

const reserveOf = (load: Load, { burst }: BucketRate): number =>
  load === 'write' ? burst * READ_RESERVE : 0;

/** The part of an address that one client holds: of IPv6 it can have 2^64 by itself. */
export function clientOf(remoteAddress: string): string {
  const address = remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress;
  return address.includes(':') ? prefix64(address) : address;
}

function prefix64(address: string): string {
  const [head = '', tail] = address.split('%')[0]!.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - front.length - back.length }, () => '0');
  return `${[...front, ...zeros, ...back].slice(0, 4).join(':')}::/64`;
}

/** A second's worth at once, and never less than one request even with the reserve kept. */
function rateOf(perSecond: number | undefined): BucketRate | undefined {
  return perSecond === undefined ? undefined : { perSecond, burst: Math.max(2, perSecond) };
}

/** Least recently used first; the map is the order. */
function bucketOf(clients: Map<string, Bucket>, client: string, rate: BucketRate, nowMs: number): Bucket {
  const bucket = clients.get(client) ?? fullBucket(rate, nowMs);
  clients.delete(client);
  clients.set(client, bucket);
  if (clients.size > MAX_CLIENTS) {
    for (const oldest of clients.keys()) {
      clients.delete(oldest);
      break;
    }
  }
  return bucket;
}

/** A token bucket: `rate` requests a second on average, `burst` at once. Time comes in as an argument. */
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

/** Whether one could be taken. */
function hasToken(bucket: Bucket, rate: BucketRate, nowMs: number, reserve = 0): boolean {
  refill(bucket, rate, nowMs);
  return bucket.level >= reserve + 1;
}

function refill(bucket: Bucket, { perSecond, burst }: BucketRate, nowMs: number): void {
  const elapsedMs = Math.max(0, nowMs - bucket.updatedMs);
  bucket.level = Math.min(burst, bucket.level + (elapsedMs * perSecond) / 1000);
  bucket.updatedMs = nowMs;
}

/** Counts what each client holds, up to a bound. */
interface ClientCounts {
  /** @returns what gives it back, once; undefined when the client holds as much as it may. */
  enter(client: string): (() => void) | undefined;
}

/** @param max undefined: not limited. */
export function createClientCounts(max: number | undefined): ClientCounts {
  const counts = new Map<string, number>();
  return {
    enter(client) {
      const held = counts.get(client) ?? 0;
      if (max !== undefined && held >= max) return undefined;
      counts.set(client, held + 1);
      return () => {
        const left = (counts.get(client) ?? 1) - 1;
        if (left > 0) counts.set(client, left);
        else counts.delete(client);
      };
    },
  };
}

/** Why requests and connections are turned away before any work: the values of the metric's label. */
export const REJECTIONS = [
  'max_connections',
  'client_connections',
  'max_inflight',
  'max_rps',
  'client_rps',
  'pipelined',
  'idle_timeout',
  'request_timeout',
  'malformed',
  'unauthorized',
] as const;

export type Rejection = (typeof REJECTIONS)[number];

/** Those that a single request meets; of reads they are counted apart. */
type Shedding = Extract<Rejection, 'max_inflight' | 'max_rps' | 'client_rps' | 'pipelined'>;

/** Why reads are refused, likewise. */
export const READ_DENIALS: readonly (Shedding | 'unauthorized' | 'forbidden')[] = [
  'max_inflight',
  'max_rps',
  'client_rps',
  'pipelined',
  'unauthorized',
  'forbidden',
];
