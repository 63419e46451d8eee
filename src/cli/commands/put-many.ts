import { asHoldfastError, type HoldfastError } from '../../core/errors.ts';
import type { PutResult } from '../../pipeline/put/put-result.ts';
import type { Vault } from '../../vault/vault.ts';
import { EXIT, type ExitCode, exitCodeOf, worstOf } from '../exit-codes.ts';
import type { CommonFlags, ProfileFlags } from '../flags.ts';
import { bytes, counted, seconds } from '../format.ts';
import { type Io, note, output } from '../io.ts';
import { Profile, renderProfile } from '../profile.ts';
import { Progress } from '../progress.ts';
import { openSource } from '../source-file.ts';
import { findSources, type Source } from '../sources/sources.ts';
import { exitOfPut, putWarnings, resumeNotes } from '../warnings.ts';
import { withVault } from '../with-vault.ts';

export interface PutManyFlags extends CommonFlags, ProfileFlags {
  readonly prefix?: string;
  readonly contentType?: string;
  readonly minTolerates?: number;
  readonly noResume: boolean;
}

/** Small files mostly wait: so many are stored at a time. */
const AT_ONCE = 4;

interface Outcome extends Source {
  readonly result?: PutResult;
  readonly error?: HoldfastError;
}

/** Stores several files, each an object of its own. One that fails does not keep the others from being stored. */
export async function putMany(io: Io, flags: PutManyFlags, words: readonly string[]): Promise<ExitCode> {
  const { files, failures } = await findSources(words, flags.prefix ?? '', io);
  const profile = flags.profile ? new Profile() : undefined;
  const report = new Report(io, flags.json, files.length);
  for (const { file, error } of failures) report.failed(file, error);
  if (files.length > 0) {
    await withVault(io, flags, (vault) => putAll(io, vault, flags, files, report), profile);
  }
  report.end(profile);
  return report.exitCode;
}

async function putAll(
  io: Io,
  vault: Vault,
  flags: PutManyFlags,
  files: readonly Source[],
  report: Report,
): Promise<void> {
  const store = (source: Source): Promise<Outcome> => putOne(io, vault, flags, source);
  for await (const outcome of inOrder(files, AT_ONCE, store, () => !io.signal.aborted)) report.add(outcome);
}

async function putOne(io: Io, vault: Vault, flags: PutManyFlags, source: Source): Promise<Outcome> {
  try {
    const handle = await openSource(source.file);
    try {
      const { contentType, minTolerates, noResume } = flags;
      const options = { name: source.name, contentType, minTolerates, resume: !noResume, signal: io.signal };
      return { ...source, result: await vault.putObject(handle, options) };
    } finally {
      await handle.close();
    }
  } catch (error) {
    return { ...source, error: asHoldfastError(error) };
  }
}

/** A line for each file as it is done, and one for all of them at the end. */
class Report {
  readonly #io: Io;
  readonly #json: boolean;
  readonly #of: number;
  readonly #progress: Progress;
  readonly #started = performance.now();
  readonly #codes: ExitCode[] = [];
  readonly #said = new Set<string>();
  readonly #total = { stored: 0, failed: 0, size: 0, storedBytes: 0 };
  #done = 0;

  constructor(io: Io, json: boolean, of: number) {
    this.#io = io;
    this.#json = json;
    this.#of = of;
    this.#progress = new Progress(io, 'put', json, (count) => counted(Math.floor(count), 'file'));
  }

  get exitCode(): ExitCode {
    return worstOf([...this.#codes, this.#io.signal.aborted ? EXIT.interrupted : EXIT.done]);
  }

  add({ file, name, result, error }: Outcome): void {
    this.#progress.end();
    // Interrupted, not failed.
    if (error?.kind === 'Aborted' && this.#io.signal.aborted) {
      if (error.code === 'put_interrupted') this.failed(file, error);
      return;
    }
    if (result !== undefined) this.#stored(file, name, result);
    else this.failed(file, error!);
    this.#progress.update(++this.#done, this.#of);
  }

  failed(file: string, error: HoldfastError): void {
    this.#total.failed++;
    this.#codes.push(exitCodeOf(error));
    if (this.#json) output(this.#io, true, { file, error: error.toJSON() }, () => '');
    else note(this.#io, `holdfast: ${file} was not stored: ${error.message}`);
    if (error.hint !== undefined) this.#once(`  ${error.hint}`);
  }

  end(profile: Profile | undefined): void {
    this.#progress.end();
    const { stored, failed, size, storedBytes } = this.#total;
    const untried = this.#of - this.#done;
    const ms = performance.now() - this.#started;
    const profiled = profile?.result();
    if (profiled !== undefined && !this.#json) note(this.#io, renderProfile(profiled));
    const summary = { stored, failed, untried, size, storedBytes, seconds: ms / 1000, profile: profiled };
    output(this.#io, this.#json, { summary }, () =>
      [
        `${counted(stored, 'file')} stored`,
        ...(failed > 0 ? [`${failed} failed`] : []),
        ...(untried > 0 ? [`${untried} not tried`] : []),
        `${bytes(size)}, at the providers ${bytes(storedBytes)}, in ${seconds(ms)}`,
      ].join('; '),
    );
  }

  #stored(file: string, name: string, result: PutResult): void {
    this.#total.stored++;
    this.#codes.push(exitOfPut(result));
    this.#total.size += result.size;
    this.#total.storedBytes += result.stored;
    for (const line of resumeNotes(result)) if (!this.#json) note(this.#io, `${file}: ${line}`);
    for (const warning of putWarnings(result)) this.#once(warning);
    const { tolerates, domains } = result.certificate;
    output(
      this.#io,
      this.#json,
      { file, ...result },
      () => `${bytes(result.size).padStart(9)}  any ${tolerates} of ${domains.count} may vanish  ${name}`,
    );
  }

  /** What holds for many files is said once. */
  #once(text: string): void {
    if (this.#json || this.#said.has(text)) return;
    this.#said.add(text);
    note(this.#io, text);
  }
}

/**
 * Does `work` for each item, some at the same time, and yields the outcomes in the order of the items. `work` does not
 * throw. Items that `more` no longer asks for are left out.
 */
async function* inOrder<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
  more: () => boolean,
): AsyncGenerator<R> {
  const running: Promise<R>[] = [];
  for (const item of items) {
    if (!more()) break;
    running.push(work(item));
    if (running.length >= width) yield await running.shift()!;
  }
  while (running.length > 0) yield await running.shift()!;
}
