import { execFile } from 'node:child_process';
import type { Reporter, TestModule } from 'vitest/node';

/**
 * Ends a run in which nothing happens any more. A test that waits in vain has a limit of its own; one that computes without
 * end has none, and the run would last until somebody looks. Tells which files were under way, and kills their processes,
 * which fails them.
 */
export default class HungReporter implements Reporter {
  readonly #patienceMs: number;
  readonly #underWay = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  /** @param patienceMs no test has ended for so long: longer than one may take. */
  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  onTestRunStart(): void {
    this.#heard();
  }

  onTestModuleStart(module: TestModule): void {
    this.#underWay.add(module.relativeModuleId);
    this.#heard();
  }

  onTestCaseResult(): void {
    this.#heard();
  }

  onTestModuleEnd(module: TestModule): void {
    this.#underWay.delete(module.relativeModuleId);
    this.#heard();
  }

  onTestRunEnd(): void {
    clearTimeout(this.#timer);
  }

  #heard(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end(), this.#patienceMs);
  }

  #end(): void {
    console.error(`\n Hung: no test has ended for ${this.#patienceMs / 1_000} s. Under way:`);
    for (const file of this.#underWay) console.error(`   ${file}`);
    process.exitCode = 1;
    // Where there is no `pkill`, nothing is left but to end.
    execFile('pkill', ['-KILL', '-P', `${process.pid}`], (error) => error && process.exit(1));
    this.#timer = setTimeout(() => process.exit(1), this.#patienceMs).unref();
  }
}
