import { createLinearCode, type LinearCode } from '../../coding/erasure/code.ts';
import { HoldfastError } from '../../core/errors.ts';
import { MAX_PACKS } from '../../manifest/limits.ts';
import { type Certificate, shortfall } from '../../placement/certificate.ts';
import { solvePlacement } from '../../placement/solve.ts';
import type { Provider } from '../../providers/provider.ts';
import type { LeftOut, VaultContext } from '../ports.ts';

export interface PutPlan {
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
 * fewer providers than shards do, so what may turn out small is refused only where copies could not either.
 * @param size of the object, if it is known.
 * @throws HoldfastError `Unavailable`, code `not_enough_providers`; `PermissionDenied`, code `certificate_shortfall`.
 */
export function planPut(context: VaultContext, minTolerates: number, size: number | undefined): PutPlan {
  const { eligible, scores: known, leftOut } = context.directory.forStore();
  const placed = eligible.slice(0, MAX_PACKS);
  const why = leftOut.map(({ id, why }) => `${id}: ${why}`);
  if (placed.length === 0) {
    throw new HoldfastError('Unavailable', 'no provider may take new shards', {
      code: 'not_enough_providers',
      hint: 'See `holdfast providers` for the state of each; `holdfast providers probe` asks them again.',
      context: { leftOut: why },
    });
  }
  const { code, failureDomain, replicaBelowBytes } = context.policy;
  const scores = placed.map((_, i) => known?.[i] ?? 1);
  // Scores move shards and leave what may vanish as it is.
  const { certificate } = solvePlacement({ code, providers: placed, failureDomain });
  const copies = Math.min(placed.length, Math.max(certificate.tolerates, minTolerates) + 1);
  const plan = { placed, scores, certificate, copies, leftOut };
  if (shortfall(certificate, minTolerates) !== undefined) {
    const small = size === undefined || size <= replicaBelowBytes;
    const copied = solvePlacement({ code: replicaCode(plan), providers: placed, failureDomain });
    requireTolerance(small ? copied.certificate : certificate, minTolerates, why);
  }
  return plan;
}

/** Copies that survive as many losses as coded shards on the same providers do, and as many as are asked for. */
export function replicaCode({ copies }: Pick<PutPlan, 'copies'>): LinearCode {
  return createLinearCode({ algorithm: 'replica', copies });
}

/** A node must outlive whatever its shards do, and one spare copy keeps it readable while another is repaired. */
export function nodeCopies(plan: PutPlan): { wanted: number; needed: number } {
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
