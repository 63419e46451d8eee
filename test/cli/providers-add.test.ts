import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type AddFlags, collect } from '../../src/cli/add/collect.ts';
import { ADD_KINDS } from '../../src/cli/add/kinds.ts';
import { keepCredentials } from '../../src/cli/add/write.ts';
import type { Io } from '../../src/cli/io.ts';
import { loadConfig } from '../../src/config/load.ts';
import { renderProvider } from '../../src/config/render.ts';
import type { Answers } from '../../src/providers/setup.ts';
import { type Outcome, said, start } from '../helpers/cli.ts';
import { startService } from '../helpers/services.ts';

/** `holdfast providers add`: nothing is written that has not worked, and nothing else is changed. */

let folder: string;
let home: string;
const own = (): string => join(home, 'storage.toml');
const run = (args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> =>
  start([...args, '--home', home], { input: new Uint8Array(0), cwd: folder, env }).outcome;
const add = (args: readonly string[], env?: Record<string, string>): Promise<Outcome> =>
  run(['providers', 'add', ...args], env);
const textOf = (file: string): Promise<string | undefined> => readFile(file, 'utf8').catch(() => undefined);
const idsOf = (text: string): string[] =>
  loadConfig({ text, file: 'storage.toml', env: {}, home }).providers.map(({ id }) => id);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hf-add-'));
  home = join(folder, 'home');
});
afterEach(() => rm(folder, { recursive: true }));

it('makes a vault of the providers that were added one by one, in place of the first nine', async () => {
  for (const [args, id] of [
    [['folder', '--root', 'one', '--first'], 'folder'],
    [['folder', '--root', 'two'], 'folder-2'],
    [['folder', '--root', 'three', '--id', 'third'], 'third'],
  ] as const) {
    const added = await add([...args, '--json']);
    expect(JSON.parse(added.stdout.toString())).toMatchObject({ provider: id, adapter: 'fs', file: own() });
    expect(JSON.parse(added.stdout.toString()).trial.slots).toBe(true);
  }
  expect(idsOf((await textOf(own()))!)).toEqual(['folder', 'folder-2', 'third']);
  expect((await stat(own())).mode & 0o777).toBe(0o600);
  expect((await run(['init', '--unwrapped'])).code).toBe(0);
  await writeFile(join(folder, 'x'), 'x');
  expect(said(await run(['put', 'x', '--min-tolerates', '1']))).toContain('survives the loss of any');
  expect(await readdir(join(folder, 'one', 'tmp'))).toEqual([]);
});

it('adds a node with its token, and leaves all else in the configuration as it was', async () => {
  const node = await startService(['node', '--root', join(folder, 'node'), '--init', '--token', 'secret']);
  const before =
    '# mine\n[placement]   # and mine\nmin_tolerates = 0\n\n[[providers]]\nid = "a"\nadapter = "memory" # !';
  const file = join(folder, 'my.toml');
  await writeFile(file, before, { mode: 0o640 });
  const flags = ['node', '--url', node.url, '--env', 'token=NODE_TOKEN', '--config', file];
  const refused = await add(flags, { NODE_TOKEN: 'wrong' });
  expect(said(refused)).toMatch(/^5: /);
  const unset = await add(flags);
  expect(said(unset)).toMatch(/^2: .*NODE_TOKEN/s);
  expect(await textOf(file)).toBe(before);
  const added = await add(flags, { NODE_TOKEN: 'secret' });
  expect(said(added)).toMatch(/^0: node works/);
  const after = (await textOf(file))!;
  expect(after.startsWith(`${before}\n\n[[providers]]\nid = "node"\n`)).toBe(true);
  expect(after).not.toContain('secret');
  expect((await stat(file)).mode & 0o777).toBe(0o640);
});

it('writes nothing for a provider that does not work, or that it was not told enough of', async () => {
  const used = join(folder, 'used');
  await mkdir(used);
  await writeFile(join(used, 'mine'), '');
  for (const [args, code, text] of [
    [['node', '--url', 'http://127.0.0.1:9'], 4, /ECONNREFUSED/],
    [['folder', '--root', used], 2, /foreign files/],
    [['folder', '--root', '/dev/null/x'], 2, /is not a folder: \/dev\/null\/x.*at which one can be made/s],
    [['folder', '--root', '/proc/none/x'], 2, /cannot be made: \/proc\/none\/x.*at which one can be made/s],
    [['folder', '--root', 'p', '--id', 'p1'], 2, /providers\[0\] too/],
    [['folder', '--root', 'p', '--id', 'No!'], 2, /\bid\b/],
    [['aws', '--region', 'x'], 2, /needs --bucket, --env FIELD=VARIABLE or --credentials-file/],
    [['folder', '--root', 'p', '--bucket', 'b'], 2, /takes --root/],
    [['r3'], 2, /r2 \(Cloudflare R2\)/],
  ] as const) {
    const outcome = await add(args);
    expect(`${args}: ${said(outcome)}`).toMatch(text);
    expect(outcome.code).toBe(code);
  }
  expect(await textOf(own())).toBeUndefined();
  expect((await readdir(folder)).sort()).toEqual(['home', 'used']);
});

it('keeps the nine folders that a vault has, and gives none up that hold something', async () => {
  expect((await run(['init', '--unwrapped'])).code).toBe(0);
  await writeFile(join(folder, 'x'), 'x');
  expect((await run(['put', 'x'])).code).toBe(0);
  expect(said(await add(['folder', '--root', 'one', '--first']))).toMatch(/^5: .*holds blobs/s);
  expect((await add(['folder', '--root', 'one'])).code).toBe(0);
  expect(idsOf((await textOf(own()))!)).toEqual([
    ...Array.from({ length: 9 }, (_, i) => `p${i + 1}`),
    'folder',
  ]);
  expect((await run(['get', 'x'])).stdout.toString()).toBe('x');
});

it('moves what merely lies in the current folder into the home, where secrets may be named', async () => {
  await mkdir(join(folder, 'config'));
  const local = join(folder, 'config', 'storage.toml');
  const text = '[placement]\nmin_tolerates = 0\n';
  await writeFile(local, text);
  const keys = ['--env', 'access_key_id=A', '--env', 'secret_access_key=B'];
  const added = await add(['b2', '--bucket', 'b', '--region', 'us-west-004', ...keys, '--untried']);
  expect(said(added)).toMatch(/^0: b2 was not tried/);
  expect(await textOf(local)).toBe(text);
  const after = (await textOf(own()))!;
  expect(after.startsWith(text)).toBe(true);
  expect(idsOf(after)).toHaveLength(10);
  await writeFile(own(), 'providers = [{ id = "a", adapter = "memory" }]\n');
  expect(said(await add(['folder', '--root', 'one']))).toMatch(/^2: .*in one array/s);
});

const ANSWERS: Readonly<Record<string, string>> = {
  root: '/srv/shards',
  endpoint: 'https://s3.example.org',
  region: 'us-west-004',
  bucket: 'shards',
  prefix: 'a/b',
  account: '0123456789abcdef',
  url: 'https://example.org/dav/',
  host: 'example.org',
  port: '2222',
  username: 'me',
  hostKey: `SHA256:${'A'.repeat(43)}`,
};

it.each([...ADD_KINDS.keys()])(
  'asks on a terminal for all that %s needs, and no secret is in the table',
  async (name) => {
    const kind = ADD_KINDS.get(name)!;
    const asked = kind.secrets.filter(({ inFile, when }) => !inFile && when !== 'private_key');
    const secrets = asked.map(({ field }) => `the ${field}`);
    const noKey = kind.secrets.some(({ inFile }) => inFile) ? [''] : [];
    const lines = ['mine', ...kind.questions.map(({ flag }) => ANSWERS[flag]!), ...noKey, ...secrets];
    const flags: AddFlags = { noSlots: false, untried: false, first: false };
    const { id, answers, credentials } = await collect(terminal(lines), name, kind, flags, true, new Set());
    expect(id).toBe('mine');
    expect(answers).toEqual(
      Object.fromEntries(kind.questions.map(({ flag }) => [flag, ANSWERS[flag]])) as Answers,
    );
    if (secrets.length > 0) {
      expect(credentials).toEqual({
        typed: Object.fromEntries(asked.map(({ field }, i) => [field, secrets[i]])),
      });
    }
    const text = renderProvider({
      id,
      adapter: kind.adapter,
      ...kind.table(answers),
      ...(secrets.length > 0 ? { credentials: { file: 'c' } } : {}),
    });
    expect(idsOf(text)).toEqual(['mine']);
    expect(text).not.toContain('the ');
  },
);

it('takes a private key from its file, and overwrites no credentials', async () => {
  const keyFile = join(folder, 'id_ed25519');
  await writeFile(keyFile, 'the key');
  const flags: AddFlags = { noSlots: false, untried: false, first: false };
  const answers = ['', ...ADD_KINDS.get('sftp')!.questions.map(({ flag }) => ANSWERS[flag]!)];
  const typed = [...answers, keyFile, 'its passphrase'];
  const { credentials } = await collect(
    terminal(typed),
    'sftp',
    ADD_KINDS.get('sftp')!,
    flags,
    true,
    new Set(),
  );
  expect(credentials).toEqual({ typed: { private_key: 'the key', passphrase: 'its passphrase' } });
  const kept = await keepCredentials(home, 'attic', { password: 'a' });
  expect((await stat(kept)).mode & 0o777).toBe(0o600);
  await expect(keepCredentials(home, 'attic', { password: 'b' })).rejects.toMatchObject({
    code: 'credentials_exist',
  });
  expect(JSON.parse(await readFile(kept, 'utf8'))).toEqual({ password: 'a' });
});

/** A terminal at which these lines are typed, one a question. */
function terminal(typed: readonly string[]): Io {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode() {} });
  const lines = [...typed];
  const write = (text: string): boolean => {
    if (/: $/.test(text)) setImmediate(() => stdin.write(`${lines.shift() ?? ''}\r`));
    return true;
  };
  const stderr = Object.assign(new PassThrough(), { write });
  const io = { env: {}, cwd: '/', stdin, stdout: stderr, stderr, signal: new AbortController().signal };
  return io as unknown as Io;
}
