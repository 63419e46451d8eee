import { once } from 'node:events';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asHoldfastError, HoldfastError } from '../../core/errors.ts';
import type { ObjectReader } from '../../pipeline/get/get.ts';
import { describeDamage } from '../damage-text.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, seconds } from '../format.ts';
import { type Io, note, output } from '../io.ts';
import { Progress } from '../progress.ts';
import { parseRange } from '../range.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

export interface GetFlags extends CommonFlags {
  readonly output?: string;
  readonly range?: string;
}

export default async function get(this: CliContext, flags: GetFlags, reference: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const range = parseRange(flags.range);
    const started = performance.now();
    await withVault(io, flags, async (vault) => {
      const object = await vault.getObject(reference, { ...range, signal: io.signal });
      await deliver(io, object, flags);
      for (const line of describeDamage(object.damage)) note(io, `warning: ${line}`);
      if (object.damage.length > 0) note(io, '  The bytes are right: they came from other shards.');
      if (flags.output === undefined) return;
      const { manifest, name, size, length, damage } = object;
      output(
        io,
        flags.json,
        { manifest, name, size, length, output: flags.output, damage },
        () => `${bytes(length)} to ${flags.output} in ${seconds(performance.now() - started)}`,
      );
    });
    return undefined;
  });
}

async function deliver(io: Io, object: ObjectReader, flags: GetFlags): Promise<void> {
  const progress = new Progress(io, 'get', flags.json || flags.output === undefined);
  try {
    if (flags.output === undefined) await toStdout(io, object);
    else await toFile(flags.output, object, (done) => progress.update(done, object.length));
  } finally {
    progress.end();
  }
}

async function toStdout(io: Io, object: ObjectReader): Promise<void> {
  const broken = once(io.stdout, 'error').then(([error]) => {
    throw new HoldfastError('Aborted', 'whoever reads the output went away', { cause: error });
  });
  broken.catch(() => {});
  for await (const piece of object) {
    if (io.stdout.write(piece)) continue;
    await Promise.race([once(io.stdout, 'drain', { signal: io.signal }), broken]);
  }
}

/** Writes beside the target and renames, so that the target is the old file or the whole new one. */
async function toFile(target: string, object: ObjectReader, onBytes: (done: number) => void): Promise<void> {
  const part = `${target}.${process.pid}.part`;
  const file = await open(part, 'wx').catch((cause: NodeJS.ErrnoException) => {
    throw cannotWrite(target, cause);
  });
  try {
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

function cannotWrite(target: string, cause: NodeJS.ErrnoException): HoldfastError {
  const full = cause.code === 'ENOSPC' || cause.code === 'EDQUOT';
  return new HoldfastError(
    full ? 'QuotaExceeded' : 'PermissionDenied',
    `cannot write ${target}: ${full ? 'the disk is full' : (cause.code ?? cause.message)}`,
    { code: full ? 'disk_full' : 'access_denied', hint: `Nothing was left in ${dirname(target)}.`, cause },
  );
}
