import { asHoldfastError, HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { describeCertificate } from '../../placement/certificate.ts';
import type { DeepResult, VerifyResult } from '../../upkeep/verify.ts';
import { internalsOf } from '../../vault/opened-vault.ts';
import type { Vault } from '../../vault/vault.ts';
import { describeDamage, reasonsOf } from '../damage-text.ts';
import { EXIT, type ExitCode, exitCodeOf, worstOf } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, counted } from '../format.ts';
import { type Io, note, output } from '../io.ts';
import { chunks, Progress } from '../progress.ts';
import { runCommand } from '../run-command.ts';
import { DamagedNames } from '../warnings.ts';
import { collected, withVault } from '../with-vault.ts';

export interface VerifyFlags extends CommonFlags {
  readonly all: boolean;
  readonly deep: boolean;
}

export default async function verify(
  this: CliContext,
  flags: VerifyFlags,
  reference: string | undefined,
): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    if (flags.all) return verifyAll(io, flags, reference ?? '');
    if (reference === undefined) throw nothingNamed();
    const progress = new Progress(io, 'verify', flags.json, chunks);
    const result = await withVault(io, flags, (vault) =>
      vault.verifyObject(reference, {
        signal: io.signal,
        deep: flags.deep,
        onProgress: ({ chunks: done, of }) => progress.update(done, of),
      }),
    ).finally(() => progress.end());
    output(io, flags.json, result, () => describe(result));
    return codeOf(result);
  });
}

/** 0 intact; 5 damaged but readable where bytes are wrong, 4 where shards are only missing or nothing is readable. */
function codeOf(result: VerifyResult): ExitCode {
  if (result.intact) return EXIT.done;
  return result.corrupt ? EXIT.integrity : EXIT.notEnough;
}

const verdictOf = ({ intact, readable }: VerifyResult): string =>
  intact ? 'intact' : readable ? 'damaged, readable' : 'damaged, NOT readable';

function nothingNamed(): HoldfastError {
  return new HoldfastError('ConfigInvalid', 'which object is to be verified?', {
    code: 'nothing_named',
    hint: 'Give a name or the address of a manifest, or --all.',
  });
}

function describeDeep({ plainBytes, chunksWithWrongParity, problem }: DeepResult): string[] {
  return [
    `content      ${problem === undefined ? `${bytes(plainBytes)} decrypted, as they were put` : problem.message}`,
    ...(chunksWithWrongParity === 0
      ? []
      : [`parity       wrong in ${counted(chunksWithWrongParity, 'chunk')}: put the object again`]),
  ];
}

function describe(result: VerifyResult): string {
  const { certificate, nodes } = result;
  return [
    `${result.name ?? result.manifest}: ${verdictOf(result)}`,
    `checked      ${counted(result.shards, 'shard')} of ${counted(result.chunks, 'chunk')}, ${bytes(result.bytesRead)} read`,
    `manifest     ${counted(nodes.total, 'node')}, each at ${nodes.leastCopies} or more providers`,
    `certificate  ${describeCertificate(certificate.live)}`,
    ...(certificate.live.tolerates === certificate.stored.tolerates
      ? []
      : [`as it was    ${describeCertificate(certificate.stored)}`]),
    ...(result.deep === undefined ? [] : describeDeep(result.deep)),
    ...describeDamage(result.damage).map((line) => `  - ${line}`),
  ].join('\n');
}

/** Verifies every object whose name starts with `prefix`, one after another: each takes many reads at a time itself. */
async function verifyAll(io: Io, flags: VerifyFlags, prefix: string): Promise<ExitCode> {
  const report = new Report(io, flags.json);
  const damaged = new DamagedNames();
  await withVault(io, flags, async (vault) => {
    const objects = await collected(
      vault.listObjects({ prefix, onDamaged: damaged.onDamaged, signal: io.signal }),
    );
    const names = objects.map(({ name }) => name);
    report.expect(names.length);
    for (const name of names) {
      if (io.signal.aborted) break;
      await verifyOne(io, vault, name, flags.deep, report);
    }
    const { metrics, policy } = internalsOf(vault).context;
    const { weakestOfAll: observed } = report;
    if (prefix === '' && observed !== undefined) metrics.survival(policy.minTolerates, observed);
  });
  report.end();
  return worstOf([report.exitCode, damaged.tell(io)]);
}

async function verifyOne(io: Io, vault: Vault, name: string, deep: boolean, report: Report): Promise<void> {
  try {
    report.add(name, await vault.verifyObject(name, { signal: io.signal, deep }));
  } catch (error) {
    if (io.signal.aborted) return;
    // Removed since the names were listed.
    if (isHoldfastError(error) && error.code === 'name_not_found') report.gone();
    else report.failed(name, error);
  }
}

class Report {
  readonly #io: Io;
  readonly #json: boolean;
  readonly #progress: Progress;
  readonly #codes: ExitCode[] = [];
  readonly #total = { intact: 0, damaged: 0, unreadable: 0, bytesRead: 0 };
  #weakest: number | undefined;
  #of = 0;
  #done = 0;

  constructor(io: Io, json: boolean) {
    this.#io = io;
    this.#json = json;
    this.#progress = new Progress(io, 'verify', json, (count) => counted(Math.floor(count), 'object'));
  }

  get exitCode(): ExitCode {
    return worstOf([...this.#codes, this.#io.signal.aborted ? EXIT.interrupted : EXIT.done]);
  }

  /** Losses that the weakest survives; −1 when one cannot be read. Undefined while not all have been tried. */
  get weakestOfAll(): number | undefined {
    if (this.#done < this.#of) return undefined;
    return this.#total.unreadable > 0 ? -1 : this.#weakest;
  }

  expect(objects: number): void {
    this.#of = objects;
  }

  add(name: string, result: VerifyResult): void {
    const total = this.#total;
    if (result.intact) total.intact++;
    else if (result.readable) total.damaged++;
    else total.unreadable++;
    total.bytesRead += result.bytesRead;
    const { tolerates, domains } = result.certificate.live;
    this.#weakest = Math.min(this.#weakest ?? tolerates, tolerates);
    this.#codes.push(codeOf(result));
    this.#print(result, () =>
      [
        `${name}: ${verdictOf(result)}${tolerates < 0 ? '' : `, any ${tolerates} of ${domains.count} may vanish`}`,
        ...reasonsOf(result.damage).map((reason) => `  - ${reason}`),
      ].join('\n'),
    );
  }

  failed(name: string, thrown: unknown): void {
    const error = asHoldfastError(thrown);
    this.#total.unreadable++;
    this.#codes.push(exitCodeOf(error));
    this.#print({ name, error: error.toJSON() }, () => `${name}: NOT verified: ${error.message}`);
  }

  gone(): void {
    this.#done++;
  }

  end(): void {
    this.#progress.end();
    const { intact, damaged, unreadable, bytesRead } = this.#total;
    const untried = this.#of - this.#done;
    const summary = { ...this.#total, untried, leastTolerates: this.#weakest };
    output(this.#io, this.#json, { summary }, () =>
      [
        `${counted(intact + damaged + unreadable, 'object')}: ${intact} intact`,
        `${damaged} damaged but readable`,
        `${unreadable} NOT readable`,
        ...(untried > 0 ? [`${untried} not tried`] : []),
        `${bytes(bytesRead)} read`,
      ].join(', '),
    );
    if (damaged > 0 && !this.#json)
      note(
        this.#io,
        '  Bring back providers that are away. `holdfast get` reads what is damaged, and a put of it makes it whole.',
      );
  }

  #print(data: unknown, text: () => string): void {
    this.#progress.end();
    output(this.#io, this.#json, data, text);
    this.#progress.update(++this.#done, this.#of);
  }
}
