import { entryOf } from '../core/maps.ts';
import type { ServiceCache, ServiceMetrics } from './ports.ts';
import type { Recorder } from './recorder.ts';

/** Counts that change with every request; added up here, and recorded when somebody looks. */
export interface ServiceTally extends ServiceMetrics {
  /** Records what has been added up. */
  settle(): void;
}

/** Latencies are histograms, which cannot be added to in bulk: they wait here in lists of this length. */
const MAX_WAITING = 1024;

/** What services answer when it is their fault, or their storage's. */
const SERVER_ERRORS = ['500', '502', '503', '504', '507'] as const;

interface CacheTally {
  hits: number;
  misses: number;
  bytes: number;
}

interface RouteTally {
  readonly codes: Map<number, number>;
  readonly seconds: number[];
}

/** A figure that is none would spoil those it is added to. */
const counted = (bytes: number): number => (bytes > 0 && bytes < Number.POSITIVE_INFINITY ? bytes : 0);

export function createServiceTally(record: Recorder): ServiceTally {
  const routes = new Map<string, RouteTally>();
  const caches = new Map<ServiceCache, CacheTally>();
  const sums = { bytesIn: 0, bytesOut: 0 };
  let inflight = 0;

  const routeOf = (route: string): RouteTally =>
    entryOf(routes, route, () => ({ codes: new Map(), seconds: [] }));
  const cacheOf = (which: ServiceCache): CacheTally =>
    entryOf(caches, which, () => ({ hits: 0, misses: 0, bytes: 0 }));
  const recordSeconds = (route: string, seconds: number[]): void => {
    for (const value of seconds) record('latency_seconds', value, { route });
    seconds.length = 0;
  };

  return {
    declare({ routes: patterns, rejections, readDenials, integrity }) {
      for (const route of patterns) {
        for (const code of SERVER_ERRORS) record('requests_total', 0, { route, code });
      }
      for (const reason of rejections) record('rejected_total', 0, { reason });
      for (const reason of readDenials) record('read_denied_total', 0, { reason });
      for (const reason of integrity) record('integrity_fail_total', 0, { reason });
    },
    request(route, code, seconds) {
      const { codes, seconds: waiting } = routeOf(route);
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (waiting.push(seconds) >= MAX_WAITING) recordSeconds(route, waiting);
    },
    bytesIn(bytes) {
      sums.bytesIn += counted(bytes);
    },
    bytesOut(bytes) {
      sums.bytesOut += counted(bytes);
    },
    inflight(count) {
      inflight = count;
    },
    cache(which, hit) {
      const tally = cacheOf(which);
      if (hit) tally.hits++;
      else tally.misses++;
    },
    cacheBytes(which, bytes) {
      cacheOf(which).bytes = bytes;
    },
    rejected: (reason) => record('rejected_total', 1, { reason }),
    readDenied: (reason) => record('read_denied_total', 1, { reason }),
    integrityFail: (reason) => record('integrity_fail_total', 1, { reason }),
    settle() {
      for (const [route, { codes, seconds }] of routes) {
        for (const [code, count] of codes) record('requests_total', count, { route, code: String(code) });
        codes.clear();
        recordSeconds(route, seconds);
      }
      record('bytes_in_total', sums.bytesIn);
      record('bytes_out_total', sums.bytesOut);
      Object.assign(sums, { bytesIn: 0, bytesOut: 0 });
      record('inflight', inflight);
      for (const [cache, tally] of caches) {
        record('cache_hits_total', tally.hits, { cache });
        record('cache_misses_total', tally.misses, { cache });
        record('cache_bytes', tally.bytes, { cache });
        Object.assign(tally, { hits: 0, misses: 0 });
      }
    },
  };
}
