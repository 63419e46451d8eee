import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { isHoldfastError } from '../core/errors.ts';
import { decodeRoot } from '../manifest/root.ts';
import { DamageLog } from './damage.ts';
import { forgetRoot, loadRoot } from './manifests.ts';
import { publicNodes, publicSegments } from './object-view.ts';
import type { VaultContext } from './ports.ts';
import { type BlobAt, discard } from './trash.ts';

/** Deletes the blobs of a manifest that nothing points to any more, and forgets it. */
export async function dropManifest(
  context: VaultContext,
  manifest: BlobAddress,
  options: AbortOptions = {},
): Promise<{ readonly deleted: number; readonly queued: number }> {
  const blobs = await blobsOf(context, manifest, options);
  const queued = await discard(context, blobs, options);
  await forgetRoot(context, manifest, options);
  return { deleted: blobs.length - queued, queued };
}

/**
 * Every blob of an object, nodes at every provider that may have a copy. A node that nobody can produce hides what is
 * below it: that is left behind, unreadable.
 */
async function blobsOf(
  context: VaultContext,
  manifest: BlobAddress,
  options: AbortOptions,
): Promise<BlobAt[]> {
  const damage = new DamageLog();
  const everywhere = (address: BlobAddress): BlobAt[] =>
    context.directory.all().map(({ id }) => ({ provider: id, address, bytes: 0 }));
  const blobs: BlobAt[] = [];
  try {
    const root = decodeRoot(await loadRoot(context, manifest, damage, options));
    for await (const { view } of publicSegments(context, root, damage, options.signal)) {
      for (const { provider, address, length: bytes } of view.record.packs) {
        blobs.push({ provider, address, bytes });
      }
    }
    for await (const { address } of publicNodes(context, root, damage, options.signal)) {
      blobs.push(...everywhere(address));
    }
  } catch (error) {
    if (!isHoldfastError(error, 'NotFound') && !isHoldfastError(error, 'Unavailable')) throw error;
  }
  return [...blobs, ...everywhere(manifest)];
}
