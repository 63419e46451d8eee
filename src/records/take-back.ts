import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { recordedTime } from '../core/clock.ts';
import { DamageLog } from '../object/damage.ts';
import type { RecordsContext, RetiredVersion } from './context.ts';
import { openManifest } from './manifests.ts';
import { backUpPointer } from './name-backup.ts';
import { currentChange, type NameTarget, pointNameFrom } from './names.ts';
import { noLongerRetired, retiredBy, retiring } from './retired.ts';

/** A put that is visible here. */
export interface VisiblePut {
  readonly journal: string;
  readonly nameKey?: string | undefined;
  readonly manifest: BlobAddress;
  /** What the name stood for before, whether or not that was to go. */
  readonly obsolete?: BlobAddress | undefined;
}

/**
 * Makes a put invisible again of which another state may have deleted the blobs: its name stands for what it stood for
 * before, and what is left of its blobs is retired. A name that stands for something else by now keeps that.
 * @throws HoldfastError `Unavailable` when what it stood for cannot be read now; `Aborted`.
 */
export async function takeBack(
  context: RecordsContext,
  put: VisiblePut,
  options: AbortOptions = {},
): Promise<void> {
  const { journal, nameKey, manifest, obsolete } = put;
  const nowMs = recordedTime(context.clock);
  const times = { sinceMs: nowMs, dueMs: nowMs, attempts: 0 };
  const undone: RetiredVersion = { manifest, why: 'replaced', nameKey, journal, ...times };
  const current = nameKey === undefined ? undefined : await currentChange(context, nameKey, options);
  if (current?.pointer.manifest !== manifest) {
    if (nameKey === undefined) await context.engine.batch([retiring(undone)], [], { ...options, sync: true });
    return;
  }
  const target = await targetOf(context, obsolete, nowMs, options);
  const noted = await retiredBy(context, journal, options);
  const again = noted.filter((version) => version.manifest === obsolete).map(noLongerRetired);
  const change = await pointNameFrom(
    context,
    current.pointer.name,
    target,
    (now) => now?.manifest === manifest,
    {
      ...options,
      also: async () => [...again, retiring(undone)],
    },
  );
  if (change === undefined) return;
  const providers = context.directory.all();
  await backUpPointer(context, change, providers, providers.length, options);
}

async function targetOf(
  context: RecordsContext,
  manifest: BlobAddress | undefined,
  nowMs: number,
  options: AbortOptions,
): Promise<NameTarget> {
  if (manifest === undefined) return { manifest, size: 0, createdMs: nowMs };
  const { secrets } = await openManifest(context, manifest, new DamageLog(), options);
  return { manifest, size: secrets.size, createdMs: secrets.createdMs };
}
