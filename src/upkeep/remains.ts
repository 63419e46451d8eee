import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../core/errors.ts';
import { decodeRoot } from '../manifest/root.ts';
import { DamageLog } from '../object/damage.ts';
import { fetchNode, isLost } from '../object/fetch-node.ts';
import { publicTree, walkManifest } from '../object/manifest-tree.ts';
import { allPacks, keptPacks } from '../object/relocations.ts';
import type { BlobAt } from '../records/claims.ts';
import type { RecordsContext } from '../records/context.ts';
import { localRoot } from '../records/manifests.ts';

/** Nodes that all others lack are waited for so long at those that do not answer. */
const GIVE_UP_MS = 2_000;

/** What a version consists of. */
export interface Remains {
  /** The root; undefined: nobody has it any more. */
  readonly block: Uint8Array | undefined;
  readonly packs: BlobAt[];
  /** By depth: segments, then what leads to them. */
  readonly nodes: readonly (readonly BlobAddress[])[];
  /** Segments, by node or root, of which shards were moved. */
  readonly relocated: readonly BlobAddress[];
  /** Nodes that were passed over: what they lead to is not known. */
  readonly lost: readonly BlobAddress[];
}

interface RemainsOptions extends AbortOptions {
  /** Pass over nodes of which every copy is damaged. */
  readonly withoutLost: boolean;
}

/** Why a version cannot be deleted now. */
export class Unread extends HoldfastError {
  /** Every provider answered, and none has it whole. */
  readonly isLost: boolean;

  constructor(cause: unknown) {
    const message = `what leads to its blobs cannot be read: ${asHoldfastError(cause).message}`;
    super('Unavailable', message, { code: 'node_unavailable', status: 'temporary', cause });
    this.isLost = isLost(cause);
  }
}

/**
 * Everything below a manifest. A node that all providers say they do not have was deleted before, and what is below it
 * before that.
 * @throws Unread when one may be there and cannot be read.
 */
export async function remainsOf(
  context: RecordsContext,
  manifest: BlobAddress,
  { signal, withoutLost }: RemainsOptions,
): Promise<Remains> {
  const damage = new DamageLog();
  const lost: BlobAddress[] = [];
  const fetch = async (address: BlobAddress): Promise<Uint8Array | undefined> => {
    try {
      return await fetchNode(context, address, damage, signal, GIVE_UP_MS);
    } catch (cause) {
      throwIfAborted(signal, 'retire');
      if (isHoldfastError(cause, 'NotFound') && context.directory.all().length > 0) return undefined;
      if (!withoutLost || !isLost(cause)) throw new Unread(cause);
      lost.push(address);
      return undefined;
    }
  };
  const block = (await localRoot(context, manifest, { signal })) ?? (await fetch(manifest));
  if (block === undefined) return { block, packs: [], nodes: [], relocated: [], lost };
  const root = decodeRoot(block);
  const tree = publicTree(root, fetch);
  const relocationsOf = await context.relocations.open({ signal, fresh: true });
  const packs: BlobAt[] = [];
  const nodes: BlobAddress[][] = Array.from({ length: root.body.depth }, () => []);
  const relocated: BlobAddress[] = [];
  for await (const { address, depth, segment } of walkManifest(tree)) {
    if (segment === undefined) {
      nodes[depth]!.push(address!);
      continue;
    }
    const key = address ?? manifest;
    const relocations = (await relocationsOf?.(key)) ?? [];
    // What moved away is perhaps still there, but does not count any more.
    const counted = new Set(keptPacks(segment, relocations));
    for (const pack of allPacks(segment, relocations)) {
      const { provider, address, length } = pack;
      packs.push({ provider, address, bytes: counted.has(pack) ? length : 0 });
    }
    // Damaged ones are forgotten too.
    if (relocationsOf !== undefined) relocated.push(key);
  }
  return { block, packs, nodes, relocated, lost };
}
