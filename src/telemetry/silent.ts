import type { Metrics } from './ports.ts';

const nothing = (): void => {};

/** Records nothing: for commands that expose no metrics, and for library callers that want none. */
export const silentMetrics: Metrics = {
  pipeline: {
    putObject: nothing,
    putChunk: nothing,
    chunkSize: nothing,
    objectChunkSizes: nothing,
    putEta: nothing,
    survival: nothing,
    stage: nothing,
  },
  providers: { providerHealth: nothing, providerFailures: nothing },
  engines: { engineInfo: nothing },
  services: {
    declare: nothing,
    request: nothing,
    bytesIn: nothing,
    bytesOut: nothing,
    inflight: nothing,
    rejected: nothing,
    readDenied: nothing,
    integrityFail: nothing,
    cache: nothing,
    cacheBytes: nothing,
  },
};
