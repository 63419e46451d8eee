import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliVault, IDS, type Outcome, said, start } from '../helpers/cli.ts';
import { blobsIn } from '../helpers/files.ts';
import { noise } from '../helpers/vault.ts';

describe('the command line', () => {
  let cli: CliVault;
  const bytes = noise(300_000, 4);
  beforeAll(async () => {
    cli = await CliVault.create();
    await cli.run(['put', '-', '--name', 'x', '--content-type', 'text/plain'], { input: bytes });
  });
  afterAll(() => cli.remove());

  it('prints JSON for every command that prints', async () => {
    const commands = [
      ['ls'],
      ['stat', 'x'],
      ['verify', 'x'],
      ['providers'],
      ['providers probe'],
      ['manifests'],
      ['manifest', 'x'],
      ['recover'],
      ['plan', '--providers', '3,9'],
      ['put', '-', '--name', 'json'],
      ['get', 'json', '-o', join(cli.home, 'json-out')],
      ['rm', 'json'],
      ['providers maintenance', 'p1', 'on'],
      ['providers maintenance', 'p1', 'off'],
      ['providers init', 'p1'],
    ];
    for (const command of commands) {
      const outcome = await cli.run([...command, '--json']);
      expect(outcome.code, `${command}: ${said(outcome)}`).toBe(0);
      expect(() => JSON.parse(outcome.stdout.toString()), `${command}: ${said(outcome)}`).not.toThrow();
      expect(outcome.stderr).toBe('');
    }
    const failed = await cli.run(['get', 'nothing', '--json']);
    expect(JSON.parse(failed.stderr)).toMatchObject({ error: 'NotFound', code: 'name_not_found' });
    expect(failed.code).toBe(3);
    console.log(`command line: ${commands.length} commands print JSON`);
  });

  it('accounts for the time of a put and a get with --profile, stage by stage', async () => {
    const file = join(cli.home, 'profiled');
    const put = await cli.run(['put', '-', '--name', 'timed', '--profile', '--json'], { input: bytes });
    const get = await cli.run(['get', 'timed', '-o', file, '--profile', '--json']);
    const stagesOf = ({ stdout }: Outcome): string[] => {
      const { stages, cpuSeconds } = JSON.parse(stdout.toString()).profile;
      expect(cpuSeconds).toBeGreaterThan(0);
      for (const { seconds, times } of stages) expect(seconds >= 0 && times > 0).toBe(true);
      return stages.map(({ stage }: { stage: string }) => stage);
    };
    expect(stagesOf(put)).toEqual(
      expect.arrayContaining(['object-hash', 'compress', 'encrypt', 'encode', 'shard-hash', 'store']),
    );
    expect(stagesOf(get)).toEqual(expect.arrayContaining(['fetch', 'shard-check', 'decrypt']));
    const shown = await cli.run(['get', 'timed', '-o', file, '--profile']);
    expect(shown.stderr).toMatch(/stage +ms +times +each.*fetch.*s of processors/s);
  });

  it('says what a wrong command line lacks, with exit code 2', async () => {
    for (const args of [
      ['frobnicate'],
      ['get'],
      ['get', 'x', 'y'],
      ['get', 'x', '--nonsense'],
      ['get', 'x', '--range', 'abc'],
      ['get', 'x', '--range', '5-1'],
      ['put', '-', '--name', 'x', '--min-tolerates', 'many'],
      ['put', '-', '--name', ''],
      ['put', '-', '--name', 'b3:no'],
      ['put', '-', '--name', 'a\nb'],
      ['put', '-', '--name', 'n'.repeat(1025)],
      ['manifests', '--limit', '0'],
      ['manifest', 'b3:zz'],
      ['providers maintenance', 'p1', 'maybe'],
      ['plan', '--providers', '9', '--code', 'magic'],
    ] as string[][]) {
      const outcome = await cli.run(args);
      expect(outcome.code, `${args}: ${said(outcome)}`).toBe(2);
      expect(outcome.stderr.length, `${args}`).toBeGreaterThan(10);
      expect(outcome.stderr, `${args}`).not.toMatch(/ at .*\.js:/);
    }
  });

  it('uses its exit codes', async () => {
    const codes = new Map<string, number | null>();
    codes.set('not found', (await cli.run(['get', 'nothing'])).code);
    codes.set('unknown manifest', (await cli.run(['get', `b3:${'0'.repeat(64)}`])).code);
    codes.set('unknown file', (await cli.run(['put', '/no/such/file'])).code);
    codes.set('a folder', (await cli.run(['put', '/tmp'])).code);
    codes.set('unknown provider', (await cli.run(['providers maintenance', 'p77', 'on'])).code);
    codes.set(
      'no vault',
      (await start(['ls', '--home', join(cli.home, 'no')], { input: new Uint8Array(0) }).outcome).code,
    );
    codes.set('policy', (await cli.run(['put', '-', '--name', 'y', '--min-tolerates', '9'])).code);
    codes.set('range', (await cli.run(['get', 'x', '--range', '300000-'])).code);
    codes.set('rm of nothing', (await cli.run(['rm', 'nothing'])).code);
    codes.set('rm of no manifest', (await cli.run(['rm', `b3:${'1'.repeat(64)}`])).code);
    expect(Object.fromEntries(codes)).toEqual({
      'not found': 3,
      'unknown manifest': 3,
      'unknown file': 3,
      'a folder': 3,
      'unknown provider': 3,
      'no vault': 3,
      policy: 6,
      range: 2,
      'rm of nothing': 3,
      'rm of no manifest': 3,
    });
    console.log(`command line: exit codes ${[...codes].map(([what, code]) => `${what} ${code}`).join(', ')}`);
  });

  it('takes any name that can be typed', async () => {
    const names = ['a b', 'ünï/cødé 🪸', '-x', '--json', '..', '%00', '$(id)', 'n'.repeat(1024)];
    for (const [i, name] of names.entries()) {
      const put = await cli.run(['put', `--name=${name}`, '--', '-'], { input: Uint8Array.of(i) });
      expect(put.code, `${name}: ${said(put)}`).toBe(0);
      expect((await cli.run(['get', '--', name])).stdout, name).toEqual(Buffer.of(i));
    }
    const listed = JSON.parse((await cli.run(['ls', '--json'])).stdout.toString()) as { name: string }[];
    for (const name of names) expect(listed.map((entry) => entry.name)).toContain(name);
    const some = await cli.run(['ls', '--json', '--', '-']);
    expect(JSON.parse(some.stdout.toString()).map((entry: { name: string }) => entry.name)).toEqual([
      '--json',
      '-x',
    ]);
    for (const name of names.slice(2, 4)) expect((await cli.run(['rm', '--', name])).code, name).toBe(0);
    const files = ['-dash', 'with space', 'ü'];
    for (const file of files) await writeFile(join(cli.home, file), file);
    const put = await cli.run(['put', '--', ...files], { cwd: cli.home });
    expect(put.code, said(put)).toBe(0);
    for (const file of files) {
      expect((await cli.run(['get', '--', file])).stdout.toString()).toBe(file);
    }
  });

  it('ends quietly when nobody reads on', async () => {
    await cli.run(['put', '-', '--name', 'long'], { input: noise(3_000_000) });
    for (const command of [['get', 'long'], ['get', 'x'], ['ls'], ['manifest', 'x', '--json']]) {
      const { child, outcome } = cli.start(command);
      child.stdin.end();
      child.stdout.destroy();
      const ended = await outcome;
      expect(ended.stderr, `${command}`).toBe('');
      expect([0, 7], `${command}`).toContain(ended.code);
    }
    const shell = execFileSync(
      'sh',
      [
        '-c',
        '"$0" "$1" get "$2" --home "$3" | head -c 10 | wc -c',
        process.execPath,
        mainOf(),
        'long',
        cli.home,
      ],
      { encoding: 'utf8' },
    );
    expect(shell.trim()).toBe('10');
  });

  it('says so when the output cannot be written', async () => {
    for (const args of ['get x', 'ls', 'stat x']) {
      const shell = execFileSync(
        'sh',
        [
          '-c',
          `"$0" "$1" ${args} --home "$2" > /dev/full 2> "$2/err"; echo $?`,
          process.execPath,
          mainOf(),
          cli.home,
        ],
        { encoding: 'utf8' },
      );
      expect(shell.trim(), args).toBe('4');
      expect(await readFile(join(cli.home, 'err'), 'utf8'), args).toContain('the disk is full');
    }
  });

  it('gets to devices, pipes, links and standard output without replacing them', async () => {
    const fifo = join(cli.home, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const sum = execFileSync(
      'sh',
      [
        '-c',
        '("$0" "$1" get x -o "$2" --home "$3" >/dev/null &) ; sha256sum < "$2"',
        process.execPath,
        mainOf(),
        fifo,
        cli.home,
      ],
      { encoding: 'utf8' },
    );
    expect(sum.split(' ')[0]).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect((await lstat(fifo)).isFIFO()).toBe(true);

    await writeFile(join(cli.home, 'real'), 'old');
    await symlink('real', join(cli.home, 'link'));
    expect((await cli.run(['get', 'x', '-o', join(cli.home, 'link')])).code).toBe(0);
    expect((await lstat(join(cli.home, 'link'))).isSymbolicLink()).toBe(true);
    expect(Buffer.compare(await readFile(join(cli.home, 'real')), bytes)).toBe(0);

    const folder = join(cli.home, 'folder');
    await mkdir(folder);
    const toFolder = await cli.run(['get', 'x', '-o', folder]);
    expect(toFolder.code, said(toFolder)).toBe(1);
    expect((await readdir(cli.home)).filter((name) => name.endsWith('.part'))).toEqual([]);
    const dash = await cli.run(['get', 'x', '-o', '-']);
    expect(Buffer.compare(dash.stdout, bytes)).toBe(0);
    const missing = await cli.run(['get', 'x', '-o', join(cli.home, 'no', 'such')]);
    expect(missing.code, said(missing)).toBe(1);
    expect(missing.stderr).toContain('cannot write');
    const nothing = await cli.run(['get', 'no such', '-o', join(cli.home, 'real')]);
    expect(nothing.code).toBe(3);
    expect(Buffer.compare(await readFile(join(cli.home, 'real')), bytes)).toBe(0);
  });

  it('tells of a metrics file that cannot be written without undoing the work', async () => {
    const file = join(cli.home, 'metrics.txt');
    expect((await cli.run(['put', '-', '--name', 'm', '--metrics-file', file], { input: bytes })).code).toBe(
      0,
    );
    expect(await readFile(file, 'utf8')).toContain('storage_put_object_seconds');
    const put = await cli.run(['put', '-', '--name', 'm', '--metrics-file', '/no/such/file'], {
      input: bytes,
    });
    expect(put.stderr).toContain('/no/such/file');
    expect(put.code, said(put)).toBe(0);
  });

  it('ends promptly and without warnings', async () => {
    for (const command of [
      ['ls'],
      ['get', 'x'],
      ['put', '-', '--name', 'p'],
      ['verify', 'long'],
      ['providers probe'],
    ]) {
      const outcome = await cli.run(command, { input: bytes, env: { NODE_OPTIONS: '--trace-warnings' } });
      expect(outcome.stderr, `${command}`).toBe('');
      expect(outcome.code).toBe(0);
    }
  });
});

describe('removing', () => {
  it('leaves no blob, no manifest and no name', async () => {
    const cli = await CliVault.create();
    const put = await cli.run(['put', '-', '--name', 'x', '--json'], { input: noise(3_000_000) });
    const { manifest } = JSON.parse(put.stdout.toString());
    expect((await cli.run(['rm', 'x'])).code).toBe(0);
    for (const id of IDS) expect(await blobsIn(cli.providerRoot(id))).toEqual([]);
    expect((await cli.run(['get', 'x'])).code).toBe(3);
    expect((await cli.run(['get', manifest])).code).toBe(3);
    expect((await cli.run(['rm', 'x'])).code).toBe(3);
    expect(JSON.parse((await cli.run(['ls', '--json'])).stdout.toString())).toEqual([]);
    // And recovery does not bring it back.
    await rm(join(cli.home, 'engine'), { recursive: true });
    expect(JSON.parse((await cli.run(['recover', '--json'])).stdout.toString())).toMatchObject({
      names: 0,
      lost: [],
    });
    await cli.remove();
  });

  it('by the address of a manifest takes its name along', async () => {
    const cli = await CliVault.create();
    const first = await cli.run(['put', '-', '--name', 'x', '--json'], { input: noise(10_000) });
    expect((await cli.run(['rm', JSON.parse(first.stdout.toString()).manifest])).code).toBe(0);
    expect((await cli.run(['get', 'x'])).code).toBe(3);
    expect(JSON.parse((await cli.run(['ls', '--json'])).stdout.toString())).toEqual([]);
    const unnamed = await cli.run(['put', '-', '--json'], { input: noise(10_000) });
    const address = JSON.parse(unnamed.stdout.toString()).manifest;
    expect(Buffer.compare((await cli.run(['get', address])).stdout, noise(10_000))).toBe(0);
    expect((await cli.run(['rm', address])).code).toBe(0);
    expect((await cli.run(['get', address])).code).toBe(3);
    for (const id of IDS) expect(await blobsIn(cli.providerRoot(id))).toEqual([]);
    await cli.remove();
  });
});

function mainOf(): string {
  const dist = process.env.HOLDFAST_DIST ?? new URL('../../dist', import.meta.url).pathname;
  return join(dist, 'cli', 'main.js');
}
