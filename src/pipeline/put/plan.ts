import { createLinearCode, type LinearCode } from '../../coding/erasure/code.ts';
import { HoldfastError } from '../../core/errors.ts';
import { MAX_PACKS } from '../../manifest/limits.ts';
import { type Certificate, shortfall } from '../../placement/certificate.ts';
import { solvePlacement } from '../../placement/solve.ts';
import type { Provider } from '../../providers/provider.ts';
import type { LeftOut, VaultContext } from '../ports.ts';

export interface PutPlan {
  readonly placed: readonly Provider[];
  readonly certificate: Certificate;
  readonly leftOut: readonly LeftOut[];
}

/**
 * Picks the providers of a put and refuses at once what could not keep the promise asked for.
 * @throws HoldfastError `Unavailable`, code `not_enough_providers`; `PermissionDenied`, code `certificate_shortfall`.
 */
export function planPut(context: VaultContext, minTolerates: number): PutPlan {
  const { eligible, leftOut } = context.directory.forStore();
  const placed = eligible.slice(0, MAX_PACKS);
  const why = leftOut.map(({ id, why }) => `${id}: ${why}`);
  if (placed.length === 0) {
    throw new HoldfastError('Unavailable', 'no provider may take new shards', {
      code: 'not_enough_providers',
      hint: 'See `holdfast providers` for the state of each; `holdfast providers probe` asks them again.',
      context: { leftOut: why },
    });
  }
  const { code, failureDomain } = context.policy;
  const { certificate } = solvePlacement({ code, providers: placed, failureDomain });
  requireTolerance(certificate, minTolerates, why);
  return { placed, certificate, leftOut };
}

/** Copies that survive as many losses as coded shards on the same providers do. */
export function replicaCode(plan: PutPlan): LinearCode {
  return createLinearCode({ algorithm: 'replica', copies: copiesNeeded(plan) });
}

/** A node must outlive whatever its shards do, and one spare copy keeps it readable while another is repaired. */
export function nodeCopies(plan: PutPlan): { wanted: number; needed: number } {
  const needed = copiesNeeded(plan);
  return { needed, wanted: Math.min(plan.placed.length, needed + 1) };
}

const copiesNeeded = ({ placed, certificate }: PutPlan): number =>
  Math.min(placed.length, certificate.tolerates + 1);

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
