import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliVault, MAIN, type Outcome, start } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';

const run = (...args: string[]): Promise<Outcome> => start(args, { input: new Uint8Array(0) }).outcome;
const noTrace = ({ stderr }: Outcome): void => expect(stderr).not.toMatch(/^ +at /m);

describe('help', () => {
  it('lists each command on a short line, and says where version, passphrase and exit codes are', async () => {
    const [none, long, word] = [await run(), await run('--help'), await run('help')];
    const text = none.stdout.toString();
    expect([long.stdout.toString(), word.stdout.toString()]).toEqual([text, text]);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
    for (const word of ['--version', 'HOLDFAST_PASSPHRASE_FILE', 'Exit codes']) expect(text).toContain(word);
    const put = await run('help', 'put');
    expect(put.stdout.toString()).toContain('[--content-type TYPE]');
  });

  it('is pointed at by every refusal of a command line', async () => {
    for (const [args, hint] of [
      [['frobnicate'], '`holdfast --help`'],
      [['put'], '`holdfast put --help`'],
      [['get', 'x', '--nonsense'], '`holdfast get --help`'],
      [['providers', 'maintenance', 'p1', 'maybe'], '`holdfast providers --help`'],
    ] as const) {
      const refused = await run(...args);
      expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining(hint)]);
    }
  });

  it('offers no option that a command does not heed', async () => {
    for (const command of [['init'], ['plan'], ['config'], ['demo'], ['providers', 'init']]) {
      expect((await run(...command, '--help')).stdout.toString()).not.toContain('--metrics-file');
    }
    expect((await run('demo', '--home', 'x')).code).toBe(2);
  });
});

describe('the demo', () => {
  it('plays through with a file of any size', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-demo-test-'));
    try {
      for (const size of [0, 100_000]) {
        const file = join(folder, `of ${size}`);
        await writeFile(file, noise(size));
        const demo = await run('demo', '--file', file, '--json');
        const { identical, steps } = JSON.parse(demo.stdout.toString());
        expect([demo.code, identical], demo.stderr).toEqual([0, true]);
        expect(steps.at(-1).result).toBe('identical');
        expect(steps.at(-2).result).toMatch(/^0 pieces gone; survives the loss of any [1-9]/);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('says what is wrong with the file', async () => {
    for (const [file, why] of [
      ['/no/such/file', 'there is no such file'],
      [tmpdir(), 'it is a folder'],
    ] as const) {
      const demo = await run('demo', '--file', file);
      expect([demo.code, demo.stderr]).toEqual([3, expect.stringContaining(why)]);
      noTrace(demo);
    }
  });
});

describe('a vault', () => {
  let cli: CliVault;
  const bytes = noise(10_000, 5);
  beforeAll(async () => {
    cli = await CliVault.create();
    await cli.run(['put', '-', '--name', 'x'], { input: bytes });
  });
  afterAll(() => cli.remove());

  it('takes `--flag=` for an empty value, and says what that means', async () => {
    const put = await cli.run(['put', '-', '--name=']);
    expect([put.code, put.stderr]).toEqual([2, expect.stringContaining('the name is empty')]);
    expect((await cli.run(['put', '--name=--profile=', '--', '-'])).code).toBe(0);
    expect((await cli.run(['rm', '--', '--profile='])).code).toBe(0);
  });

  it('says how to put a folder, and in words why a file cannot be read or written', async () => {
    const folder = await cli.run(['put', cli.home]);
    expect([folder.code, folder.stderr]).toEqual([3, expect.stringContaining('| holdfast put -')]);
    const into = await cli.run(['get', 'x', '-o', cli.home]);
    expect([into.code, into.stderr]).toEqual([1, expect.stringContaining('it is a folder')]);
    const below = await cli.run(['get', 'x', '-o', join(cli.home, 'no', 'such')]);
    expect(below.stderr).toContain('there is no such folder');
  });

  it('takes no folder for an empty input, and does not trip over a current folder that is gone', async () => {
    const shell = (script: string): string =>
      execFileSync('sh', ['-c', script, process.execPath, MAIN, cli.home], { encoding: 'utf8' });
    const put = shell('"$0" "$1" put - --name folder --home "$2" < "$2" 2>&1; echo "exit $?"');
    expect(put).toMatch(/it is a folder\nexit 3/);
    const gone = 'mkdir "$2/gone"; cd "$2/gone"; rmdir "$2/gone"';
    const ls = shell(`${gone}; "$0" "$1" ls 2>&1; echo "exit $?"`);
    expect(ls).toMatch(/current folder.*\n.*\nexit 3/);
  });

  it('gets over a private file without opening it to others', async () => {
    const file = join(cli.home, 'private');
    await writeFile(file, 'old', { mode: 0o600 });
    expect((await cli.run(['get', 'x', '-o', file])).code).toBe(0);
    expect((await readFile(file)).equals(bytes)).toBe(true);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('says whose folder it is when a provider cannot be set up', async () => {
    const root = cli.providerRoot('p1');
    await rm(root, { recursive: true });
    await writeFile(root, 'a file');
    const init = await cli.run(['providers init', 'p1']);
    expect([init.code, init.stderr]).toEqual([2, expect.stringContaining(root)]);
    noTrace(init);
    await rm(root);
    expect((await cli.run(['providers init', 'p1'])).code).toBe(0);
  });

  it('names the folder of a damaged state', async () => {
    const other = await CliVault.create();
    await other.run(['ls']);
    await writeFile(join(other.home, 'engine', 'CURRENT'), 'garbage');
    const ls = await other.run(['ls']);
    expect([ls.code, ls.stderr]).toEqual([5, expect.stringContaining(join(other.home, 'engine'))]);
    await other.remove();
  });

  it('is not made anew over the names of one whose key is gone', async () => {
    const other = await CliVault.create();
    const key = join(other.home, 'vault.key');
    await other.run(['put', '-', '--name', 'x'], { input: bytes });
    const kept = await readFile(key);
    await rm(key);
    const init = await other.run(['init', '--unwrapped']);
    expect([init.code, init.stderr]).toEqual([6, expect.stringContaining(key)]);
    const strange = await CliVault.create();
    await writeFile(key, await readFile(join(strange.home, 'vault.key')));
    const ls = await other.run(['ls']);
    expect([ls.code, ls.stderr]).toEqual([5, expect.stringContaining('this home belongs to vault')]);
    await writeFile(key, kept);
    expect((await other.run(['get', 'x'])).stdout.equals(bytes)).toBe(true);
    await Promise.all([other.remove(), strange.remove()]);
  });

  it('says why each provider is of no use when too many are gone', async () => {
    const other = await CliVault.create();
    await other.run(['put', '-', '--name', 'x'], { input: bytes });
    for (const id of ['p1', 'p2', 'p3', 'p4']) await rm(other.providerRoot(id), { recursive: true });
    const get = await other.run(['get', 'x']);
    expect(get.code).toBe(4);
    for (const id of ['p1', 'p2', 'p3', 'p4'])
      expect(get.stderr).toContain(`- ${id}: the folder of provider`);
    await other.remove();
  });

  it('that nobody answers for is not recovered', async () => {
    const home = join(cli.home, 'elsewhere');
    const key = join(cli.home, 'vault.key');
    const recovered = await run('recover', '--home', home, '--key', key);
    const copied = `copied the key file to ${join(home, 'vault.key')}`;
    expect([recovered.code, recovered.stderr]).toEqual([4, expect.stringContaining(copied)]);
    expect(await readFile(join(home, 'vault.key'))).toEqual(await readFile(key));
  });

  it('without names points at recovery', async () => {
    await rm(join(cli.home, 'engine'), { recursive: true });
    const ls = await cli.run(['ls']);
    expect([ls.code, ls.stderr]).toEqual([0, expect.stringContaining('holdfast recover')]);
    expect((await cli.run(['recover'])).code).toBe(0);
    expect((await cli.run(['ls'])).stderr).toBe('');
  });

  it('reads no file that it may not read, with exit code 1', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-denied-'));
    await mkdir(join(folder, 'shut'), { mode: 0o700 });
    await writeFile(join(folder, 'shut', 'file'), 'x');
    await chmod(folder, 0o755);
    const root = process.getuid?.() === 0;
    if (!root) await chmod(join(folder, 'shut'), 0);
    const uid = root ? 65_534 : undefined;
    const put = await start(['put', join(folder, 'shut', 'file')], { input: new Uint8Array(0), uid }).outcome;
    expect([put.code, put.stderr]).toEqual([1, expect.stringContaining('permission denied')]);
    await chmod(join(folder, 'shut'), 0o700);
    await rm(folder, { recursive: true });
  });
});
