import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { abortable } from '../../core/abort.ts';
import { errnoText, isFull } from '../../core/errno.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { Damage } from '../../object/damage.ts';
import type { ObjectReader } from '../../vault/reader.ts';
import type { Vault } from '../../vault/vault.ts';
import { describeDamage, reasonsOf } from '../damage-text.ts';
import type { CliContext, CommonFlags, ProfileFlags } from '../flags.ts';
import { bytes, seconds } from '../format.ts';
import { type Io, note, output } from '../io.ts';
import { Profile, renderProfile } from '../profile.ts';
import { Progress } from '../progress.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

export interface GetFlags extends CommonFlags, ProfileFlags {
  readonly output?: string;
  readonly range?: string;
}

export default async function get(this: CliContext, flags: GetFlags, reference: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const range = parseRange(flags.range);
    const started = performance.now();
    const profile = flags.profile ? new Profile() : undefined;
    const work = async (vault: Vault): Promise<void> => {
      const object = await vault.getObject(reference, { ...range, signal: io.signal });
      await deliver(io, object, flags).catch((error: unknown) => {
        throw withReasons(error, object.damage);
      });
      for (const line of describeDamage(object.damage)) note(io, `warning: ${line}`);
      if (object.damage.length > 0) note(io, '  The bytes are right: they came from other shards.');
      const profiled = profile?.result();
      if (profiled !== undefined && !flags.json) note(io, renderProfile(profiled));
      if (toScreen(flags)) return;
      const { manifest, name, size, length, damage } = object;
      output(
        io,
        flags.json,
        { manifest, name, size, length, output: flags.output, damage, profile: profiled },
        () => `${bytes(length)} to ${flags.output} in ${seconds(performance.now() - started)}`,
      );
    };
    await withVault(io, flags, work, profile);
    return undefined;
  });
}

/** The refusal names the providers; what was found while reading says why. */
function withReasons(error: unknown, damage: readonly Damage[]): unknown {
  if (!isHoldfastError(error) || error.code !== 'undecodable') return error;
  return error.with({ context: { failures: reasonsOf(damage) } });
}

const toScreen = ({ output }: GetFlags): boolean => output === undefined || output === '-';

async function deliver(io: Io, object: ObjectReader, flags: GetFlags): Promise<void> {
  const progress = new Progress(io, 'get', flags.json || toScreen(flags));
  try {
    if (toScreen(flags)) await toStdout(io, object, flags.output === '-');
    else await toFile(flags.output!, object, (done) => progress.update(done, object.length));
  } finally {
    progress.end();
  }
}

/** @param asked that it goes there whatever it is. */
async function toStdout(io: Io, object: ObjectReader, asked: boolean): Promise<void> {
  let careful = !asked && io.stdout.isTTY === true;
  for await (const piece of object) {
    if (careful && isBinary(piece)) throw binaryToTerminal();
    careful = false;
    if (io.stdout.write(piece)) continue;
    // A broken output fires the signal, see main.ts.
    await abortable(once(io.stdout, 'drain'), io.signal, 'get');
  }
}

/**
 * Writes beside the target and renames, so that the target is the old file or the whole new one. What is no file, a
 * device or a pipe, is written to; a link is followed.
 */
async function toFile(named: string, object: ObjectReader, onBytes: (done: number) => void): Promise<void> {
  const target = await realpath(named).catch(() => named);
  const there = await stat(target).catch(() => undefined);
  if (there?.isDirectory()) throw cannotWrite(named, { code: 'EISDIR' });
  if (there !== undefined && !there.isFile()) return toDevice(target, object, onBytes);
  const part = `${target}.${process.pid}.part`;
  // What replaces a private file is as private.
  const mode = there === undefined ? undefined : there.mode & 0o777;
  const file = await open(part, 'wx', mode).catch((cause: NodeJS.ErrnoException) => {
    throw cannotWrite(target, cause);
  });
  try {
    if (mode !== undefined) await file.chmod(mode).catch(() => {}); // some file systems keep no modes
    await fill(file, object, onBytes);
    await file.close();
    await rename(part, target);
  } catch (thrown) {
    await file.close().catch(() => {});
    await rm(part, { force: true });
    throw (thrown as NodeJS.ErrnoException).code === undefined || thrown instanceof HoldfastError
      ? asHoldfastError(thrown)
      : cannotWrite(target, thrown as NodeJS.ErrnoException);
  }
}

async function toDevice(
  target: string,
  object: ObjectReader,
  onBytes: (done: number) => void,
): Promise<void> {
  let done = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of object) {
      yield piece;
      done += piece.length;
      onBytes(done);
    }
  };
  await pipeline(counted, createWriteStream(target)).catch((thrown: unknown) => {
    throw thrown instanceof HoldfastError ? thrown : cannotWrite(target, thrown as NodeJS.ErrnoException);
  });
}

async function fill(file: FileHandle, object: ObjectReader, onBytes: (done: number) => void): Promise<void> {
  let position = 0;
  for await (const piece of object.borrow()) {
    for (let at = 0; at < piece.length; ) {
      const { bytesWritten } = await file.write(piece, at, piece.length - at, position);
      at += bytesWritten;
      position += bytesWritten;
    }
    onBytes(position);
  }
}

function cannotWrite(target: string, cause: Pick<NodeJS.ErrnoException, 'code'>): HoldfastError {
  const [kind, code] = isFull(cause)
    ? (['QuotaExceeded', 'disk_full'] as const)
    : (['PermissionDenied', 'access_denied'] as const);
  const why = cause.code === 'ENOENT' ? 'there is no such folder' : errnoText(cause);
  const hint = 'Name another file with -o. Nothing was left there, and what was there before still is.';
  return new HoldfastError(kind, `cannot write ${target}: ${why}`, { code, hint, cause });
}

/** As much of the beginning tells what it is. */
const LOOK_AT = 8192;
/** A character of UTF-8 that the end cuts through has at most so many bytes before it. */
const MAX_CUT = 3;

/** Whether bytes are no text: a terminal would take some of them for commands. */
function isBinary(piece: Uint8Array): boolean {
  const head = piece.subarray(0, LOOK_AT);
  if (head.includes(0)) return true;
  for (let cut = 0; cut <= Math.min(MAX_CUT, head.length); cut++) {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(head.subarray(0, head.length - cut));
      return false;
    } catch {
      // Perhaps the last character is cut off.
    }
  }
  return true;
}

const binaryToTerminal = (): HoldfastError =>
  new HoldfastError('ConfigInvalid', 'this is no text, and it would go to the terminal', {
    code: 'binary_to_terminal',
    hint: 'Write it to a file with -o FILE, pipe it on, or insist with -o -.',
  });

interface ByteRange {
  readonly start?: number;
  readonly length?: number;
}

/** `FIRST-LAST`, `FIRST-` or `-SUFFIX`, as in HTTP: positions from 0, the last one included. */
function parseRange(text: string | undefined): ByteRange {
  if (text === undefined) return {};
  const match = /^(\d{1,15})?-(\d{1,15})?$/.exec(text);
  const [first, last] = [match?.[1], match?.[2]];
  if (first !== undefined && last === undefined) return { start: Number(first) };
  if (first !== undefined && last !== undefined && Number(last) >= Number(first)) {
    return { start: Number(first), length: Number(last) - Number(first) + 1 };
  }
  if (first === undefined && last !== undefined && Number(last) > 0) return { start: -Number(last) };
  throw new HoldfastError('ConfigInvalid', `"${text}" is not a range of bytes`, {
    code: 'bad_range',
    hint: 'Give FIRST-LAST (both from 0 and included), FIRST-, or -SUFFIX as in --range=-100.',
  });
}
