import { constants } from 'node:fs';
import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolders, openRegular } from '../../core/files.ts';

/** The files of a log: one folder, of which only lines are added to the end of files. */
export interface LogFiles {
  /** Names of what lies in the folder; none where there is no folder. */
  list(): Promise<readonly string[]>;
  /**
   * Adds a line, on one of its own also where the last one was cut off.
   * @throws an error with code `EFBIG` when the file would become longer than `maxBytes`.
   */
  append(name: string, line: string, maxBytes: number): Promise<void>;
  /** Undefined for a file that is not there. */
  open(name: string): Promise<LogFile | undefined>;
  remove(name: string): Promise<void>;
}

export interface LogFile {
  readonly bytes: number;
  /** Fewer only where the file has ended. */
  read(at: number, length: number): Promise<Buffer>;
  close(): Promise<void>;
}

const APPEND =
  constants.O_RDWR |
  constants.O_APPEND |
  constants.O_CREAT |
  (constants.O_NOFOLLOW ?? 0) |
  (constants.O_NONBLOCK ?? 0);
const NEWLINE = 10;

/** In a folder on the disk, which is made when the first line is written. */
export const filesOnDisk = (folder: string): LogFiles => ({
  list: () => readdir(folder).catch(missingAs<string[]>([])),
  async append(name, line, maxBytes) {
    const path = join(folder, name);
    const file = await open(path, APPEND, 0o600).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      await makeFolders(folder, 0o700);
      return open(path, APPEND, 0o600);
    });
    try {
      const stats = await file.stat();
      if (!stats.isFile()) throw failure('EFTYPE', 'it is no regular file');
      const last = Buffer.alloc(1);
      if (stats.size > 0) await file.read(last, 0, 1, stats.size - 1);
      const text = `${stats.size > 0 && last[0] !== NEWLINE ? '\n' : ''}${line}\n`;
      const bytes = Buffer.from(text);
      if (stats.size + bytes.length > maxBytes) throw failure('EFBIG', 'the file is long enough');
      // In one call, so that lines of two processes do not mix.
      const { bytesWritten } = await file.write(bytes);
      if (bytesWritten < bytes.length) throw failure('ENOSPC', 'only a part of the line was written');
    } finally {
      await file.close();
    }
  },
  async open(name) {
    const file = await openRegular(join(folder, name), 'refused').catch(missingAs(undefined));
    if (file === undefined) return undefined;
    const { size } = await file.stat();
    return {
      bytes: size,
      async read(at, length) {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
        return buffer.subarray(0, bytesRead);
      },
      close: () => file.close(),
    };
  },
  remove: (name) => rm(join(folder, name), { force: true }),
});

const missingAs =
  <T>(value: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code === 'ENOENT') return value;
    throw error;
  };

const failure = (code: string, message: string): NodeJS.ErrnoException =>
  Object.assign(new Error(message), { code });
