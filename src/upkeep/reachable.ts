import type { AbortOptions } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { asHoldfastError, type HoldfastError } from '../core/errors.ts';
import { entryOf } from '../core/maps.ts';
import { decodeRoot } from '../manifest/root.ts';
import { DamageLog } from '../object/damage.ts';
import { fetchNode } from '../object/fetch-node.ts';
import { publicTree, walkManifest } from '../object/manifest-tree.ts';
import { allPacks } from '../object/relocations.ts';
import type { RecordsContext } from '../records/context.ts';
import { loadRoot, storedManifests } from '../records/manifests.ts';
import { NAMES_TABLE, openName } from '../records/name-record.ts';

/** Addresses kept at once, about 40 bytes each; of a larger vault a part of the addresses at a time. */
const MAX_KEPT = 2_000_000;
/** Behind the first byte of every address. */
export const END_OF_HEADS = 256;
/** Nodes that all others lack are waited for so long at those that do not answer. */
const GIVE_UP_MS = 5_000;

/** First digits of an address, as many as a number holds: two that agree are taken for one, so at worst a blob too many stays. */
const digitsOf = (address: BlobAddress): number => Number.parseInt(address.slice(3, 16), 16);
const headOf = (address: BlobAddress): number => Number.parseInt(address.slice(3, 5), 16);

/** What the manifests of a vault lead to, of the addresses whose first byte is from `from` on and below `to`. */
export class Reachable {
  readonly from: number;
  /** Lowered while there is too much to keep. */
  to: number = END_OF_HEADS;
  /** Manifests that were walked to their end. */
  readonly walked: Set<BlobAddress> = new Set();
  /** Manifests of which a part could not be read: what they lead to is not known. */
  readonly unread: Map<BlobAddress, HoldfastError> = new Map();
  readonly #most: number;
  /** Nodes, which may have a copy anywhere. */
  readonly #nodes = new Set<number>();
  /** Packs, by provider. */
  readonly #packs = new Map<string, Set<number>>();
  #kept = 0;
  #isSettled = false;

  constructor(from: number, most: number = MAX_KEPT) {
    this.from = from;
    this.#most = most;
  }

  holds(provider: string, address: BlobAddress): boolean {
    const digits = digitsOf(address);
    return this.#nodes.has(digits) || this.#packs.get(provider)?.has(digits) === true;
  }

  hasNode(address: BlobAddress): boolean {
    return this.#nodes.has(digitsOf(address));
  }

  /** Providers at which a blob is needed. */
  neededAt(address: BlobAddress): string[] {
    const digits = digitsOf(address);
    return [...this.#packs].flatMap(([provider, its]) => (its.has(digits) ? [provider] : []));
  }

  /** The part is being listed: what is added from now on lies in it or does not count. */
  settle(): void {
    this.#isSettled = true;
  }

  /** The last address before the part; undefined for the first. */
  get after(): BlobAddress | undefined {
    if (this.from === 0) return undefined;
    return `b3:${(this.from - 1).toString(16).padStart(2, '0')}${'f'.repeat(62)}` as BlobAddress;
  }

  covers(address: BlobAddress): boolean {
    const head = headOf(address);
    return head >= this.from && head < this.to;
  }

  addNode(address: BlobAddress): void {
    if (this.covers(address)) this.#add(this.#nodes, address);
  }

  addPack(provider: string, address: BlobAddress): void {
    if (this.covers(address))
      this.#add(
        entryOf(this.#packs, provider, () => new Set<number>()),
        address,
      );
  }

  #add(its: Set<number>, address: BlobAddress): void {
    const before = its.size;
    its.add(digitsOf(address));
    this.#kept += its.size - before;
    while (!this.#isSettled && this.#kept > this.#most && this.to - this.from > 1) this.#narrow();
  }

  #narrow(): void {
    this.to = this.from + Math.ceil((this.to - this.from) / 2);
    const bound = this.to * 16 ** 11;
    this.#kept = 0;
    for (const its of [this.#nodes, ...this.#packs.values()]) {
      for (const digits of its) if (digits >= bound) its.delete(digits);
      this.#kept += its.size;
    }
  }
}

/**
 * Walks the manifests that were not walked yet: all that names stand for, and all that the state remembers, whether or not
 * a name leads there. One that cannot be read to its end is noted.
 * @throws HoldfastError `Aborted`; what the engine throws.
 */
export async function reach(
  context: RecordsContext,
  reachable: Reachable,
  { signal }: AbortOptions,
): Promise<void> {
  for await (const manifest of manifestsOf(context, { signal })) {
    if (reachable.walked.has(manifest) || reachable.unread.has(manifest)) continue;
    try {
      await walk(context, reachable, manifest, { signal });
      reachable.walked.add(manifest);
    } catch (error) {
      signal?.throwIfAborted();
      reachable.unread.set(manifest, asHoldfastError(error));
    }
  }
}

async function* manifestsOf(context: RecordsContext, options: AbortOptions): AsyncGenerator<BlobAddress> {
  for await (const { manifest } of storedManifests(context, options)) yield manifest;
  for await (const { manifest } of standingNames(context, options)) yield manifest;
}

/** Names that were not removed. */
export async function* standingNames(
  context: RecordsContext,
  options: AbortOptions,
): AsyncGenerator<{ readonly name: string; readonly manifest: BlobAddress }> {
  for await (const [key, sealed] of context.engine.table(NAMES_TABLE).entries(options)) {
    const { name, manifest } = openName(context, sealed, key);
    if (manifest !== undefined && isBlobAddress(manifest)) yield { name, manifest };
  }
}

async function walk(
  context: RecordsContext,
  reachable: Reachable,
  manifest: BlobAddress,
  options: AbortOptions,
): Promise<void> {
  reachable.addNode(manifest);
  const damage = new DamageLog();
  const root = decodeRoot(await loadRoot(context, manifest, damage, options));
  const tree = publicTree(root, (address) => fetchNode(context, address, damage, options.signal, GIVE_UP_MS));
  const relocationsOf = await context.relocations.open({ ...options, fresh: true, whole: true });
  for await (const { address, segment } of walkManifest(tree)) {
    if (address !== undefined) reachable.addNode(address);
    if (segment === undefined) continue;
    const relocations = (await relocationsOf?.(address ?? manifest)) ?? [];
    for (const pack of allPacks(segment, relocations)) reachable.addPack(pack.provider, pack.address);
  }
}
