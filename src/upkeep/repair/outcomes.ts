import type { HoldfastError } from '../../core/errors.ts';
import type { RootRecord } from '../../manifest/root.ts';
import type { PublicManifest } from '../../object/manifest-tree.ts';
import { backOff, backoffOf } from '../../records/repair-backoff.ts';
import type { RepairMetrics } from '../../telemetry/index.ts';
import type { MovingContext } from '../context.ts';
import { limitedText } from './limited.ts';
import type { RepairLog } from './repair-log.ts';
import type { ChunkOutcome } from './repair-segment.ts';

interface OutcomeTools {
  readonly log: RepairLog;
  readonly metrics: Pick<RepairMetrics, 'attempt' | 'failure' | 'bytes'>;
}

interface ToldOutcome {
  /** Why it was no success. */
  readonly error: string | undefined;
  /** When it is tried again, where it is not before. */
  readonly nextMs: number | undefined;
}

/** Writes down how it went for a chunk: in the log and the metrics, and what failed waits. That a success waits no more is the caller's to write. */
export async function tellOutcome(
  context: MovingContext,
  { log, metrics }: OutcomeTools,
  { manifest, record }: PublicManifest,
  outcome: ChunkOutcome,
): Promise<ToldOutcome> {
  const { chunk, status, bytes } = outcome;
  metrics.attempt(status);
  const error = errorOf(record, outcome);
  let nextMs: number | undefined;
  if (status === 'skipped')
    nextMs = (await backoffOf(context, manifest, chunk))?.nextMs ?? cappedUntil(outcome);
  else if (status !== 'success') nextMs = (await backOff(context, manifest, chunk, error ?? status)).nextMs;
  if (status === 'fatal' || status === 'failure') count(metrics, record, outcome.error);
  metrics.bytes(bytes);
  await log.append({ manifest, chunk, status, bytes, error, nextMs });
  return { error, nextMs };
}

/** When a provider may be read again that has given all that it may. */
function cappedUntil({ error }: ChunkOutcome): number | undefined {
  const until = error?.context?.untilMs;
  return typeof until === 'number' ? until : undefined;
}

function errorOf(record: RootRecord, { status, error, missing }: ChunkOutcome): string | undefined {
  if (status === 'fatal') return limitedText(record.code, missing);
  return error?.message;
}

function count(
  metrics: Pick<RepairMetrics, 'failure'>,
  { code, compression }: RootRecord,
  error: HoldfastError | undefined,
): void {
  const rebuilt = error === undefined || error.code === 'undecodable';
  const what = rebuilt ? 'reconstruct' : error.kind === 'Corrupt' ? 'integrity' : 'encode';
  metrics.failure(what, { erasure: code.algorithm, compression });
}
