import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { isHoldfastError } from '../core/errors.ts';
import { decodeRoot } from '../manifest/root.ts';
import { DamageLog } from '../object/damage.ts';
import { fetchNode } from '../object/fetch-node.ts';
import { publicTree, walkManifest } from '../object/manifest-tree.ts';
import { allPacks, keptPacks } from '../object/relocations.ts';
import type { RecordsContext, Retention, Retired } from '../records/context.ts';
import { forgetRoot, loadRoot } from '../records/manifests.ts';
import { forgetRelocations } from '../records/relocations.ts';
import { type BlobAt, deleteOrQueue } from '../records/trash.ts';

/** Nodes that all others lack are waited for so long at those that do not answer. */
const GIVE_UP_MS = 2_000;

/** Keeps no version but the current one: what was replaced or removed is deleted at once. */
export const keepNothing = (context: RecordsContext): Retention => ({
  retire: (manifest, _, options) => deleteManifestBlobs(context, manifest, options),
});

/**
 * Deletes the blobs of a manifest that nothing points to any more, and forgets it. From below: while a blob is there, so
 * is what leads to it, and a call that was cut off can be made again.
 */
async function deleteManifestBlobs(
  context: RecordsContext,
  manifest: BlobAddress,
  options: AbortOptions = {},
): Promise<Retired> {
  const { packs, nodes, relocated } = await remainsOf(context, manifest, options);
  /** A node may have a copy at every provider. */
  const everywhere = (addresses: readonly BlobAddress[]): BlobAt[] =>
    addresses.flatMap((address) =>
      context.directory.all().map(({ id }) => ({ provider: id, address, bytes: 0 })),
    );
  const stages = [packs, ...nodes.map(everywhere)];
  // The root is kept here until the end, so its copies may go with what it leads to.
  stages.at(-1)!.push(...everywhere([manifest]));
  let all = 0;
  let queued = 0;
  for (const blobs of stages) {
    all += blobs.length;
    queued += await deleteOrQueue(context, blobs, options);
    // What leads to where the shards were moved to goes after them, and before what leads to it.
    if (blobs === packs) await forgetRelocations(context.engine, relocated, options);
  }
  await forgetRoot(context, manifest, options);
  return { deleted: all - queued, queued };
}

interface Remains {
  readonly packs: BlobAt[];
  /** By depth: segments, then what leads to them. */
  readonly nodes: readonly (readonly BlobAddress[])[];
  /** Segments, by node or root, of which shards were moved. */
  readonly relocated: readonly BlobAddress[];
}

/**
 * Everything below a manifest, as far as it can be found. A node that nobody can produce hides what is below it: it was
 * deleted already, or that is left behind, unreadable.
 */
async function remainsOf(
  context: RecordsContext,
  manifest: BlobAddress,
  options: AbortOptions,
): Promise<Remains> {
  const damage = new DamageLog();
  const block = await unlessLost(loadRoot(context, manifest, damage, options));
  if (block === undefined) return { packs: [], nodes: [], relocated: [] };
  const root = decodeRoot(block);
  const tree = publicTree(root, (address) =>
    unlessLost(fetchNode(context, address, damage, options.signal, GIVE_UP_MS)),
  );
  const relocationsOf = await context.relocations.open({ ...options, fresh: true });
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
    if (relocations.length > 0) relocated.push(key);
  }
  return { packs, nodes, relocated };
}

const LOST = ['NotFound', 'Unavailable', 'Corrupt'] as const;

function unlessLost<T>(node: Promise<T>): Promise<T | undefined> {
  return node.catch((error: unknown) => {
    if (LOST.some((kind) => isHoldfastError(error, kind))) return undefined;
    throw error;
  });
}
