import type { LeftOut, ProviderDirectory } from '../../catalog/directory.ts';
import { createLinearCode } from '../../coding/erasure/code.ts';
import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { HoldfastError } from '../../core/errors.ts';
import { MAX_PACKS } from '../../manifest/limits.ts';
import type { CopiesWanted } from '../../object/rendezvous.ts';
import { type Certificate, shortfall } from '../../placement/certificate.ts';
import { domainOf } from '../../placement/domains.ts';
import { fittedTo } from '../../placement/fitted.ts';
import { solvePlacement } from '../../placement/solve.ts';
import type { Provider } from '../../providers/provider.ts';
import { timed } from '../../telemetry/metrics.ts';
import type { TransferContext } from '../context.ts';
import { type ByteSource, peekSource } from '../source.ts';
import { chunkLength, MIN_PACK_BYTES, takesAtMost } from './pack-draft.ts';
import { best } from './placements.ts';

export interface PutPlan {
  /** Of objects that are coded. */
  readonly code: LinearCode;
  readonly placed: readonly Provider[];
  /** How good each is; the higher, the better. */
  readonly scores: readonly number[];
  /** Of an object that is coded. */
  readonly certificate: Certificate;
  /** How many copies a small object has, and a node at least. */
  readonly copies: number;
  readonly leftOut: readonly LeftOut[];
}

/**
 * Picks the providers of a put and refuses at once what could not keep the promise asked for. Whole copies keep it with
 * fewer providers than shards do, so what may turn out small is refused only where copies could not either. A provider at
 * which something was gone or altered lately takes part only where the promise cannot be kept without it, and only if most
 * of what it did was right: one rotten blob of a thousand is no reason to store nothing.
 * @param size of the object, if it is known.
 * @throws HoldfastError `Unavailable`, code `not_enough_providers`; `PermissionDenied`, code `certificate_shortfall`.
 */
export function planPut(
  context: Pick<TransferContext, 'directory' | 'policy'>,
  minTolerates: number,
  size: number | undefined,
): PutPlan {
  const { eligible, scores, doubtful = [], leftOut } = context.directory.forStore();
  const taking = eligible.map((provider, i) => ({ provider, score: scores?.[i] ?? 1 }));
  const plan = planWith(context, minTolerates, taking, leftOut);
  if (plan !== undefined && shortfall(plan.certificate, minTolerates) === undefined) return plan;
  const more = doubtful.filter(({ isMostlyRight }) => isMostlyRight);
  if (more.length > 0) {
    const all = [...taking, ...more].sort((a, b) => b.score - a.score);
    const others = leftOut.filter(({ id }) => !more.some(({ provider }) => provider.id === id));
    const its = planWith(context, minTolerates, all, others);
    if (its !== undefined) return kept(context, its, minTolerates, size);
  }
  if (plan !== undefined) return kept(context, plan, minTolerates, size);
  throw new HoldfastError('Unavailable', 'no provider may take new shards', {
    code: 'not_enough_providers',
    hint: 'See `holdfast providers` for the state of each; `holdfast providers probe` asks them again.',
    context: { leftOut: refusals([...leftOut, ...eligible.map(tooSmall)]) },
  });
}

/** Those among which a put finds enough, if there are enough: those in doubt are taken where the others are too few. */
export function possibleTakers({ forStore }: Pick<ProviderDirectory, 'forStore'>): readonly Provider[] {
  const { eligible, doubtful = [] } = forStore();
  return [
    ...eligible,
    ...doubtful.flatMap(({ provider, isMostlyRight }) => (isMostlyRight ? [provider] : [])),
  ];
}

/** @param taking best first. @returns undefined where nobody may take anything. */
function planWith(
  { policy }: Pick<TransferContext, 'policy'>,
  minTolerates: number,
  taking: readonly { readonly provider: Provider; readonly score: number }[],
  leftOut: readonly LeftOut[],
): PutPlan | undefined {
  const takesEnough = ({ provider }: (typeof taking)[number]): boolean =>
    takesAtMost(provider) >= MIN_PACK_BYTES;
  const small = taking.filter((one) => !takesEnough(one)).map(({ provider }) => tooSmall(provider));
  const chosen = taking.filter(takesEnough).slice(0, MAX_PACKS);
  const placed = chosen.map(({ provider }) => provider);
  if (placed.length === 0) return undefined;
  const { failureDomain } = policy;
  const domains = new Set(placed.map((provider) => domainOf(provider, failureDomain))).size;
  const code = policy.fitsCode ? fittedTo(policy.code, domains) : policy.code;
  // Scores move shards and leave what may vanish as it is.
  const { certificate } = solvePlacement({ code, providers: placed, failureDomain });
  const copies = Math.min(placed.length, Math.max(certificate.tolerates, minTolerates) + 1);
  const scores = chosen.map(({ score }) => score);
  return { code, placed, scores, certificate, copies, leftOut: [...leftOut, ...small] };
}

/** @returns the plan. @throws HoldfastError where it keeps no promise as is asked for. */
function kept(
  { policy }: Pick<TransferContext, 'policy'>,
  plan: PutPlan,
  minTolerates: number,
  size: number | undefined,
): PutPlan {
  const { certificate, placed, leftOut } = plan;
  if (shortfall(certificate, minTolerates) !== undefined) {
    const { failureDomain, replicaBelowBytes } = policy;
    const maybeSmall = size === undefined || size <= replicaBelowBytes;
    const copied = solvePlacement({ code: replicaCode(plan), providers: placed, failureDomain });
    requireTolerance(maybeSmall ? copied.certificate : certificate, minTolerates, refusals(leftOut));
  }
  return plan;
}

/** How an object is coded, and its source from the first byte. */
export interface ChosenCode {
  readonly code: LinearCode;
  readonly source: ByteSource;
  /** Length of the object, where it is small and so one chunk. */
  readonly onlyChunkBytes: number | undefined;
}

/**
 * Looks at the beginning of the source: a small object is kept as copies, any other is coded.
 * @throws HoldfastError `PermissionDenied`, code `certificate_shortfall`, for an object whose shards could not keep the
 * promise; `Aborted`, and what the source throws.
 */
export async function chooseCode(
  context: Pick<TransferContext, 'clock' | 'directory' | 'metrics' | 'policy'>,
  plan: PutPlan,
  minTolerates: number,
  source: ByteSource,
  signal: AbortSignal,
): Promise<ChosenCode> {
  const { code } = plan;
  const { replicaBelowBytes } = context.policy;
  const copies = replicaCode(plan);
  const [first] = best(plan.placed, plan.scores);
  const oneChunk = chunkLength(context.directory.preferredChunk(first!.id), copies, plan.placed);
  const mostBytes = Math.min(replicaBelowBytes, oneChunk);
  const peeked = await timed(context, 'source', () => peekSource(source, mostBytes + 1, signal));
  signal.throwIfAborted();
  if (peeked.length <= mostBytes) return { ...peeked, code: copies, onlyChunkBytes: peeked.length };
  requireTolerance(plan.certificate, minTolerates, refusals(plan.leftOut));
  return { ...peeked, code, onlyChunkBytes: undefined };
}

const refusals = (leftOut: readonly LeftOut[]): string[] => leftOut.map(({ id, why }) => `${id}: ${why}`);

const tooSmall = (provider: Provider): LeftOut => ({
  id: provider.id,
  why: `it takes no more than ${takesAtMost(provider)} bytes at once`,
});

/** Copies that survive as many losses as coded shards on the same providers do, and as many as are asked for. */
function replicaCode({ copies }: Pick<PutPlan, 'copies'>): LinearCode {
  return createLinearCode({ algorithm: 'replica', copies });
}

/** A node must outlive whatever its shards do, and one spare copy keeps it readable while another is repaired. */
export function nodeCopies(plan: PutPlan): CopiesWanted {
  return { needed: plan.copies, wanted: Math.min(plan.placed.length, plan.copies + 1) };
}

export function requireTolerance(
  certificate: Certificate,
  minTolerates: number,
  why: readonly string[],
): void {
  const problem = shortfall(certificate, minTolerates);
  if (problem === undefined) return;
  throw new HoldfastError('PermissionDenied', problem, {
    code: 'certificate_shortfall',
    hint: 'Nothing was stored. Bring providers back or add some, or lower placement.min_tolerates (or --min-tolerates) knowingly.',
    context: { certificate, leftOut: why },
  });
}
