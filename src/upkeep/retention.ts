import type { Retention } from '../pipeline/context.ts';
import type { RecordsContext } from '../records/context.ts';
import { deleteManifestBlobs } from './delete-manifest.ts';

/** Keeps no version but the current one: what was replaced is deleted at once. */
export const keepNothing = (context: RecordsContext): Retention => ({
  replaced: (manifest, options) => deleteManifestBlobs(context, manifest, options),
});
