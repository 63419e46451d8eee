import { asHoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { VerifyResult } from '../../upkeep/verify.ts';
import type { Vault } from '../../vault/open-vault.ts';
import { reasonsOf } from '../damage-text.ts';
import { EXIT, type ExitCode, exitCodeOf, worstOf } from '../exit-codes.ts';
import { bytes, counted } from '../format.ts';
import { type Io, note, output } from '../io.ts';
import { namesOf } from '../names-of.ts';
import { Progress } from '../progress.ts';
import { withVault } from '../with-vault.ts';
import { codeOf, type VerifyFlags, verdictOf } from './verify.ts';

/** Verifies every object whose name starts with `prefix`, one after another: each takes many reads at a time itself. */
export async function verifyAll(io: Io, flags: VerifyFlags, prefix: string): Promise<ExitCode> {
  const report = new Report(io, flags.json);
  await withVault(io, flags, async (vault) => {
    const names = (await namesOf(vault, io, prefix)).map(({ name }) => name);
    report.expect(names.length);
    for (const name of names) {
      if (io.signal.aborted) break;
      await verifyOne(io, vault, name, flags.deep, report);
    }
    const { metrics, policy } = vault.internals.context;
    const { weakestOfAll: observed } = report;
    if (prefix === '' && observed !== undefined) metrics.survival(policy.minTolerates, observed);
  });
  report.end();
  return report.exitCode;
}

async function verifyOne(io: Io, vault: Vault, name: string, deep: boolean, report: Report): Promise<void> {
  try {
    report.add(name, await vault.verify(name, { signal: io.signal, deep }));
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
