import PQueue from 'p-queue';
import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import { LISTINGS } from '../../core/straggler-policies.ts';
import { Stragglers } from '../../core/stragglers.ts';
import type { Pointer } from '../../manifest/pointer.ts';
import { decodeRoot } from '../../manifest/root.ts';
import { domainOf } from '../../placement/domains.ts';
import type { Fork } from '../../records/forks.ts';
import { generationOf } from '../../records/generation.ts';
import { domainsWanted, rememberedRoot } from '../../records/manifests.ts';
import { renewNames } from '../../records/name-copies.ts';
import { noteCopies } from '../../records/name-places.ts';
import { NAMES_TABLE } from '../../records/name-record.ts';
import { namePassBegins } from '../../records/name-tidy.ts';
import { currentChange } from '../../records/names.ts';
import type { LeasingContext } from '../../records/repair-leases.ts';
import { toBeIndexed } from '../../records/shard-index.ts';
import { queueName, queueSlots } from '../../records/slots.ts';
import { recountIsDue } from '../../records/usage.ts';
import type { UpkeepContext } from '../context.ts';
import { judgeOldClaims } from '../old-claims.ts';
import { type Collected, collectPointers } from './collect.ts';
import { adoptHeard, marksHeard } from './marks.ts';
import { type Presence, PresenceCheck } from './presence.ts';
import { knownBefore, settleNames } from './settle.ts';
import { ToldMoves } from './told-moves.ts';

export interface RecoverResult {
  /** Names that stand for an object. */
  readonly names: number;
  /** Names that were removed; they are known so that no older version of them comes back. */
  readonly deleted: number;
  /** Manifests that were found and opened. */
  readonly manifests: number;
  /** Names whose object cannot be read any more, whatever the providers have that were not heard. */
  readonly lost: readonly string[];
  /** What is not certain. Empty lists: everything is. */
  readonly unconfirmed: {
    /** Providers that may know of more, or of newer versions, and why. */
    readonly providers: readonly { readonly id: string; readonly why: string }[];
    /** Names whose object can be read only with shards that providers hold which did not answer. */
    readonly names: readonly string[];
  };
  /** What stands behind `lost` and `unconfirmed`: content is read by `verify` only. */
  readonly checked: 'nodes_read_and_packs_present';
  /** Names of which this state knew an older version only. */
  readonly advanced: number;
  /** Names of which every provider has gone back to an older version, or none. This state's were kept. */
  readonly rolledBack: readonly string[];
  /** Versions that contradict each other; all contents are kept. */
  readonly forks: readonly Fork[];
  /** Slots that cannot be read as such. */
  readonly damagedSlots: number;
}

/** Objects looked at at once. */
const PARALLEL = 8;

/**
 * Rebuilds names and manifests from the pointers in the providers' slots, with nothing but the vault's key. The
 * highest valid version of a name wins, a removal like any other; a newer one that the engine already has is kept.
 * Providers that do not answer are not waited for: what they might know is unconfirmed, never missing.
 */
export async function recoverVault(
  context: UpkeepContext & LeasingContext,
  options: AbortOptions = {},
): Promise<RecoverResult> {
  const { signal } = options;
  const generation = generationOf(context);
  const before = await knownBefore(context, signal);
  // Before the names are read: what these heads stand for is at the providers by then.
  const heads = await generation.heads({ signal });
  // … and what was moved before these marks were made is told by then.
  const marks = await marksHeard(context, signal);
  const collected = await collectPointers(context, signal);
  const { pointers, advanced, rolledBack, forks } = await settleNames(context, before, collected, signal);
  throwIfAborted(signal, 'recover');
  await namePassBegins(context);
  const silent = new Map(collected.silent);
  const standing = pointers.filter(({ manifest }) => manifest !== undefined);
  const { found, complete } = await lookAtObjects(context, { standing, silent, collected, signal });
  const named = (presence: Presence): string[] =>
    standing.filter((_, i) => found[i]!.presence === presence).map(({ name }) => name);
  await queueShort(context, collected, standing);
  await recountIsDue(context);
  if (heads !== undefined) await generation.adopt(heads);
  await queueDamaged(context, collected, pointers);
  const uncertain = new Map([...silent, ...collected.unconfirmed, ...hiding(context, collected)]);
  if (complete) await adoptHeard(context, marks, { uncertain, found });
  // A name that nobody told of may need what waits to be deleted.
  if (uncertain.size === 0) await judgeOldClaims(context, { signal });
  return {
    names: standing.length,
    deleted: pointers.length - standing.length,
    manifests: found.filter(({ opened }) => opened).length,
    lost: named('lost'),
    unconfirmed: {
      providers: [...uncertain].map(([id, why]) => ({ id, why })),
      names: named('unconfirmed'),
    },
    checked: 'nodes_read_and_packs_present',
    advanced,
    rolledBack,
    forks,
    damagedSlots: collected.damagedSlots,
  };
}

/** Slots of names that are known are written anew. */
async function queueDamaged(
  context: UpkeepContext,
  { damaged }: Collected,
  pointers: readonly Pointer[],
): Promise<void> {
  if (damaged.size === 0) return;
  for (const { name, version } of pointers) {
    const providers = damaged.get(context.keys.slotName(name));
    if (providers !== undefined)
      await queueSlots(context, [...providers], context.keys.nameKey(name), version);
  }
}

/** Providers whose slots of one name are damaged in so many failure domains that every copy of a version may be among them. */
function hiding({ directory, policy }: UpkeepContext, { damaged }: Collected): Map<string, string> {
  const found = new Map<string, string>();
  for (const ids of damaged.values()) {
    const providers = [...ids].flatMap((id) => directory.get(id) ?? []);
    const domains = new Set(providers.map((provider) => domainOf(provider, policy.failureDomain)));
    if (domains.size <= policy.minTolerates) continue;
    for (const id of ids) found.set(id, 'slots there cannot be read, nor those of the same name elsewhere');
  }
  return found;
}

/** Names that lie in fewer failure domains than their objects survive the loss of are copied to more, by later commands too. */
async function queueShort(
  context: UpkeepContext,
  { names, holders }: Collected,
  standing: readonly Pointer[],
): Promise<void> {
  for (const { name, version, manifest } of standing) {
    const nameKey = context.keys.nameKey(name);
    const heard = names.get(nameKey)?.filter(({ pointer }) => pointer.version === version) ?? [];
    const same = heard.find(({ pointer }) => pointer.manifest === manifest);
    const held = [...((same && holders.get(same)) ?? [])];
    const labels = held.map((id) => {
      const provider = context.directory.get(id);
      return provider && domainOf(provider, context.policy.failureDomain);
    });
    const wanted = await domainsWanted(context, manifest!);
    if (same !== undefined) await noteCopies(context, same, { needed: wanted, held });
    if (new Set(labels).size < wanted) await queueName(context, nameKey, version, wanted);
  }
  await renewNames(context);
}

interface ToLookAt extends AbortOptions {
  readonly standing: readonly Pointer[];
  /** Added to. */
  readonly silent: Map<string, string>;
  readonly collected: Collected;
}

interface Looked {
  readonly presence: Presence;
  readonly opened: boolean;
  /** Losses that it survives by its certificate; undefined: not all of it could be read. */
  readonly tolerates?: number | undefined;
}

async function lookAtObjects(
  context: UpkeepContext & LeasingContext,
  { standing, silent, collected, signal }: ToLookAt,
): Promise<{ readonly found: readonly Looked[]; readonly complete: boolean }> {
  const queue = new PQueue({ concurrency: PARALLEL });
  const laggards = new Stragglers(context.clock, LISTINGS);
  const check = new PresenceCheck(context, silent, laggards, signal);
  const told = new ToldMoves(context, collected.relocations, silent, laggards, signal);
  const gone = { presence: 'readable', opened: false } as const;
  const look = async ({ name, manifest, createdMs }: Pointer): Promise<Looked> => {
    throwIfAborted(signal, 'recover');
    const key = context.keys.nameKey(name);
    const before = await currentChange(context, key, { signal });
    if (before?.pointer.manifest !== manifest) return gone;
    const unchanged = { table: NAMES_TABLE, key, expected: before!.sealed };
    const { presence, root, usage } = await check.object(manifest!, told, [unchanged]);
    // Another run may have removed or replaced it meanwhile, and deleted what was looked for.
    const now = await currentChange(context, key, { signal });
    if (now?.pointer.manifest !== manifest) return gone;
    if (root === undefined) return { presence, opened: false };
    const kept = [
      ...rememberedRoot({ address: manifest!, bytes: root, storedMs: createdMs, usage }),
      toBeIndexed(manifest!),
    ];
    const written = await context.engine.batch(kept, [{ ...unchanged, expected: now!.sealed }], {
      signal,
      sync: true,
    });
    const tolerates = usage && decodeRoot(root).certificate.tolerates;
    return written ? { presence, opened: true, tolerates } : gone;
  };
  try {
    const found = await Promise.all(standing.map((pointer) => queue.add(() => look(pointer))));
    return { found, complete: !told.incomplete };
  } finally {
    laggards.close();
  }
}
