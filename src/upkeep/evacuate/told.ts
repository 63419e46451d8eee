import type { BlobAddress } from '../../core/address.ts';
import type { HoldfastError } from '../../core/errors.ts';
import type { RepairMetrics } from '../../telemetry/index.ts';
import type { RepairKind, RepairLog, RepairStatus } from '../repair/repair-log.ts';
import { isNobodysFault } from '../repair/repair-run.ts';

export interface MoveTools {
  readonly log: RepairLog;
  readonly metrics: Pick<RepairMetrics, 'moved'>;
}

interface MoveOutcome {
  readonly kind: Exclude<RepairKind, 'repair'>;
  readonly manifest: BlobAddress;
  /** Undefined: it was about the nodes of the manifest. */
  readonly segment?: BlobAddress | undefined;
  /** That were stored elsewhere. */
  readonly bytes: number;
  /** Why not all was moved. */
  readonly error?: HoldfastError | undefined;
}

/**
 * Says how it went for a segment, or for an object's nodes: in the log and the metrics. What would survive fewer losses is
 * counted only: it may be all there is, and whoever has it moved is told of it.
 */
export async function tellMove({ log, metrics }: MoveTools, outcome: MoveOutcome): Promise<void> {
  const { kind, manifest, segment, bytes, error } = outcome;
  if (error !== undefined && isNobodysFault(error)) return;
  const status = statusOf(error);
  metrics.moved(kind, status, bytes);
  if (error?.code === 'certificate_shortfall') return;
  const until = error?.context?.untilMs;
  const nextMs = typeof until === 'number' ? until : undefined;
  await log.append({
    ...{ kind, manifest, segment, chunk: undefined },
    ...{ status, bytes, error: error?.message, nextMs },
  });
}

function statusOf(error: HoldfastError | undefined): RepairStatus {
  if (error === undefined) return 'success';
  return error.code === 'egress_cap' || error.code === 'certificate_shortfall' ? 'skipped' : 'failure';
}
