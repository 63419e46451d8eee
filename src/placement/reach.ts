import type { LinearCode } from '../coding/erasure/code.ts';
import type { Policy } from '../pipeline/context.ts';
import type { Provider } from '../providers/provider.ts';
import { rotate, solvePlacement } from './index.ts';

/** What of the policy decides how many providers are enough. */
export type ReachPolicy = Pick<Policy, 'failureDomain' | 'minTolerates'> & { readonly code: LinearCode };

/** Whether an object over all providers can be decoded from what some of them have, whichever turn its chunks take. */
export function isDecodable(
  { code, failureDomain }: ReachPolicy,
  providers: readonly Provider[],
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
  providers: readonly Provider[],
): boolean {
  if (providers.length === 0) return false;
  return solvePlacement({ code, providers, failureDomain }).certificate.tolerates >= minTolerates;
}
