import type { Blake3 } from '../core/b3/blake3.ts';
import { createBufferPool } from '../core/buffer-pool.ts';
import type { Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import { createAdmission, READ_DENIALS, REJECTIONS } from '../http/admission.ts';
import type { Authenticator, PageRules } from '../http/auth.ts';
import { controlRoutes, type Exposition } from '../http/control.ts';
import { at, oneAfter, type Route, readable } from '../http/handle.ts';
import type { ServiceLog } from '../http/log.ts';
import { parseTarget } from '../http/request.ts';
import { createService, type Service } from '../http/service.ts';
import type { BlobAdapter } from '../providers/adapter.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import type { HotLimits } from '../verified/hot-cache.ts';
import { INTEGRITY_REASONS } from '../verified/inspect.ts';
import { mirrorReaders } from '../verified/mirrored-reader.ts';
import { createVerifiedReader, type VerifiedReader, type VerifiedReaderOptions } from '../verified/reader.ts';
import { deleteBlob, getBlob, listBlobs, postBlob, putBlob, repair } from './blobs.ts';
import { DEFAULT_LIMITS, type Inflaters, type NodeContext, type NodeLimits } from './context.ts';
import { createReadiness } from './readiness.ts';
import { Rot } from './rot.ts';
import { deleteSlot, getSlot, listSlots, putSlot } from './slots.ts';

export interface NodeOptions {
  /** Closed by its owner, after the node. */
  readonly adapter: BlobAdapter;
  /** The adapters behind `adapter`, each with every blob. Reads then go to the next when one is slow or wrong. */
  readonly backends?: readonly BlobAdapter[];
  /** After how long the next backend is read too, in milliseconds, while too little was measured to tell. Default 30. */
  readonly hedgeAfterMs?: number | undefined;
  readonly blake3: Blake3;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly auth: Authenticator;
  readonly metrics: ServiceMetrics;
  /** The text of `/metrics`. */
  readonly exposition: Exposition;
  readonly inflaters: Inflaters;
  readonly log: ServiceLog;
  /** See `VerifiedReaderOptions`. Without it the node asks the adapter at every request. */
  readonly peekStat?: VerifiedReaderOptions['peekStat'];
  /** The program's version, for `/version`. */
  readonly version: string;
  readonly limits?: Partial<NodeLimits> | undefined;
  /** See `PageRules`. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Promises that nothing outlives the process: the node refuses a durable adapter. */
  readonly amnesia?: boolean | undefined;
}

/** A storage node: one adapter served over HTTP. See docs/node.md and docs/api/node.openapi.yaml. */
export type StorageNode = Service;

/** @throws HoldfastError `ConfigInvalid` (`amnesia_refused`) */
export function createNode(options: NodeOptions): StorageNode {
  const { adapter, blake3, clock, metrics } = options;
  const amnesia = options.amnesia ?? false;
  if (amnesia && adapter.capabilities.durable) throw amnesiaRefused(adapter.adapterId);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const admission = createAdmission(limits, { clock, metrics });
  metrics.declare({
    routes: ROUTES.map(({ pattern }) => pattern),
    rejections: REJECTIONS,
    readDenials: READ_DENIALS,
    integrity: INTEGRITY_REASONS,
  });
  const hot = { maxBytes: limits.hotBytes, maxBlobBytes: limits.hotBlobBytes };
  const reader = readerOf(options, hot, limits);
  const context: NodeContext = {
    ...options,
    limits,
    reader,
    rot: new Rot(adapter, reader),
    uploadMemory: createBufferPool(limits.uploadBytes),
    readiness: createReadiness({
      adapter,
      clock,
      minFreeBytes: limits.minFreeBytes,
      takesWrites: (client) => admission.takesWrites(client),
      draining: () => service.draining,
    }),
    version: {
      name: 'holdfast-node',
      version: options.version,
      adapter: adapter.adapterId,
      blake3: blake3.name,
      amnesia,
    },
  };
  const pages: PageRules = { allowedHosts: options.allowedHosts ?? [], publicReads: false };
  const service = createService({
    ...options,
    routes: ROUTES,
    context,
    limits,
    admission,
    pages,
    parseTarget,
  });
  return service;
}

const readerOf = (
  options: NodeOptions,
  hot: HotLimits,
  { proofBytes, windowBytes }: NodeLimits,
): VerifiedReader =>
  options.backends === undefined
    ? createVerifiedReader({ ...options, hot, proofBytes, windows: createBufferPool(windowBytes) })
    : mirrorReaders(options.backends, { ...options, hot, proofBytes });

function amnesiaRefused(adapterId: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', `an amnesiac node keeps nothing, and ${adapterId} does`, {
    code: 'amnesia_refused',
    hint: 'Use the memory adapter, or leave amnesia mode.',
  });
}

/**
 * Every path of a node.
 * @internal Tests compare them with the document of the API.
 */
export const ROUTES: readonly Route<NodeContext>[] = [
  {
    pattern: '/o/{address}',
    match: oneAfter('/o/'),
    methods: { ...readable(getBlob), PUT: putBlob, DELETE: deleteBlob },
  },
  at('/o', { ...readable(listBlobs), POST: postBlob }),
  at('/put', { PUT: postBlob, POST: postBlob }),
  {
    pattern: '/slots/{name}',
    match: oneAfter('/slots/'),
    methods: { ...readable(getSlot), PUT: putSlot, DELETE: deleteSlot },
  },
  at('/slots', readable(listSlots)),
  at('/admin/repair', { POST: repair }),
  ...controlRoutes<NodeContext>({ takesWrites: true, strangerScope: 'read' }),
];
