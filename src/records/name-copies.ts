import type { AbortOptions } from '../core/abort.ts';
import type { Pointer } from '../manifest/pointer.ts';
import { domainOf } from '../placement/domains.ts';
import type { Provider } from '../providers/provider.ts';
import type { RecordsContext } from './context.ts';
import type { Fork } from './forks.ts';
import { backUpPointer } from './name-backup.ts';
import { currentChange } from './names.ts';
import { askSlots, namesQueued, slotsDue, withSlots } from './slots.ts';

/** Where a name's pointer is, by what the providers say. */
export interface NameCopies {
  /** Providers whose slot holds it. */
  readonly providers: readonly string[];
  /** Any this many failure domains may vanish together and a copy is left; −1 where there is none. */
  readonly tolerates: number;
  /** Providers that did not say. */
  readonly unconfirmed: readonly string[];
}

/** Where a version's pointer is, and those that follow it, asked of all slots of its name. */
export async function nameCopies(
  context: RecordsContext,
  { name, version, manifest }: Pick<Pointer, 'name' | 'version' | 'manifest'>,
  options: AbortOptions = {},
): Promise<NameCopies> {
  const { held, unconfirmed } = await askSlots(context, name, 'the copies of a name', options.signal);
  const holders = [...held]
    .filter(([, pointer]) => pointer.version >= version && pointer.manifest === manifest)
    .map(([provider]) => provider);
  return {
    providers: holders.map(({ id }) => id).sort(),
    tolerates: domainsOf(context, holders).size - 1,
    unconfirmed: [...unconfirmed].sort(),
  };
}

/** Names tried in one go. */
const MAX_RENEWED = 128;

/**
 * Copies names whose copies lie in too few failure domains to more of them. A name for which too few answer stays queued,
 * and nobody is asked for it. @returns forks that came to light.
 */
export async function renewNames(context: RecordsContext, options: AbortOptions = {}): Promise<Fork[]> {
  const { directory } = context;
  const table = slotsDue(context);
  const able = withSlots(directory.all()).filter(({ id }) => directory.isResponsive(id));
  const there = domainsOf(context, able).size;
  const forks: Fork[] = [];
  let tried = 0;
  for await (const { nameKey, domains, entry } of namesQueued(context, options)) {
    if (there < domains) continue;
    if (++tried > MAX_RENEWED) break;
    const change = await currentChange(context, nameKey, options);
    if (change?.pointer.manifest !== undefined) {
      const done = await backUpPointer(context, change, able, { wanted: domains, needed: domains }, options);
      forks.push(...done.forks);
      if (done.domains < domains) continue;
    }
    // One that was queued anew meanwhile is for a later version, and stays.
    await table.compareAndSet(...entry, undefined);
  }
  return forks;
}

const domainsOf = ({ policy }: RecordsContext, providers: readonly Provider[]): Set<string> =>
  new Set(providers.map((provider) => domainOf(provider, policy.failureDomain)));
