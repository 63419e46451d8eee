import { createLinearCode } from '../coding/erasure/code.ts';
import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { isHoldfastError } from '../core/errors.ts';
import { decodeIndexNode, type PublicLink } from '../manifest/links.ts';
import { decodeRoot, type RootRecord } from '../manifest/root.ts';
import { decodeSegmentNode, type SegmentRecord } from '../manifest/segment.ts';
import { DamageLog } from '../object/damage.ts';
import { fetchNode } from '../object/fetch-node.ts';
import type { RecordsContext } from '../records/context.ts';
import { forgetRoot, loadRoot } from '../records/manifests.ts';
import { type BlobAt, deleteOrQueue } from '../records/trash.ts';

/** Nodes that all others lack are waited for so long at those that do not answer. */
const GIVE_UP_MS = 2_000;

/**
 * Deletes the blobs of a manifest that nothing points to any more, and forgets it. From below: while a blob is there, so
 * is what leads to it, and a call that was cut off can be made again.
 */
export async function deleteManifestBlobs(
  context: RecordsContext,
  manifest: BlobAddress,
  options: AbortOptions = {},
): Promise<{ readonly deleted: number; readonly queued: number }> {
  const { packs, nodes } = await remainsOf(context, manifest, options);
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
  }
  await forgetRoot(context, manifest, options);
  return { deleted: all - queued, queued };
}

interface Remains {
  readonly packs: BlobAt[];
  /** By depth: segments, then what leads to them. */
  readonly nodes: readonly (readonly BlobAddress[])[];
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
  const packs: BlobAt[] = [];
  const take = (segment: SegmentRecord): void => {
    for (const { provider, address, length: bytes } of segment.packs)
      packs.push({ provider, address, bytes });
  };
  const walk = async (root: RootRecord, links: readonly PublicLink[], depth: number): Promise<void> => {
    for (const { cid } of links) {
      nodes[depth]!.push(cid.address);
      const node = await unlessLost(fetchNode(context, cid.address, damage, options.signal, GIVE_UP_MS));
      if (node === undefined) continue;
      if (depth > 0) await walk(root, decodeIndexNode(node, root.objectId).links, depth - 1);
      else take(decodeSegmentNode(node, root.objectId, createLinearCode(root.code).totalShards));
    }
  };
  const block = await unlessLost(loadRoot(context, manifest, damage, options));
  if (block === undefined) return { packs, nodes: [] };
  const root = decodeRoot(block);
  const nodes: BlobAddress[][] = Array.from({ length: root.body.depth }, () => []);
  if ('links' in root.body) await walk(root, root.body.links, root.body.depth - 1);
  else take(root.body.segment);
  return { packs, nodes };
}

const LOST = ['NotFound', 'Unavailable', 'Corrupt'] as const;

function unlessLost<T>(node: Promise<T>): Promise<T | undefined> {
  return node.catch((error: unknown) => {
    if (LOST.some((kind) => isHoldfastError(error, kind))) return undefined;
    throw error;
  });
}
