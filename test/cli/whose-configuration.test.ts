import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { providersToml, said, start } from '../helpers/cli.ts';

const PASS = { HOLDFAST_PASSPHRASE: 'correct horse' };
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-whose-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const run = (args: readonly string[], cwd: string, env: Record<string, string> = {}) =>
  start(args, { cwd, env, input: new Uint8Array(0) }).outcome;

async function folder(name: string, files: Record<string, string> = {}): Promise<string> {
  const made = join(dir, name);
  await mkdir(join(made, 'config'), { recursive: true });
  for (const [file, text] of Object.entries(files)) await writeFile(join(made, file), text);
  return made;
}

describe('a home', () => {
  it('means the same from every folder', async () => {
    const home = join(dir, 'home');
    const from = await folder('from', { 'config/storage.toml': providersToml(4) });
    const elsewhere = await folder('elsewhere', { 'config/storage.toml': providersToml(2) });
    const made = await run(['init', '--unwrapped', '--home', home], from);
    expect(made.code, said(made)).toBe(0);
    expect(made.stdout.toString()).toContain(join(home, 'storage.toml'));
    expect((await stat(join(home, 'storage.toml'))).mode & 0o777).toBe(0o600);
    for (const cwd of [from, elsewhere, dir]) {
      const listed = await run(['providers', '--json', '--home', home], cwd);
      expect(JSON.parse(listed.stdout.toString()), said(listed)).toHaveLength(4);
    }
    // What is named wins.
    const named = ['--config', join(elsewhere, 'config/storage.toml')];
    const listed = await run(['providers', '--json', '--home', home, ...named], dir);
    expect(JSON.parse(listed.stdout.toString())).toHaveLength(2);
  });

  it('that keeps none, as older ones do, goes on with what lies in the folder', async () => {
    const home = join(dir, 'older');
    const from = await folder('older-from', { 'config/storage.toml': providersToml(3) });
    await run(['init', '--unwrapped', '--home', home], from);
    await rm(join(home, 'storage.toml'));
    const listed = await run(['providers', '--json', '--home', home], from);
    expect(JSON.parse(listed.stdout.toString())).toHaveLength(3);
  });

  it('made with the defaults does not change under a file that turns up', async () => {
    const at = await folder('defaults');
    await run(['init', '--unwrapped'], at);
    await writeFile(join(at, 'config/storage.toml'), providersToml(2));
    const listed = await run(['providers', '--json'], at);
    expect(JSON.parse(listed.stdout.toString())).toHaveLength(9);
    expect(await readFile(join(at, '.holdfast/storage.toml'), 'utf8')).toContain('[[providers]]');
  });
});

describe('a configuration that only lies in the current folder', () => {
  const hostile = (keys: string): string =>
    `${providersToml(1)}\n[[providers]]\nid = "evil"\nadapter = "http"\nurl = "http://127.0.0.1:9"\n${keys}`;

  it('runs no program, sends no secret and writes no file', async () => {
    const ran = join(dir, 'ran');
    const log = join(dir, 'log');
    const bad: readonly string[] = [
      hostile(`credentials = { command = ["touch", "${ran}"] }\n`),
      hostile('credentials = { env = { token = "AWS_SECRET_ACCESS_KEY" } }\n'),
      hostile('credentials = { file = "/root/.config/token.json" }\n'),
      `[gateway]\naccess_log = "${log}"\n`,
      `[gateway]\npublic = true\n`,
      `[node]\ntoken_file = "tokens.json"\n`,
      // What a vault knows would be kept in the database of whoever wrote it.
      `[engine]\ndefault = "postgres"\npostgres_url_file = "config/url"\n`,
      `[engine]\ndefault = "postgres"\npostgres_url_env = "SOME_OTHER"\n`,
    ];
    const home = join(dir, 'home-of-none');
    for (const [i, text] of bad.entries()) {
      const cwd = await folder(`bad-${i}`, { 'config/storage.toml': text });
      const refused = await run(['providers', 'probe', '--home', home], cwd, PASS);
      expect(refused.code, `${text}: ${said(refused)}`).toBe(2);
      expect(refused.stderr).toMatch(
        /config\/storage\.toml:\d+: .*does not count in a file that nobody named/,
      );
      // The same file counts once it is named.
      const named = await run(['config', '--home', home, '--config', 'config/storage.toml'], cwd, PASS);
      expect(named.code, said(named)).toBe(0);
    }
    expect(existsSync(ran) || existsSync(log)).toBe(false);
  });

  it('stops no command by being a pipe, a device or endless', async () => {
    const home = join(dir, 'home-of-none');
    const make: readonly ((file: string) => Promise<unknown>)[] = [
      async (file) => expect(spawnSync('mkfifo', [file]).status).toBe(0),
      (file) => symlink('/dev/zero', file),
      (file) => writeFile(file, ' '.repeat(2_000_000)),
      (file) => mkdir(file),
    ];
    for (const [i, at] of make.entries()) {
      const cwd = await folder(`odd-${i}`);
      await at(join(cwd, 'config/storage.toml'));
      const refused = await run(['config', '--home', home], cwd);
      expect(refused.code, said(refused)).toBe(2);
      expect(refused.stderr).toMatch(/cannot read the configuration|characters long/);
    }
  });

  it('may be that of a home that came with the folder', async () => {
    const at = await folder('cloned');
    await run(['init', '--unwrapped'], at);
    const own = join(at, '.holdfast/storage.toml');
    await writeFile(own, hostile('credentials = { command = ["true"] }\n'));
    await chmod(own, 0o644);
    const refused = await run(['config'], at);
    expect(refused.code, said(refused)).toBe(2);
    await chmod(own, 0o600);
    expect((await run(['config'], at)).code).toBe(0);
    await chmod(own, 0o644);
    expect((await run(['config', '--home', '.holdfast'], at)).code).toBe(0);
  });
});

describe('a variable of ours', () => {
  it('is no credential, in whichever configuration', async () => {
    const file = join(dir, 'named.toml');
    for (const keys of [
      'credentials = { env = { token = "HOLDFAST_PASSPHRASE" } }',
      'credentials = { command = ["true"], pass_env = ["HOLDFAST_PASSPHRASE"] }',
    ]) {
      await writeFile(
        file,
        `[[providers]]\nid = "a"\nadapter = "http"\nurl = "https://a.example"\n${keys}\n`,
      );
      const refused = await run(['config', '--config', file], dir, PASS);
      expect(refused.code, said(refused)).toBe(2);
      expect(refused.stderr).toMatch(/named\.toml:5: .*HOLDFAST_\*/);
    }
  });
});

describe('credentials over plain http', () => {
  it('are refused beyond this machine, with the line', async () => {
    const file = join(dir, 'clear.toml');
    const text = (url: string): string =>
      `[[providers]]\nid = "a"\nadapter = "http"\nurl = "${url}"\ncredentials = { env = { token = "T" } }\n`;
    await writeFile(file, text('http://node.example:7700'));
    const refused = await run(['config', '--config', file], dir);
    expect(refused.code, said(refused)).toBe(2);
    expect(refused.stderr).toMatch(/clear\.toml:4: providers\[0\]\.url: .*unencrypted/);
    for (const url of ['http://127.0.0.1:7700', 'http://localhost:7700', 'https://node.example']) {
      await writeFile(file, text(url));
      expect((await run(['config', '--config', file], dir)).code, url).toBe(0);
    }
  });
});
