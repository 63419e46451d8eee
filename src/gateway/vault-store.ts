import { HoldfastError } from '../core/errors.ts';
import { createHedge } from '../core/hedge.ts';
import { BLOB_READS, hedgedAfter } from '../core/straggler-policies.ts';
import { openRoot } from '../manifest/root.ts';
import { DamageLog } from '../object/damage.ts';
import type { OpenedManifest } from '../object/readable-segments.ts';
import type { ReadContext } from '../pipeline/context.ts';
import { possibleTakers } from '../pipeline/put/plan.ts';
import { wasReplaced } from '../records/behind.ts';
import { loadRoot, readRecords } from '../records/manifests.ts';
import { resolveReference } from '../records/names.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import { createChunkCache, createDecodings } from './chunk-cache.ts';
import { createMemoryGate } from './memory-gate.ts';
import { type ObjectReadParts, readObject } from './object-read.ts';
import { createOpenedManifests } from './opened-manifests.ts';
import { createOutlook } from './outlook.ts';
import { type ObjectStore, SHARD_IS_WRONG, type StoredObject } from './store.ts';
import { createStoredBlobs } from './stored-blobs.ts';

export interface VaultStoreOptions {
  readonly context: ReadContext;
  /** Without a key nothing can be opened. */
  readonly sealed: boolean;
  /** Finds out who answers. */
  readonly probe: (signal: AbortSignal) => Promise<unknown>;
  /** Looks whether what repair moves can be counted. */
  readonly readPace: (signal: AbortSignal) => Promise<unknown>;
  readonly firstAnswered: () => string | undefined;
  readonly metrics: ServiceMetrics;
  readonly caches: CacheBudgets;
}

/** Memory of each cache in bytes; 0 keeps nothing. */
export interface CacheBudgets {
  /** For opened manifests. */
  readonly manifestBytes: number;
  /** For chunks of plaintext. */
  readonly chunkBytes: number;
}

/** The share of the arena that reads may have. The rest is for what is too small to be counted. */
const ARENA_SHARE = 7 / 8;
const MAX_WAITING = 256;
const PARK_AFTER_MS = 250;

/** Reads the objects of a vault through the pipeline. */
export function createVaultStore(options: VaultStoreOptions): ObjectStore {
  const { context, sealed } = options;
  const parts = readParts(options);
  return {
    sealed,
    open(reference, signal) {
      if (sealed) throw sealedError();
      return openObject(parts, reference, signal);
    },
    manifestBlock: (address, signal) => loadRoot(context, address, new DamageLog(), { signal }),
    openBlob: createStoredBlobs({
      providers: () => context.directory.all(),
      blake3: context.blake3,
      reads: createHedge(context.clock, hedgedAfter(BLOB_READS, context.policy.hedgeAfterMs)),
      metrics: options.metrics,
    }),
    outlook: createOutlook({
      policy: context.policy,
      clock: context.clock,
      providers: () => context.directory.all(),
      respondsToProbe: (id) => context.directory.isResponsive(id),
      eligible: () => possibleTakers(context.directory),
      probe: options.probe,
      readState: (signal) => readRecords(context, { signal }),
      readPace: options.readPace,
    }),
    firstAnswered: options.firstAnswered,
  };
}

async function openObject(
  parts: ObjectReadParts,
  reference: string,
  signal: AbortSignal,
): Promise<StoredObject> {
  const opened = await openManifestOf(parts, reference, signal);
  const { manifest } = opened;
  const { record, secrets } = opened.root;
  const { size, contentType } = secrets;
  return {
    manifest,
    size,
    contentType,
    providers: record.providers,
    read: (range, stop) => readObject(parts, opened, range, stop),
  };
}

/** Versions of a name that one read follows, each of them replaced while it was being opened. */
const MAX_FOLLOWED = 16;

/** Looked up every time, and again if the version was replaced meanwhile. */
async function openManifestOf(
  { context, manifests }: ObjectReadParts,
  reference: string,
  signal: AbortSignal,
): Promise<OpenedManifest> {
  for (let followed = 1; ; followed++) {
    const { manifest, pointer } = await resolveReference(context, reference, { signal });
    try {
      return await manifests.open(manifest, signal);
    } catch (error) {
      if (pointer === undefined || followed >= MAX_FOLLOWED) throw error;
      if (!(await wasReplaced(context, pointer, error, signal))) throw error;
    }
  }
}

function readParts({ context, caches, metrics }: VaultStoreOptions): ObjectReadParts {
  const chunks = createChunkCache(caches.chunkBytes, (bytes) => metrics.cacheBytes('chunks', bytes));
  return {
    context,
    chunks,
    decodings: createDecodings(),
    gate: createMemoryGate({
      clock: context.clock,
      capacityBytes: context.arena.capacity * ARENA_SHARE,
      maxWaiting: MAX_WAITING,
      parkAfterMs: PARK_AFTER_MS,
    }),
    manifests: createOpenedManifests({
      clock: context.clock,
      maxBytes: caches.manifestBytes,
      async load(address, signal) {
        const block = await loadRoot(context, address, new DamageLog(), { signal });
        return { root: openRoot(block, context.keys.wrap), bytes: block.length };
      },
      onLookup: (hit) => caches.manifestBytes > 0 && metrics.cache('manifests', hit),
      onUsed: (bytes) => metrics.cacheBytes('manifests', bytes),
      onGone: chunks.forget,
    }),
    onCorrupt: () => metrics.integrityFail(SHARD_IS_WRONG),
    onLookup: (hit) => caches.chunkBytes > 0 && metrics.cache('chunks', hit),
  };
}

const sealedError = (): HoldfastError =>
  new HoldfastError('PermissionDenied', 'this gateway has no key: it serves public parts only', {
    code: 'sealed',
    hint: 'Ask a gateway that was started with the vault key.',
  });
