import type { BigIntStats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import type { BlobAddress } from '../../core/address.ts';
import type { BlobStat } from '../adapter.ts';
import { errnoOf } from './errors.ts';
import { blobPathOf, type Layout } from './layout.ts';

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

export function statOf(file: BigIntStats, lastSeenUnixMs: number): BlobStat {
  return {
    size: Number(file.size),
    replicasObserved: 1,
    replicaTarget: 1,
    lastSeenUnixMs,
    encoding: 'identity',
    revision: revisionOf(file),
  };
}

/** Another one whenever the file may have another content, as far as times can tell. */
export const revisionOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  `${dev}.${ino}.${size}.${mtimeNs}.${ctimeNs}`;
