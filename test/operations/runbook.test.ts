import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CliVault, start } from '../helpers/cli.ts';
import { codeIn, commandLines } from '../helpers/documents.ts';
import { blobsIn, flipBit } from '../helpers/files.ts';
import { noise } from '../helpers/vault.ts';

/** Every command of the runbook, typed on a vault that is in the state that the section is about. */

const PAGE = await readFile(
  fileURLToPath(new URL('../../docs/operations/runbook.md', import.meta.url)),
  'utf8',
);

interface Step {
  readonly words: readonly string[];
  readonly expected: readonly string[];
  /** What the page says that `echo $?` prints. */
  readonly exitCode?: number;
}

interface Section {
  readonly title: string;
  readonly steps: readonly Step[];
}

const SECTIONS: readonly Section[] = PAGE.split(/^## /m)
  .slice(1)
  .map((text) => ({
    title: text.slice(0, text.indexOf('\n')),
    steps: codeIn(text).flatMap((code) =>
      code.kind === 'block' && code.language === 'console' ? stepsOf(code.text) : [],
    ),
  }))
  .filter(({ steps }) => steps.length > 0);

function stepsOf(block: string): Step[] {
  const steps: Step[] = [];
  for (const part of block.split(/^\$ /m).slice(1)) {
    const [typed = '', ...lines] = part.trimEnd().split('\n');
    const last = steps.at(-1);
    if (typed === 'echo $?' && last !== undefined)
      steps[steps.length - 1] = { ...last, exitCode: Number(lines[0]) };
    else {
      const text = `$ ${typed}\n`;
      const [words = []] = commandLines({ kind: 'block', language: 'console', text });
      steps.push({ words, expected: lines.filter((line) => line.trim() !== '…') });
    }
  }
  return steps;
}

/** What has happened to the vault before somebody opens the page at a section. */
const HAPPENED: Readonly<Record<string, (home: string) => Promise<void>>> = {
  'A provider does not answer': (home) => rm(join(home, 'providers/p3'), { recursive: true }),
  'A provider is gone for good': (home) => rm(join(home, 'providers/p3'), { recursive: true }),
  'Bytes have rotted at a provider': async (home) => {
    const blobs = await blobsIn(join(home, 'providers/p5'));
    const sizes = await Promise.all(
      blobs.map(async (path) => ({ path, size: (await readFile(path)).length })),
    );
    await flipBit(sizes.sort((a, b) => b.size - a.size)[0]!.path, 72_000);
  },
  'Every command is refused with exit code 2': async (home) => {
    const file = join(home, 'storage.toml');
    await writeFile(file, `${await readFile(file, 'utf8')}\n[placement]\nmin_tolerate = 2\n`);
  },
  'All names are gone': (home) => rm(join(home, 'engine'), { recursive: true }),
};

let base: CliVault;
beforeAll(async () => {
  base = await CliVault.create();
  for (const [name, bytes] of [
    ['a.bin', 300_000],
    ['b.bin', 2000],
  ] as const) {
    const { code, stderr } = await base.run(['put', '-', '--name', name], { input: noise(bytes) });
    expect([code, stderr]).toEqual([0, '']);
  }
});
afterAll(() => base.remove());

/** A line of the page as a pattern. */
const pattern = (line: string): RegExp =>
  new RegExp(
    `^${line
      .trimEnd()
      .split('…')
      .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(/ +/g, ' +'))
      .join('.*')}$`,
  );

it.each(SECTIONS)('$title', async ({ title, steps }) => {
  const home = await mkdtemp(join(tmpdir(), 'holdfast-runbook-'));
  try {
    await cp(base.home, home, { recursive: true, preserveTimestamps: true });
    await HAPPENED[title]?.(home);
    for (const { words, expected, exitCode } of steps) {
      const env = { HOLDFAST_HOME: home };
      const { code, stdout, stderr } = await start(words, { env, input: new Uint8Array(0) }).outcome;
      const said = `${stdout}${stderr}`.split('\n').map((line) => line.trimEnd());
      let from = 0;
      for (const line of expected) {
        const at = said.findIndex((one, i) => i >= from && pattern(line).test(one));
        expect(
          at,
          `holdfast ${words.join(' ')} does not say "${line}" but\n${said.join('\n')}`,
        ).toBeGreaterThanOrEqual(0);
        from = at + 1;
      }
      if (exitCode !== undefined) expect([words.join(' '), code]).toEqual([words.join(' '), exitCode]);
    }
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

it('is about sections that there are', () => {
  const titles = SECTIONS.map(({ title }) => title);
  expect(Object.keys(HAPPENED).filter((title) => !titles.includes(title))).toEqual([]);
  const commands = SECTIONS.flatMap(({ steps }) => steps);
  expect(commands.length).toBeGreaterThan(15);
  console.log(`runbook: ${SECTIONS.length} sections, ${commands.length} commands typed`);
});
