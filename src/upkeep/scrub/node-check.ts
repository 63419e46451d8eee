import type { BlobAddress } from '../../core/address.ts';
import { asHoldfastError } from '../../core/errors.ts';
import { MAX_NODE_BYTES } from '../../manifest/limits.ts';
import type { RootRecord } from '../../manifest/root.ts';
import type { ObjectContext } from '../../object/context.ts';
import { problemOf } from '../../object/damage.ts';
import { CopyDealer, spread } from '../../object/rendezvous.ts';
import { fetchVerified } from '../../providers/guard.ts';
import type { Provider } from '../../providers/provider.ts';
import type { Lane } from './lanes.ts';

/** What one provider has of a node; `unheard`: it gave no answer. */
export type CopyVerdict = 'good' | 'missing' | 'corrupt' | 'unheard';

/** @throws HoldfastError when the provider gave no answer. */
export async function checkCopy(
  { blake3 }: Pick<ObjectContext, 'blake3'>,
  address: BlobAddress,
  { provider, signal }: Lane,
): Promise<Exclude<CopyVerdict, 'unheard'>> {
  try {
    await fetchVerified(provider.adapter, address, blake3, { maxBytes: MAX_NODE_BYTES, signal });
    return 'good';
  } catch (thrown) {
    const error = asHoldfastError(thrown);
    const problem = problemOf(error);
    if (problem === 'unavailable') throw error;
    return problem;
  }
}

/**
 * Providers that lack a copy of a node and should have one, so that it outlives what its object survives, with a spare.
 * Of those who ought to be the first to have one, who gave no answer counts as if it had.
 */
export function lackingCopies(
  context: ObjectContext,
  { certificate, providers }: RootRecord,
  address: BlobAddress,
  verdicts: ReadonlyMap<string, CopyVerdict>,
): string[] {
  const all = context.directory.all();
  const needed = certificate.tolerates + 1;
  // A spare is only missed where there surely was one: who was left out of a put got none.
  const wanted = Math.min(needed + 1, all.length, providers.length);
  const queue = spread(context, address, all);
  const of = (wrong: CopyVerdict): Provider[] => queue.filter(({ id }) => verdicts.get(id) === wrong);
  const isUnheard = ({ id }: Provider): boolean => verdicts.get(id) === 'unheard';
  // Who has a wrong copy was given one.
  const free = [...of('corrupt'), ...of('missing')];
  const dealer = new CopyDealer(context, { wanted, needed }, free);
  for (const provider of [...of('good'), ...queue.slice(0, wanted).filter(isUnheard)])
    dealer.answered(provider, true);
  const lacking: string[] = [];
  for (let next = dealer.next(); next !== undefined; next = dealer.next()) lacking.push(next.id);
  return lacking;
}
