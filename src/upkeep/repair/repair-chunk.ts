import type { AbortOptions } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { HoldfastError } from '../../core/errors.ts';
import { decodeRoot } from '../../manifest/root.ts';
import { DamageLog } from '../../object/damage.ts';
import type { PublicManifest } from '../../object/manifest-tree.ts';
import { loadRoot, manifestStands } from '../../records/manifests.ts';
import { repairedOps } from '../../records/repair-backoff.ts';
import type { MovingContext } from '../context.ts';
import { walkedSegments } from '../scrub/walk.ts';
import { Room } from './at-once.ts';
import { tellOutcome } from './outcomes.ts';
import type { RepairStatus } from './repair-log.ts';
import type { RepairTools } from './repair-run.ts';
import { repairSegment } from './repair-segment.ts';

export interface ChunkRepairOptions extends AbortOptions {
  /** Providers that are gone for good. */
  readonly lost: ReadonlySet<string>;
  /** Rewrites every shard of it, lost or not, but for those at providers that take none now. */
  readonly force: boolean;
}

/** How the repair of one chunk went. */
export interface ChunkRepairResult {
  readonly manifest: BlobAddress;
  readonly chunk: number;
  /** `intact`: nothing of it is known to be lost. `fatal`: too little is left of it. */
  readonly status: Exclude<RepairStatus, 'skipped'> | 'intact';
  /** Shards of it that were lost, or that were to be rewritten. */
  readonly shards: number;
  /** Bytes of shards that were written. */
  readonly bytesRestored: number;
  readonly bytesRead: number;
  /** Why it failed. */
  readonly error: string | undefined;
  /** When it is tried again, where that is not at once, in milliseconds since 1970. */
  readonly nextMs: number | undefined;
}

/**
 * Repairs one chunk of an object now, though it has to wait.
 * @throws HoldfastError `NotFound` (`manifest_not_found`, `chunk_not_found`); `Unavailable` (`node_unavailable`) where nobody has
 * what says where its shards are; `Conflict` (`segment_leased`) while another repairs it; `QuotaExceeded` (`egress_cap`); what the
 * engine throws; `Aborted`.
 */
export async function repairChunk(
  context: MovingContext,
  tools: RepairTools,
  at: { readonly manifest: BlobAddress; readonly chunk: number },
  { lost, force, signal }: ChunkRepairOptions,
): Promise<ChunkRepairResult> {
  const { manifest, chunk } = at;
  const object = await objectAt(context, manifest, signal);
  const segment = await segmentWith(context, object, chunk, signal);
  const done = await repairSegment(
    context,
    {
      ...{ object, segment, lost, only: chunk, all: force },
      waits: async () => false,
      ...{ pace: tools.pace, room: new Room(1), graceMs: tools.graceMs },
    },
    { signal },
  );
  const { bytesRead } = done;
  const outcome = done.chunks.find((one) => one.chunk === chunk);
  const { error, nextMs } = outcome
    ? await tellOutcome(context, tools, object, outcome)
    : { error: undefined, nextMs: undefined };
  const status = outcome === undefined || outcome.status === 'skipped' ? 'intact' : outcome.status;
  const isWell = status === 'success' || status === 'intact';
  if (isWell) await context.engine.batch(repairedOps(manifest, [chunk]));
  const { missing: shards = 0, bytes: bytesRestored = 0 } = outcome ?? {};
  return { manifest, chunk, status, shards, bytesRestored, bytesRead, error, nextMs };
}

async function objectAt(
  context: MovingContext,
  manifest: BlobAddress,
  signal: AbortSignal | undefined,
): Promise<PublicManifest> {
  if (!(await manifestStands(context.engine, manifest)).isThere) {
    throw new HoldfastError('NotFound', `this vault has no object ${manifest}`, {
      code: 'manifest_not_found',
      hint: 'See `holdfast manifests` for those it has.',
    });
  }
  return { manifest, record: decodeRoot(await loadRoot(context, manifest, new DamageLog(), { signal })) };
}

/** The address of the segment that a chunk is in. */
async function segmentWith(
  context: MovingContext,
  { manifest, record }: PublicManifest,
  chunk: number,
  signal: AbortSignal | undefined,
): Promise<BlobAddress> {
  if (!Number.isSafeInteger(chunk) || chunk < 0 || chunk >= record.chunks) {
    throw new HoldfastError('NotFound', `the object has no chunk ${chunk}`, {
      code: 'chunk_not_found',
      hint: `It has ${record.chunks}: 0 to ${record.chunks - 1}.`,
    });
  }
  let cause: HoldfastError | undefined;
  const onUnread = (error: HoldfastError): void => {
    cause ??= error;
  };
  for await (const { segment, view } of walkedSegments(context, manifest, { from: 0, onUnread, signal })) {
    if (view === undefined) continue;
    const { firstChunk, chunkLens } = view.record;
    if (chunk >= firstChunk && chunk < firstChunk + chunkLens.length) return segment;
  }
  throw new HoldfastError('Unavailable', `nobody has what says where the shards of chunk ${chunk} are`, {
    code: 'node_unavailable',
    hint: 'Bring providers back, then try again; see `holdfast providers`.',
    cause,
  });
}
