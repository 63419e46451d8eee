import type { FileEntryWithStats, SFTPWrapper, Stats } from 'ssh2';
import { abortable } from '../../core/abort.ts';
import { byteLength, sliceParts } from '../../core/bytes.ts';
import { isHoldfastError } from '../../core/errors.ts';
import { rangeBeyondEnd, unsupported } from '../guard.ts';
import type { SftpConnection } from './connection.ts';
import { isEndOfFile, sftpError } from './connection.ts';

/** Bytes of one step, and how many are under way at once: enough to fill a long line. */
const STEP_BYTES = 256 * 1024;
const STEPS_AT_ONCE = 8;

type Signal = AbortSignal | undefined;
type Done<T> = (error: Error | null | undefined, value: T) => void;

interface SftpStat {
  readonly isFile: boolean;
  readonly isFolder: boolean;
  readonly size: number;
  readonly modifiedUnixMs: number;
}

interface OpenFile {
  append(part: Uint8Array): Promise<void>;
  /** Flushed where the server can. */
  finish(): Promise<void>;
  /** Never throws. */
  close(): Promise<void>;
}

/** File operations over one connection, as promises with typed errors that end when the signal fires. */
export class SftpFiles {
  readonly #connection: SftpConnection;

  constructor(connection: SftpConnection) {
    this.#connection = connection;
  }

  async stat(path: string, signal: Signal): Promise<SftpStat | undefined> {
    const asked = this.#call<SftpStat>(signal, (sftp, done) =>
      sftp.lstat(path, (error, stats) => {
        if (error) done(error, undefined as never);
        else done(undefined, statOf(stats));
      }),
    );
    return asked.catch(ifAbsent);
  }

  /** Writes a new file, flushed where the server can. */
  async write(path: string, parts: readonly Uint8Array[], signal: Signal): Promise<void> {
    const file = await this.create(path, signal);
    try {
      const total = byteLength(parts);
      const running = new Set<Promise<void>>();
      for (let at = 0; at < total; at += STEP_BYTES) {
        for (const part of sliceParts(parts, at, Math.min(STEP_BYTES, total - at))) {
          const written = file.append(part).finally(() => running.delete(written));
          running.add(written);
          written.catch(() => {});
          if (running.size >= STEPS_AT_ONCE) await Promise.race(running);
        }
      }
      await Promise.all(running);
      await file.finish();
    } finally {
      await file.close();
    }
  }

  async create(path: string, signal: Signal): Promise<OpenFile> {
    const handle = await this.#call<Buffer>(signal, (sftp, done) => sftp.open(path, 'wx', done));
    let position = 0;
    let closed = false;
    const close = async (): Promise<void> => {
      if (closed) return;
      closed = true;
      await this.#close(handle).catch(() => {});
    };
    return {
      append: (part) => {
        const at = position;
        position += part.length;
        const buffer = Buffer.from(part.buffer, part.byteOffset, part.length);
        return this.#call(signal, (sftp, done) =>
          sftp.write(handle, buffer, 0, buffer.length, at, (error) => done(error, undefined)),
        );
      },
      finish: async () => {
        const flush = this.#call<void>(signal, (sftp, done) =>
          sftp.ext_openssh_fsync(handle, (error) => done(error, undefined)),
        );
        await flush.catch(ifUnsupported);
        await close();
      },
      close,
    };
  }

  /** Pieces of `[offset, offset + length)`, all or an error. */
  async *read(
    path: string,
    offset: number,
    length: number | undefined,
    signal: Signal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const handle = await this.#call<Buffer>(signal, (sftp, done) => sftp.open(path, 'r', done));
    try {
      const size = length ?? (await this.#sizeOf(handle, signal));
      yield* readAhead(offset, size, (at, step) => this.#readAt(handle, at, step, signal));
    } finally {
      this.#closeUnheard(handle);
    }
  }

  /** Over what may be there, where the server can. */
  rename(from: string, to: string, signal: Signal): Promise<void> {
    const over = this.#call<void>(signal, (sftp, done) =>
      sftp.ext_openssh_rename(from, to, (error) => done(error, undefined)),
    );
    return over.catch((error: unknown) => {
      ifUnsupported(error);
      return this.#call<void>(signal, (sftp, done) =>
        sftp.rename(from, to, (failure) => done(failure, undefined)),
      );
    });
  }

  /** Fails when `to` exists. */
  link(from: string, to: string, signal: Signal): Promise<void> {
    const linked = this.#call<void>(signal, (sftp, done) =>
      sftp.ext_openssh_hardlink(from, to, (error) => done(error, undefined)),
    );
    return linked.catch((error: unknown) => {
      ifUnsupported(error);
      return unsupported('slots: the SFTP server has no hard links');
    });
  }

  /** Idempotent; true when it was there. */
  remove(path: string, signal: Signal): Promise<boolean> {
    const removed = this.#call<void>(signal, (sftp, done) =>
      sftp.unlink(path, (error) => done(error, undefined)),
    );
    return removed.then(
      () => true,
      (error: unknown) => {
        ifAbsent(error);
        return false;
      },
    );
  }

  makeFolder(path: string, signal: Signal): Promise<void> {
    return this.#call(signal, (sftp, done) => sftp.mkdir(path, (error) => done(error, undefined)));
  }

  /** Entries as the server gives them, in any order. */
  async *list(path: string, signal: Signal): AsyncGenerator<FileEntryWithStats, void, undefined> {
    const handle = await this.#call<Buffer>(signal, (sftp, done) => sftp.opendir(path, done));
    try {
      for (;;) {
        yield* await this.#call<readonly FileEntryWithStats[]>(signal, (sftp, done) =>
          sftp.readdir(handle, done),
        );
      }
    } catch (error) {
      if (!isEndOfFile(error)) throw error;
    } finally {
      this.#closeUnheard(handle);
    }
  }

  /** Undefined where the server does not tell. */
  async freeBytes(path: string, signal: Signal): Promise<number | undefined> {
    const stats = this.#call<{ f_frsize: number; f_bavail: number } | undefined>(signal, (sftp, done) =>
      sftp.ext_openssh_statvfs(path, (error: Error | undefined, info: unknown) => done(error, info as never)),
    );
    const found = await stats.catch((error: unknown) => {
      ifUnsupported(error);
      return undefined;
    });
    return found && found.f_frsize * found.f_bavail;
  }

  async #call<T>(signal: Signal, start: (sftp: SFTPWrapper, done: Done<T>) => void): Promise<T> {
    const sftp = await abortable(this.#connection.session(), signal);
    const answer = new Promise<T>((resolve, reject) => {
      start(sftp, (error, value) =>
        error ? reject(isEndOfFile(error) ? error : sftpError(error)) : resolve(value),
      );
    });
    return abortable(answer, signal);
  }

  #close(handle: Buffer): Promise<void> {
    return this.#call(undefined, (sftp, done) => sftp.close(handle, (error) => done(error, undefined)));
  }

  #closeUnheard(handle: Buffer): void {
    this.#close(handle).catch(() => {});
  }

  async #readAt(handle: Buffer, at: number, length: number, signal: Signal): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(length);
    const read = this.#call<number>(signal, (sftp, done) =>
      sftp.read(handle, buffer, 0, length, at, (error, count) => done(error, count)),
    );
    const count = await read.catch((error: unknown) => {
      if (isEndOfFile(error)) return 0;
      throw error;
    });
    return buffer.subarray(0, count);
  }

  async #sizeOf(handle: Buffer, signal: Signal): Promise<number> {
    return (await this.#call<{ size: number }>(signal, (sftp, done) => sftp.fstat(handle, done))).size;
  }
}

const statOf = (stats: Stats): SftpStat => ({
  isFile: stats.isFile(),
  isFolder: stats.isDirectory(),
  size: stats.size,
  modifiedUnixMs: 1000 * stats.mtime,
});

/** Keeps several requests under way and yields their answers in order. A short answer is asked for again. */
async function* readAhead(
  offset: number,
  length: number,
  readAt: (at: number, step: number) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const end = offset + length;
  const asked: { readonly at: number; readonly step: number; readonly answer: Promise<Uint8Array> }[] = [];
  let next = offset;
  const ask = (): void => {
    if (next >= end) return;
    const step = Math.min(STEP_BYTES, end - next);
    const answer = readAt(next, step);
    answer.catch(() => {});
    asked.push({ at: next, step, answer });
    next += step;
  };
  for (let i = 0; i < STEPS_AT_ONCE; i++) ask();
  for (let request = asked.shift(); request !== undefined; request = asked.shift()) {
    const { at, step } = request;
    let piece = await request.answer;
    let got = 0;
    for (;;) {
      if (piece.length === 0) throw rangeBeyondEnd(offset, length, at + got);
      yield piece;
      got += piece.length;
      if (got === step) break;
      piece = await readAt(at + got, step - got);
    }
    ask();
  }
}

function ifAbsent(error: unknown): undefined {
  if (!isHoldfastError(error, 'NotFound')) throw error;
}

/** The library throws a plain error where the server did not announce an extension. */
function ifUnsupported(error: unknown): void {
  const announced = !(error instanceof Error && /does not support this extended request/.test(error.message));
  if (announced && !(isHoldfastError(error) && error.code === 'unsupported')) throw error;
}
