import { systemClock } from '../core/clock.ts';
import { errnoText } from '../core/errno.ts';
import { HoldfastError } from '../core/errors.ts';
import { readNamedFile } from '../core/files.ts';
import { ask as askOn } from './ask.ts';
import type { Io } from './io.ts';

/**
 * From `HOLDFAST_PASSPHRASE`, else the file in `HOLDFAST_PASSPHRASE_FILE`, else asked on a terminal.
 * @param keyFile what it opens.
 */
export async function readPassphrase(io: Io, keyFile: string): Promise<string> {
  const given = await givenPassphrase(io);
  if (given !== undefined) return given;
  if (io.stdin.isTTY === true) return ask(io, `Passphrase of ${keyFile}: `);
  throw new HoldfastError(
    'ConfigInvalid',
    'the key file is wrapped and there is no terminal to ask for its passphrase',
    {
      code: 'passphrase_needed',
      hint: 'Set HOLDFAST_PASSPHRASE, or HOLDFAST_PASSPHRASE_FILE to a file that holds it.',
    },
  );
}

/**
 * A passphrase for a new key: asked twice on a terminal. Undefined when there is none to be had.
 * @throws HoldfastError `ConfigInvalid` (`passphrase_mismatch`) when it is empty, as that of an empty file is.
 */
export async function newPassphrase(io: Io): Promise<string | undefined> {
  const given = await givenPassphrase(io);
  if (given === undefined && io.stdin.isTTY !== true) return undefined;
  const first = given ?? (await ask(io, 'New passphrase: '));
  const again = given ?? (await ask(io, 'Once more: '));
  if (first === again && first.length > 0) return first;
  throw new HoldfastError('ConfigInvalid', first === again ? 'the passphrase is empty' : 'the two differ', {
    code: 'passphrase_mismatch',
    hint: 'Nothing was created; try again.',
  });
}

/** Undefined where the environment names none. @throws HoldfastError `ConfigInvalid` (`passphrase_file`). */
export async function givenPassphrase(io: Pick<Io, 'env'>): Promise<string | undefined> {
  if (io.env.HOLDFAST_PASSPHRASE) return io.env.HOLDFAST_PASSPHRASE;
  const file = io.env.HOLDFAST_PASSPHRASE_FILE;
  if (!file) return undefined;
  try {
    return (await readNamedFile(file, MAX_BYTES, systemClock)).replace(/\r?\n$/, '');
  } catch (cause) {
    throw new HoldfastError('ConfigInvalid', `cannot read the passphrase file ${file}: ${errnoText(cause)}`, {
      code: 'passphrase_file',
      hint: 'Check HOLDFAST_PASSPHRASE_FILE.',
      cause,
    });
  }
}

const MAX_BYTES = 64 * 1024;

const ask = (io: Io, question: string): Promise<string> =>
  askOn(io, question, { hidden: true, code: 'passphrase_needed' });
