import type { AbortOptions } from '../core/abort.ts';
import { type EachOptions, eachAlone } from '../core/pieces.ts';
import type { Pointer } from '../manifest/pointer.ts';
import { domainOf } from '../placement/domains.ts';
import type { Provider } from '../providers/provider.ts';
import type { RecordsContext } from './context.ts';
import type { Fork } from './forks.ts';
import { declaredLost } from './lost-providers.ts';
import { backUpPointer, type Renewed } from './name-backup.ts';
import { placesOfName } from './name-places.ts';
import { currentChange } from './names.ts';
import { PoisonLog } from './poison.ts';
import { askSlots, DUE_TABLE, type NameDue, namesQueued, slotsDue, withSlots } from './slots.ts';

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

/** Names tried in one go, and at once. */
const MAX_RENEWED = 128;

const PARALLEL = 4;

/**
 * Copies names whose copies lie in too few failure domains to more of them. A name for which too few answer stays queued,
 * and nobody is asked for it. One that cannot be read keeps no other from being copied.
 * @throws HoldfastError `Aborted`; what the engine throws when the queue cannot be read.
 */
export async function renewNames(context: RecordsContext, options: EachOptions = {}): Promise<Renewed> {
  const { clock, directory } = context;
  const gone = await declaredLost(context, options);
  const able = withSlots(directory.all()).filter(({ id }) => directory.isResponsive(id) && !gone.has(id));
  const there = domainsOf(context, able).size;
  const forks: Fork[] = [];
  const poison = new PoisonLog(DUE_TABLE);
  const due: NameDue[] = [];
  for await (const name of namesQueued(context, poison.add, options)) {
    if (there >= name.domains) due.push(name);
    if (due.length === MAX_RENEWED) break;
  }
  const renew = async ({ nameKey, domains, entry }: NameDue, signal: AbortSignal): Promise<void> => {
    const change = await currentChange(context, nameKey, { signal });
    if (change?.pointer.manifest !== undefined) {
      const wanted = { wanted: domains, needed: domains };
      const { row } = await placesOfName(context, nameKey, { signal });
      const stays = able.filter(({ id }) => !row?.leaving.includes(id));
      const done = await backUpPointer(context, change, stays, wanted, { signal });
      forks.push(...done.forks);
      if (done.domains < domains) return;
    }
    // One that was queued anew meanwhile is for a later version, and stays.
    await slotsDue(context).compareAndSet(...entry, undefined);
  };
  const each = { ...options, parallel: PARALLEL };
  const failures = await eachAlone(clock, due, ({ entry }) => entry[0], each, renew);
  return { forks, poison, failures };
}

const domainsOf = ({ policy }: RecordsContext, providers: readonly Provider[]): Set<string> =>
  new Set(providers.map((provider) => domainOf(provider, policy.failureDomain)));
