import { type BigIntStats, lstatSync } from 'node:fs';
import { lstat, statfs } from 'node:fs/promises';
import type { BlobAddress } from '../../core/address.ts';
import type { Clock } from '../../core/clock.ts';
import type { BlobStat } from '../adapter.ts';
import { errnoOf } from './errors.ts';
import { blobPathOf, type Layout, layoutOf } from './layout.ts';

/** What a blob's file is; undefined where there is none. */
export async function fileOf(layout: Layout, address: BlobAddress): Promise<BigIntStats | undefined> {
  try {
    const found = await lstat(blobPathOf(layout, address), { bigint: true });
    return found.isFile() ? found : undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export function statOf(file: BigIntStats): Required<BlobStat> {
  return {
    size: Number(file.size),
    modifiedUnixMs: Number(file.mtimeNs / 1_000_000n),
    revision: revisionOf(file),
  };
}

/** Another one whenever the file may have another content, as far as times can tell. */
const revisionOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  `${dev}.${ino}.${size}.${mtimeNs}.${ctimeNs}`;

/** File systems that answer from memory for a file that was just used: btrfs, ext, f2fs, overlay, tmpfs, xfs, zfs. */
const LOCAL: ReadonlySet<number> = new Set([
  0x9123683e, 0xef53, 0xf2f52010, 0x794c7630, 0x01021994, 0x58465342, 0x2fc12fc1,
]);

/** What a look tells: undefined where it cannot. */
export type PeekStat = (address: BlobAddress) => Pick<BlobStat, 'size' | 'revision'> | 'absent' | undefined;

/** A busy machine takes a process off its processor for some tens of milliseconds; that is not the disk. */
const SLOW_MS = 100;
const REST_MS = 1_000;

/**
 * Size and revision of a blob as `stat` gives them, by a system call on the calling thread: two microseconds instead of
 * two threads' turns. Metadata only; a disk that makes it wait is not asked that way again for a second.
 * @returns undefined for a folder on a file system that may wait for a network.
 */
export async function fsPeekStat(root: string, clock: Clock): Promise<PeekStat | undefined> {
  const layout = layoutOf(root);
  const { type } = await statfs(layout.blobs);
  if (!LOCAL.has(type)) return undefined;
  let restUntilMs = Number.NEGATIVE_INFINITY;
  return (address) => {
    const start = clock.monotonic();
    if (start < restUntilMs) return undefined;
    try {
      const found = lstatSync(blobPathOf(layout, address), { bigint: true, throwIfNoEntry: false });
      if (found === undefined) return 'absent';
      return found.isFile() ? { size: Number(found.size), revision: revisionOf(found) } : undefined;
    } catch {
      return undefined; // the slow way will find out what it is
    } finally {
      const end = clock.monotonic();
      if (end - start > SLOW_MS) restUntilMs = end + REST_MS;
    }
  };
}
