import { type Clock, withDeadline } from '../../core/clock.ts';

/** Memory of at least so many bytes. */
export type Room = (bytes: number) => Uint8Array;

/** What receipts need of a file system. What fails is a HoldfastError. An answer may not come: whoever waits for one has a deadline. */
export interface ReceiptFiles {
  /** Names in a folder; none where there is no folder. */
  list(folder: string): Promise<readonly string[]>;
  /**
   * The whole of a file; undefined where there is none. A longer one fails.
   * @param room for what is read, which may be left unused. Default: of its own.
   */
  read(path: string, maxBytes: number, room?: Room): Promise<Uint8Array | undefined>;
  /** Opens a file to append to it, made where there is none. When it is back, the file stays there over a crash. */
  open(path: string): Promise<AppendFile>;
  /** A file that is there whole or not at all, over a crash too. @returns false where there is one already. */
  place(path: string, bytes: Uint8Array): Promise<boolean>;
}

export interface AppendFile {
  size(): Promise<number>;
  append(bytes: Uint8Array): Promise<void>;
  /** When it is back, what was appended stays over a crash. */
  flush(): Promise<void>;
  truncate(size: number): Promise<void>;
  /** Whether the path that it was opened at still stands for it. */
  isNamed(): Promise<boolean>;
  close(): Promise<void>;
}

/** Longer than any disk needs that works. */
const DISK_MS = 30_000;

/** Waits no longer for a disk that does not answer. @throws HoldfastError also `Timeout`. */
export const inDiskTime = <T>(clock: Clock, work: () => Promise<T>): Promise<T> =>
  withDeadline(clock, DISK_MS, 'the disk', work);

/** The same files, for who has no deadline for what is read and placed. What is appended is the log's, which has one. */
export const timelyFiles = (files: ReceiptFiles, clock: Clock): ReceiptFiles => ({
  list: (folder) => inDiskTime(clock, () => files.list(folder)),
  read: (path, maxBytes, room) => inDiskTime(clock, () => files.read(path, maxBytes, room)),
  open: (path) => files.open(path),
  place: (path, bytes) => inDiskTime(clock, () => files.place(path, bytes)),
});
