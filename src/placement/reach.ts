import type { LinearCode } from '../coding/erasure/linear-code.ts';
import type { DomainLevel, PlacementProvider } from './domains.ts';
import { rotate, solvePlacement } from './solve.ts';

/** What of the policy decides how many providers are enough. */
export interface ReachPolicy {
  readonly code: LinearCode;
  readonly failureDomain: DomainLevel;
  readonly minTolerates: number;
}

/** Whether an object over all providers can be decoded from what some of them have, whichever turn its chunks take. */
export function isDecodable(
  { code, failureDomain }: ReachPolicy,
  providers: readonly PlacementProvider[],
  there: ReadonlySet<string>,
): boolean {
  if (there.size === 0) return false;
  const placement = solvePlacement({ code, providers, failureDomain });
  return providers.every((_, turn) => {
    const places = [...rotate(placement, turn).entries()];
    const left = places.filter(([, place]) => there.has(providers[place]!.id));
    return code.decodable(left.map(([shard]) => shard));
  });
}

/** Whether an object put at these providers would survive what it must. */
export function isStorable(
  { code, failureDomain, minTolerates }: ReachPolicy,
  providers: readonly PlacementProvider[],
): boolean {
  if (providers.length === 0) return false;
  return solvePlacement({ code, providers, failureDomain }).certificate.tolerates >= minTolerates;
}
