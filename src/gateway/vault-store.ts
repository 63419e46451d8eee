import { HoldfastError } from '../core/errors.ts';
import type { ByteRange } from '../http/message/range.ts';
import type { RootRecord } from '../manifest/root.ts';
import { DamageLog } from '../pipeline/damage.ts';
import { getObject } from '../pipeline/get/get.ts';
import { listManifests, loadRoot, openManifest } from '../pipeline/manifests.ts';
import { resolveReference } from '../pipeline/names.ts';
import type { VaultContext } from '../pipeline/ports.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import { createMemoryGate, type MemoryGate } from './memory-gate.ts';
import { type OpenWindow, patientRead } from './patient-read.ts';
import type { ManifestSummary, ObjectStore, ProviderSummary, StoredObject } from './store.ts';
import { createStoredBlobs } from './stored-blobs.ts';

export interface VaultStoreOptions {
  readonly context: VaultContext;
  /** Without a key nothing can be opened. */
  readonly sealed: boolean;
  readonly providers: () => readonly ProviderSummary[];
  readonly firstAnswered: () => string | undefined;
  readonly metrics: ServiceMetrics;
}

/** Of the arena; the rest is for what is too small to be counted. */
const ARENA_SHARE = 7 / 8;
const MAX_WAITING = 256;
const PARK_AFTER_MS = 250;

/** The objects of a vault, read through the pipeline. */
export function createVaultStore(options: VaultStoreOptions): ObjectStore {
  const { context, sealed } = options;
  const gate = createMemoryGate({
    clock: context.clock,
    capacityBytes: context.arena.capacity * ARENA_SHARE,
    maxWaiting: MAX_WAITING,
    parkAfterMs: PARK_AFTER_MS,
  });
  return {
    sealed,
    open(reference, signal) {
      if (sealed) throw sealedError();
      return openObject(context, gate, reference, signal);
    },
    manifestBlock: (address, signal) => loadRoot(context, address, new DamageLog(), { signal }),
    openBlob: createStoredBlobs({
      providers: () => context.directory.all(),
      blake3: context.blake3,
      metrics: options.metrics,
    }),
    async manifests(limit, signal) {
      const found: ManifestSummary[] = [];
      for await (const { address, storedMs, root } of listManifests(context, { limit, signal })) {
        found.push({ manifest: address, storedMs, ...summaryOf(root) });
      }
      return found;
    },
    providers: options.providers,
    firstAnswered: options.firstAnswered,
  };
}

async function openObject(
  context: VaultContext,
  gate: MemoryGate,
  reference: string,
  signal: AbortSignal,
): Promise<StoredObject> {
  const { manifest } = await resolveReference(context, reference, { signal });
  const { record, secrets } = await openManifest(context, manifest, new DamageLog(), { signal });
  const { size, contentType } = secrets;
  return {
    manifest,
    size,
    contentType,
    providers: record.providers,
    read(range, stop) {
      const open: OpenWindow = async function* ({ start, end }) {
        const reader = await getObject(context, manifest, { start, length: end - start, signal: stop });
        yield* reader.borrow();
      };
      const memoryFor = (rest: ByteRange): number =>
        readMemory(rest.end - rest.start, record.chunkLen, context.arena.capacity);
      return patientRead(range, { gate, memoryFor, open, signal: stop });
    },
  };
}

/** Windows of a read that hold memory at the same time: one being consumed, two ahead. */
const WINDOWS = 3;
/** All shards of a chunk, the parity too, over its own length; rounded up. */
const EXPANSION = 2;
/** Shards of the shortest chunks are rounded up to whole pages and rows. */
const FLOOR_BYTES = 256 * 1024;

/** The most memory that reading `length` bytes holds in an arena of `capacity`. */
export function readMemory(length: number, chunkLen: number, capacity: number): number {
  const windows = WINDOWS * Math.max(capacity / 16, chunkLen);
  const touched = length + 2 * chunkLen;
  return FLOOR_BYTES + EXPANSION * Math.min(windows, touched);
}

function summaryOf(root: RootRecord): Omit<ManifestSummary, 'manifest' | 'storedMs'> {
  const { chunks, code, compression, certificate, providers } = root;
  return {
    chunks,
    code: certificate.code,
    compression,
    fallback: { erasure: code.algorithm === 'xor', compression: compression === 'rle' },
    providers,
    certificate,
  };
}

const sealedError = (): HoldfastError =>
  new HoldfastError('PermissionDenied', 'this gateway has no key: it serves public parts only', {
    code: 'sealed',
    hint: 'Ask a gateway that was started with the vault key.',
  });
