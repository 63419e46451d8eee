import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { makeFolders } from '../../core/files.ts';
import { secureRandom } from '../../core/random.ts';
import { diskFiles, flushFolder, told } from '../log/disk.ts';
import { inDiskTime, type ReceiptFiles } from '../log/files.ts';

/** What a log needs of a file system: also one file that changes, and folders that are of no more use. */
export interface LogFiles extends Pick<ReceiptFiles, 'list' | 'read' | 'place'> {
  /** The file is the old or the new one, whole, at any time; over a crash the new one when it is back. */
  replace(path: string, bytes: Uint8Array): Promise<void>;
  /** With the files in it; nothing where there is none. It may be there again after a crash. */
  removeFolder(path: string): Promise<void>;
}

const MAX_KNOWN = 1_024;

/** The files of this machine, each call with a deadline. @param base folder of the log: it and what is in it last over a crash. */
export function diskLogFiles(base: string, clock: Clock): LogFiles {
  /** Folders whose names are on the disk. */
  const known = new Set<string>();
  const lasting = async (folder: string): Promise<void> => {
    if (known.has(folder)) return;
    await told(folder, async () => {
      await makeFolders(folder, 0o755);
      for (let above = folder; above.length >= base.length; above = dirname(above))
        await flushFolder(dirname(above));
    });
    if (known.size >= MAX_KNOWN) known.clear();
    known.add(folder);
  };
  const inTime = <T>(work: () => Promise<T>): Promise<T> => inDiskTime(clock, work);
  return {
    list: (folder) => inTime(() => diskFiles.list(folder)),
    read: (path, maxBytes) => inTime(() => diskFiles.read(path, maxBytes)),
    place: (path, bytes) =>
      inTime(async () => {
        await lasting(dirname(path));
        return diskFiles.place(path, bytes);
      }),
    replace: (path, bytes) =>
      inTime(async () => {
        await lasting(dirname(path));
        await told(path, () => replace(path, bytes));
      }),
    removeFolder: (path) => inTime(() => told(path, () => rm(path, { recursive: true, force: true }))),
  };
}

async function replace(path: string, bytes: Uint8Array): Promise<void> {
  const draft = join(dirname(path), `.${basename(path)}.${toHex(secureRandom(8))}`);
  try {
    const file = await open(draft, 'wx', 0o644);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
  await flushFolder(dirname(path));
}
