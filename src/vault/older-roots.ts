import { DamageLog } from '../object/damage.ts';
import type { OlderRoots, StoredObject } from '../receipts/blob-roots.ts';
import type { RecordsContext } from '../records/context.ts';
import { openManifest, storedManifests } from '../records/manifests.ts';

/** The vault's objects for an anchor that is newer than they are, the oldest first. It takes the key: sizes are sealed. */
export const olderRootsOf = (
  context: RecordsContext,
  anchor: string,
  log: (level: 'warn', event: string, fields: Readonly<Record<string, unknown>>) => void,
): OlderRoots => ({
  anchor,
  async page(after, limit, signal) {
    const objects: StoredObject[] = [];
    let last = after;
    let seen = 0;
    const onDamaged = (key: string): void => log('warn', 'anchor_older_unread', { key });
    for await (const { manifest, key } of storedManifests(context, { signal, gte: `${after}!`, onDamaged })) {
      if (seen++ === limit) return { objects, last };
      last = key;
      try {
        const { secrets } = await openManifest(context, manifest, new DamageLog(), { signal });
        objects.push({ address: manifest, size: secrets.size });
      } catch {
        signal.throwIfAborted();
        onDamaged(key);
      }
    }
    return { objects, last: undefined };
  },
});
