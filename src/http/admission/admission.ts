import type { Clock } from '../../core/clock.ts';
import type { ServiceMetrics } from '../../telemetry/index.ts';
import { HttpProblem } from '../message/problem.ts';
import { type Bucket, type BucketRate, fullBucket, takeToken } from './bucket.ts';

/** `control` requests (health, metrics) are never turned away: they are how overload is seen. */
export type Load = 'read' | 'write' | 'control';

export interface AdmissionLimits {
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
  /** False while writes are, or just were, turned away. */
  takesWrites(): boolean;
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

  const shed = (load: Load, status: 429 | 503, reason: string, waitMs: number): HttpProblem => {
    metrics.rejected(reason);
    if (load === 'read') metrics.readDenied(reason);
    else lastShedMs = clock.monotonic();
    const [problem, message] =
      status === 429
        ? (['RateLimited', 'too many requests'] as const)
        : (['Unavailable', 'as many requests as are taken here are being served'] as const);
    const headers = { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))) };
    return new HttpProblem(status, problem, message, { headers, shed: true });
  };

  const checkRates = (load: Load, client: string): void => {
    const now = clock.monotonic();
    if (perClient !== undefined) {
      const waitMs = takeToken(bucketOf(clients, client, perClient, now), perClient, now);
      if (waitMs > 0) throw shed(load, 429, 'client_rps', waitMs);
    }
    if (total === undefined || totalBucket === undefined) return;
    const reserve = load === 'write' ? total.burst * READ_RESERVE : 0;
    const waitMs = takeToken(totalBucket, total, now, reserve);
    if (waitMs > 0) throw shed(load, 429, 'max_rps', waitMs);
  };

  return {
    get inflight() {
      return inflight;
    },
    takesWrites: () => inflight < maxWrites && clock.monotonic() - lastShedMs > REMEMBER_MS,
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

/** The part of an address that one client holds: of IPv6 it can have 2^64 by itself. */
export function clientOf(remoteAddress: string | undefined): string {
  if (remoteAddress === undefined) return 'local';
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
