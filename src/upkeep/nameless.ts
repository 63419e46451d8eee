import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { equalBytes, utf8Encode } from '../core/bytes.ts';
import { isHoldfastError } from '../core/errors.ts';
import { LISTINGS } from '../core/straggler-policies.ts';
import { Stragglers } from '../core/stragglers.ts';
import { MAX_NODE_BYTES } from '../manifest/limits.ts';
import { openRoot } from '../manifest/root.ts';
import { domainOf } from '../placement/domains.ts';
import { fetchVerified } from '../providers/index.ts';
import type { Provider } from '../providers/provider.ts';
import { claimedAmong } from '../records/claims.ts';
import { engineGenerationOf } from '../records/generation-record.ts';
import { intendedAmong } from '../records/intents.ts';
import { knowsManifest, rememberedRoot } from '../records/manifests.ts';
import type { LeasingContext } from '../records/repair-leases.ts';
import { toBeIndexed } from '../records/shard-index.ts';
import { choreNoted, UPKEEP_TABLE } from '../records/usage.ts';
import type { UpkeepContext } from './context.ts';
import type { ForeignSlots } from './foreign-slots.ts';
import type { Reachable } from './reachable.ts';
import { PresenceCheck } from './recover/presence.ts';
import { ToldMoves } from './recover/told-moves.ts';

/** In the table of chores: after which recovery all providers were looked through. */
const DONE = 'nameless';
/** Blobs that are looked at between listings. */
const BATCH = 512;
/** What it fails with to read a blob that is not whole there. */
const DAMAGED = ['NotFound', 'Corrupt', 'HashMismatch'] as const;

/**
 * Objects without a name are known to the state alone: once it was lost and recovered, only a listing tells of them. Each
 * recovery has all providers looked through once.
 */
export class NamelessObjects {
  readonly #context: UpkeepContext & LeasingContext;
  readonly #foreign: ForeignSlots;
  readonly #mark: Uint8Array;
  readonly #options: AbortOptions;
  /** Objects that were found, and are remembered from now on. */
  remembered = 0;
  /** Whether some provider could not be looked through: what it alone knows of is not known. */
  incomplete = false;

  private constructor(
    context: UpkeepContext & LeasingContext,
    foreign: ForeignSlots,
    mark: Uint8Array,
    options: AbortOptions,
  ) {
    this.#context = context;
    this.#foreign = foreign;
    this.#mark = mark;
    this.#options = options;
  }

  /** Undefined when nothing is to be looked for. */
  static async due(
    context: UpkeepContext & LeasingContext,
    foreign: ForeignSlots,
    options: AbortOptions,
  ): Promise<NamelessObjects | undefined> {
    const { recoveries = 0 } = (await engineGenerationOf(context.engine).read(options)) ?? {};
    const mark = utf8Encode(String(recoveries));
    const done = await choreNoted(context, DONE, options);
    if (recoveries === 0 || (done !== undefined && equalBytes(done, mark))) return undefined;
    return new NamelessObjects(context, foreign, mark, options);
  }

  /** Remembers those whose roots lie in a part of the addresses. @throws HoldfastError `Aborted`; what the engine throws. */
  async lookThrough(part: Reachable): Promise<void> {
    const laggards = new Stragglers(this.#context.clock, LISTINGS);
    const silent = new Map<string, string>();
    const check = new PresenceCheck(this.#context, silent, laggards, this.#options.signal);
    const learning: Learning = { check, told: undefined, silent, laggards };
    try {
      await Promise.all(this.#context.directory.all().map((provider) => this.#at(provider, part, learning)));
    } finally {
      laggards.close();
    }
  }

  async done(): Promise<void> {
    if (!this.incomplete) await this.#context.engine.table(UPKEEP_TABLE).put(DONE, this.#mark);
  }

  async #at(provider: Provider, part: Reachable, learning: Learning): Promise<void> {
    try {
      for (let after = part.after; ; ) {
        const found = await this.#candidates(provider, part, after);
        for (const address of found) await this.#look(provider, address, learning);
        if (found.length < BATCH) return;
        after = found.at(-1);
      }
    } catch (error) {
      throwIfAborted(this.#options.signal, 'gc');
      if (!isHoldfastError(error)) throw error;
      this.incomplete = true;
    }
  }

  /** The next that may be roots. A listing that waits for other requests would hold them up in turn. */
  async #candidates(
    { id, adapter }: Provider,
    part: Reachable,
    after: BlobAddress | undefined,
  ): Promise<BlobAddress[]> {
    const { signal } = this.#options;
    const found: BlobAddress[] = [];
    for await (const { address, size = 0 } of adapter.list({ details: true, after, signal })) {
      if (!part.covers(address) || found.length === BATCH) break;
      if (!part.holds(id, address) && size <= MAX_NODE_BYTES) found.push(address);
    }
    return found;
  }

  async #look(provider: Provider, address: BlobAddress, learning: Learning): Promise<void> {
    const context = this.#context;
    const block = await this.#blockAt(provider, address);
    const secrets = block && secretsIn(block, context);
    // What a later version wrote may be this vault's, and what it leads to is not known.
    if (secrets === 'unknown') this.incomplete = true;
    if (block === undefined || secrets === undefined || secrets === 'unknown') return;
    if (secrets.name !== undefined) return;
    const places = new Set([`${provider.id}/${address}`]);
    const spoken = [
      ...(await intendedAmong(context, places, this.#options)),
      ...(await claimedAmong(context, places, this.#options)),
    ];
    if (spoken.length > 0 || (await knowsManifest(context, address))) return;
    const told = await this.#toldTo(learning);
    const { presence, usage } = await learning.check.object(address, told);
    // Where its shards were moved to, too few may have told.
    if (presence === 'lost' && !this.#isSure(learning, told)) this.incomplete = true;
    if (presence === 'lost') return;
    const kept = [
      ...rememberedRoot({ address, bytes: block, storedMs: secrets.createdMs, usage }),
      toBeIndexed(address),
    ];
    // Its copies at other providers are found at the same time.
    const { table, key } = kept[0]!;
    const first = [{ table, key, expected: undefined }];
    if (await context.engine.batch(kept, first, { ...this.#options, sync: true })) this.remembered++;
  }

  /** Every slot of relocations has a copy among the failure domains that were heard. */
  #isSure({ silent }: Learning, told: ToldMoves | undefined): boolean {
    const { directory, policy } = this.#context;
    const unheard = [...silent.keys()].flatMap((id) => directory.get(id) ?? []);
    const domains = new Set(unheard.map((provider) => domainOf(provider, policy.failureDomain)));
    return told?.incomplete === false && domains.size <= policy.minTolerates;
  }

  /** Undefined where too few providers could be asked for it. */
  #toldTo(learning: Learning): Promise<ToldMoves | undefined> {
    const { signal } = this.#options;
    learning.told ??= this.#foreign
      .holders({ signal })
      .then(
        (holders) =>
          holders && new ToldMoves(this.#context, holders, learning.silent, learning.laggards, signal),
      );
    return learning.told;
  }

  /** Undefined for what is not there, or damaged. */
  async #blockAt({ adapter }: Provider, address: BlobAddress): Promise<Uint8Array | undefined> {
    const options = { maxBytes: MAX_NODE_BYTES, signal: this.#options.signal };
    try {
      return await fetchVerified(adapter, address, this.#context.blake3, options);
    } catch (error) {
      if (DAMAGED.some((kind) => isHoldfastError(error, kind))) return undefined;
      throw error;
    }
  }
}

interface Learning {
  readonly check: PresenceCheck;
  /** Providers that did not answer, and why. */
  readonly silent: Map<string, string>;
  readonly laggards: Stragglers;
  /** Where shards were moved to; found out when it is first needed. */
  told: Promise<ToldMoves | undefined> | undefined;
}

/** Undefined for what is no root of this vault; `unknown` for one of a later version, whose it is nobody can tell. */
function secretsIn(
  block: Uint8Array,
  { keys }: UpkeepContext,
): { readonly name?: string | undefined; readonly createdMs: number } | 'unknown' | undefined {
  try {
    return openRoot(block, keys.wrap).secrets;
  } catch (error) {
    if (isHoldfastError(error) && error.code === 'unknown_version') return 'unknown';
    // What another vault keeps there is a root too.
    if (isHoldfastError(error, 'Corrupt') || isHoldfastError(error, 'PermissionDenied')) return undefined;
    throw error;
  }
}
