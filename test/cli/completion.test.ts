import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { commands } from '../../src/cli/app.ts';
import { offered as answered } from '../../src/cli/commands/offer.ts';
import { SHELLS } from '../../src/cli/shell/completion.ts';
import { absent } from '../helpers/absent.ts';
import { CliVault, start } from '../helpers/cli.ts';

type Shell = keyof typeof SHELLS;

let folder: string;
const scriptOf = (shell: Shell): string => join(folder, `holdfast.${shell}`);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-completion-'));
  for (const shell of ['bash', 'zsh', 'fish'] as const)
    writeFileSync(scriptOf(shell), SHELLS[shell](commands()));
  writeFileSync(join(folder, 'holdfast'), PROGRAM, { mode: 0o755 });
});

/** Stands for the program that the scripts ask: it keeps what it was asked. */
const PROGRAM = `#!/bin/sh
printf '%s\n' "$@" > "$(dirname "$0")/asked"
if [ "$3" = providers ]; then printf '%s\n' north nowhere; exit; fi
printf '%s\n' kelp kelpie 'two words' a:b:c photos/ | grep "^$4"
`;
const asked = (): string[] => linesOf(readFileSync(join(folder, 'asked'), 'utf8'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, {
    encoding: 'utf8',
    timeout: 20_000,
    cwd: folder,
    env: { PATH: `${folder}:${process.env.PATH}` },
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
    const stubs = `compdef() { :; }; _describe() { print -rl -- \${commands%%:*}; }; _arguments() { print -rl -- \${@[3,-1]}; for it in $@; do [[ $it != *' _holdfast_offer '* ]] || eval \${it##*:}; done; }`;
    const completing = `compadd() { print -rl -- \${@[$@[(i)--]+1,-1]}; }; PREFIX='${words.at(-1)}'`;
    const typed = `words=(${words.map((word) => `'${word}'`).join(' ')}); CURRENT=${words.length}`;
    const said = linesOf(
      run('zsh', '-f', '-c', `${stubs}; ${completing}; . ${scriptOf('zsh')}; ${typed}; _holdfast`),
    );
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

  it.runIf(isHere)('asks the program for names of objects and ids of providers', () => {
    expect(offer('holdfast', 'get', '--home', 'there', 'kel')).toEqual(['kelp', 'kelpie']);
    expect(asked().slice(0, 4)).toEqual(['offer', '--', 'objects', 'kel']);
    expect(asked().join(' ')).toContain('get --home there');
    expect(offer('holdfast', 'providers', 'lost', 'no')).toEqual(['north', 'nowhere']);
    expect(asked().slice(0, 4)).toEqual(['offer', '--', 'providers', 'no']);
    expect(offer('holdfast', 'receipts', 'show', 'no')).toEqual([]);
  });

  it('is what the program prints', async () => {
    const { code, stdout } = await start(['completion', shell]).outcome;
    expect([code, stdout.toString()]).toEqual([0, SHELLS[shell](commands())]);
  });
});

describe.runIf(spawnSync('bash', ['--version']).error === undefined)('names in bash', () => {
  it('are quoted, and completed behind a colon, where bash takes words apart', () => {
    expect(offered.bash(['holdfast', 'get', 'two'])).toEqual(['two\\ words']);
    expect(offered.bash(['holdfast', 'get', '"two'])).toEqual(['two words']);
    expect(offered.bash(['holdfast', 'get', 'a', ':', 'b'])).toEqual(['b:c']);
    expect(asked()[3]).toBe('a:b');
    expect(offered.bash(['holdfast', 'get', 'kelp', 'kel'])).toEqual([]);
  });
});

describe('what the scripts ask', () => {
  const ask = async (home: string, what: string, word: string, env = {}): Promise<unknown[]> => {
    const words = ['offer', '--', what, word, 'get', '--home', home];
    const { code, stdout, stderr } = await start(words, { input: new Uint8Array(0), env }).outcome;
    return [code, stdout.toString(), stderr];
  };

  it('is answered with ids of providers, without opening the vault', async () => {
    const io = { env: {}, cwd: folder };
    expect(await answered(io, 'providers', 'p1', ['--home', join(folder, 'absent')])).toEqual(['p1']);
  });

  it('is answered with nothing, and in silence, where no vault is or its passphrase would be asked', async () => {
    const home = join(folder, 'wrapped');
    expect(await ask(home, 'objects', '')).toEqual([0, '', '']);
    const env = { HOLDFAST_PASSPHRASE: 'a passphrase' };
    expect((await start(['init', '--home', home], { env }).outcome).code).toBe(0);
    expect(await ask(home, 'objects', '')).toEqual([0, '', '']);
  });

  it('is answered with nothing after a moment, where the state cannot be reached', async () => {
    const server = createServer(() => {}).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const vault = await CliVault.create();
    onTestFinished(async () => {
      server.close();
      await vault.remove();
    });
    const own = join(vault.home, 'storage.toml');
    const engine = '[engine]\ndefault = "postgres"\npostgres_schema = "far"\npostgres_wait_ms = 600000\n';
    writeFileSync(own, `${readFileSync(own, 'utf8')}\n${engine}`);
    const { port } = server.address() as AddressInfo;
    const env = { HOLDFAST_POSTGRES_URL: `postgres://somebody@127.0.0.1:${port}/vaults` };
    expect(await ask(vault.home, 'objects', '', env)).toEqual([0, '', '']);
  });

  it('is answered with names, each cut at the next slash', async () => {
    const vault = await CliVault.create();
    onTestFinished(() => vault.remove());
    const open = await vault.open();
    for (const name of ['maps/zürich', 'maps/bern', 'maps', 'turned\u202eround', 'other'])
      await open.putObject(new Uint8Array(10), { name });
    const io = { env: { HOLDFAST_AGENT: 'off' }, cwd: folder };
    const names = (word: string): Promise<string[]> => answered(io, 'objects', word, vault.flags);
    await open.close();
    expect(await names('')).toEqual(['maps', 'maps/', 'other']);
    expect(await names('maps/')).toEqual(['maps/bern', 'maps/zürich']);
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
