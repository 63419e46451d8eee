import type { UserConsoleLog } from 'vitest';
import type { Reporter, TestModule } from 'vitest/node';

const SAID = /^SKIPPED: (.*) \((.*)\)$/gm;
const WIDTH = 60;

/** Ends a run with a short table of what was not tested and why, so that a green run never hides a gap. */
export default class SkippedReporter implements Reporter {
  /** What is missing → what was not tested for want of it. */
  readonly #untested = new Map<string, Set<string>>();

  onUserConsoleLog({ content }: UserConsoleLog): void {
    for (const [, what, why] of content.matchAll(SAID)) this.#add(why!, what!);
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const counted = new Map<string, number>();
    for (const module of modules) {
      for (const test of module.children.allTests('skipped')) {
        const result = test.result();
        if (result.state !== 'skipped') continue;
        const note = result.note ?? '';
        counted.set(note, (counted.get(note) ?? 0) + 1);
      }
    }
    const noted = [...counted].map(
      ([note, count]) => [note || 'does not apply here', `${count} tests`] as const,
    );
    const rows = [
      ...[...this.#untested].map(([why, what]) => [why, [...what].join('; ')] as const),
      ...noted,
    ];
    if (rows.length === 0) return;
    console.log(
      `\n Not tested\n${rows.map(([why, what]) => `   ${clip(why).padEnd(WIDTH)}  ${clip(what)}`).join('\n')}\n`,
    );
  }

  #add(why: string, what: string): void {
    this.#untested.set(why, (this.#untested.get(why) ?? new Set()).add(what));
  }
}

const clip = (text: string): string => (text.length > WIDTH ? `${text.slice(0, WIDTH - 1)}…` : text);
