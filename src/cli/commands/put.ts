import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { PutResult } from '../../pipeline/put/put-result.ts';
import { describeCertificate } from '../../placement/certificate.ts';
import type { Vault } from '../../vault/vault.ts';
import type { ExitCode } from '../exit-codes.ts';
import type { CliContext } from '../flags.ts';
import { bytes, seconds } from '../format.ts';
import { type Io, note, output } from '../io.ts';
import { Profile, type ProfileResult, renderProfile } from '../profile.ts';
import { Progress } from '../progress.ts';
import { runCommand } from '../run-command.ts';
import { openSource } from '../source-file.ts';
import { isSeveral } from '../sources/sources.ts';
import { stdinSource } from '../stdin-source.ts';
import { exitOfPut, putWarnings, resumeNotes } from '../warnings.ts';
import { withVault } from '../with-vault.ts';
import type { PutManyFlags } from './put-many.ts';

export interface PutFlags extends PutManyFlags {
  readonly name?: string;
}

export default async function put(this: CliContext, flags: PutFlags, ...words: string[]): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    if (flags.name !== undefined && flags.prefix !== undefined) throw nameAndMore('a --prefix');
    if (!(await isSeveral(words, io))) return putOne(io, flags, words[0]!);
    if (flags.name !== undefined) throw nameAndMore('several files');
    const { putMany } = await import('./put-many.ts');
    return putMany(io, flags, words);
  });
}

async function putOne(io: Io, flags: PutFlags, file: string): Promise<ExitCode> {
  const { prefix = '' } = flags;
  const name = flags.name ?? (file === '-' ? undefined : prefix + basename(file));
  const handle = file === '-' ? undefined : await openSource(file);
  try {
    const started = performance.now();
    const profile = flags.profile ? new Profile() : undefined;
    const work = (vault: Vault): Promise<PutResult> => putFrom(io, vault, handle, name, flags);
    const result = await withVault(io, flags, work, profile);
    report(io, { ...result, profile: profile?.result() }, flags.json, performance.now() - started);
    return exitOfPut(result);
  } finally {
    await handle?.close();
  }
}

function nameAndMore(what: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', `--name and ${what} do not go together`, {
    code: 'bad_sources',
    hint: 'Files are called by their own names, after a --prefix if there is one.',
  });
}

async function putFrom(
  io: Io,
  vault: Vault,
  handle: FileHandle | undefined,
  name: string | undefined,
  flags: PutFlags,
): Promise<PutResult> {
  const progress = new Progress(io, 'put', flags.json);
  try {
    return await vault.putObject(handle ?? stdinSource(io), {
      name,
      contentType: flags.contentType,
      minTolerates: flags.minTolerates,
      resume: handle !== undefined && !flags.noResume,
      signal: io.signal,
      onProgress: ({ bytesRead, totalBytes }) => progress.update(bytesRead, totalBytes),
    });
  } catch (error) {
    if (handle === undefined && io.signal.aborted) throw readOnce(error);
    throw error;
  } finally {
    progress.end();
  }
}

/** Why nothing is kept of a put that was cut off. */
function readOnce(error: unknown): unknown {
  if (!isHoldfastError(error, 'Aborted')) return error;
  return new HoldfastError('Aborted', error.message, {
    code: error.code,
    hint: 'Standard input cannot be read again, so nothing of it was kept: a put of a file goes on where it was interrupted.',
    cause: error,
  });
}

function report(
  io: Io,
  result: PutResult & { readonly profile: ProfileResult | undefined },
  json: boolean,
  ms: number,
): void {
  for (const line of resumeNotes(result)) note(io, line);
  for (const warning of putWarnings(result)) note(io, warning);
  if (result.name === undefined && !json) {
    note(io, `It has no name, so \`ls\` does not list it: get it with \`holdfast get ${result.manifest}\`.`);
  }
  if (result.profile !== undefined && !json) note(io, renderProfile(result.profile));
  output(io, json, result, () =>
    [
      `manifest     ${result.manifest}`,
      ...(result.name === undefined ? [] : [`name         ${result.name}`]),
      `size         ${bytes(result.size)}, stored ${bytes(result.stored)} in ${seconds(ms)}`,
      `certificate  ${describeCertificate(result.certificate)}`,
    ].join('\n'),
  );
}
