import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/app.ts';
import { SHELLS } from '../../src/cli/shell/completion.ts';
import { absent } from '../helpers/absent.ts';
import { start } from '../helpers/cli.ts';

type Shell = keyof typeof SHELLS;

let folder: string;
const scriptOf = (shell: Shell): string => join(folder, `holdfast.${shell}`);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-completion-'));
  for (const shell of ['bash', 'zsh', 'fish'] as const)
    writeFileSync(scriptOf(shell), SHELLS[shell](commands()));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, {
    encoding: 'utf8',
    timeout: 20_000,
    cwd: folder,
    env: { PATH: process.env.PATH },
  });

/** What each shell offers where these words have been typed; the last one may be a part. */
const offered: Readonly<Record<Shell, (words: readonly string[]) => string[]>> = {
  bash(words) {
    const typed = words.map((word) => `'${word}'`).join(' ');
    const ask = `. ${scriptOf('bash')}; compopt() { :; }; COMP_WORDS=(${typed}); COMP_CWORD=${words.length - 1}; _holdfast`;
    return linesOf(run('bash', '--norc', '-c', `${ask}; printf '%s\\n' "\${COMPREPLY[@]}"`));
  },
  // Its own machinery needs a terminal; what the script asks of it is what is looked at.
  zsh(words) {
    const stubs = `compdef() { :; }; _describe() { print -rl -- \${commands%%:*}; }; _arguments() { print -rl -- \${@[3,-1]}; }`;
    const typed = `words=(${words.map((word) => `'${word}'`).join(' ')}); CURRENT=${words.length}`;
    const said = linesOf(run('zsh', '-f', '-c', `${stubs}; . ${scriptOf('zsh')}; ${typed}; _holdfast`));
    const names = said.flatMap((line) => {
      const [name, choices] = [
        /^(?:\([^)]*\)|\*)*(--?[a-z-]+|[a-z-]+$)/.exec(line)?.[1],
        /:\((.*)\)$/.exec(line)?.[1],
      ];
      return [...(name === undefined ? [] : [name]), ...(choices?.split(' ') ?? [])];
    });
    return names.filter((name) => name.startsWith(words.at(-1)!));
  },
  fish(words) {
    const said = run('fish', '-c', `source ${scriptOf('fish')}; complete -C "${words.join(' ')}"`);
    return linesOf(said).map((line) => line.split('\t')[0]!);
  },
};

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

describe.each(['bash', 'zsh', 'fish'] as const)('completion for %s', (shell) => {
  const offer = (...words: string[]): string[] => offered[shell](words).sort();
  const isHere = spawnSync(shell, ['--version']).error === undefined;
  beforeAll(() => {
    if (!isHere) absent(`${shell} is not installed`, `completion in ${shell}`);
  });

  it.runIf(isHere)('offers commands, and those below a group', () => {
    expect(offer('holdfast', 're')).toEqual(
      [
        'recode',
        'receipts',
        'recover',
        'rebalance',
        'repair-chunk',
        'repair-history',
        'repair-run',
        'replace',
      ].sort(),
    );
    expect(offer('holdfast', 'providers', 'ma')).toEqual(['maintenance']);
  });

  it.runIf(isHere)('offers the flags of the command that was typed, and of no other', () => {
    expect(offer('holdfast', 'put', '--pr')).toEqual(['--prefix', '--profile']);
    expect(offer('holdfast', 'gateway', '--no-s')).toEqual(['--no-sealed', '--no-static']);
    expect(offer('holdfast', 'lock', '--pr')).toEqual([]);
  });

  it.runIf(isHere)('offers the words that an argument may be', () => {
    const words = (...typed: string[]): string[] =>
      offer('holdfast', ...typed).filter((word) => !word.startsWith('-'));
    expect(words('completion', '')).toEqual(['bash', 'fish', 'zsh']);
    expect(words('providers', 'lost', 'p1', 'o')).toEqual(['off', 'on']);
  });

  it('is what the program prints', async () => {
    const { code, stdout } = await start(['completion', shell]).outcome;
    expect([code, stdout.toString()]).toEqual([0, SHELLS[shell](commands())]);
  });
});

it('knows every flag that the program itself lists', async () => {
  for (const path of [['put'], ['gateway'], ['providers', 'add']]) {
    const help = (await start([...path, '--help']).outcome).stdout.toString();
    const listed = new Set(help.match(/(?<=^ +(?:-\w )?\s*\[?)--[a-z][a-z-]*/gm));
    const known = commands().commands.find((entry) => entry.path.join() === path.join())!;
    const names = known.flags
      .map(({ name }) => name)
      .filter((name) => !name.startsWith('--no-') || listed.has(name));
    expect(names.sort()).toEqual([...listed].sort());
  }
});

it('refuses a shell that it does not know', async () => {
  expect((await start(['completion', 'csh']).outcome).code).toBe(2);
});
