import { randomBytes, scryptSync } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { secureRandom } from '../../src/core/random.ts';
import { seal } from '../../src/keys/seal.ts';
import { CliVault, type Outcome, SLOW, said, start } from '../helpers/cli.ts';
import { asRoot } from '../helpers/root.ts';
import { noise } from '../helpers/vault.ts';

const NOBODY = 65_534;

/** The same key behind a passphrase at the least cost that is allowed: an eighth of what `init` takes. */
async function wrapCheaply(path: string, passphrase: string): Promise<void> {
  const { root } = JSON.parse(await readFile(path, 'utf8')) as { root: string };
  const [n, r, p, salt] = [16_384, 8, 1, randomBytes(32)] as const;
  const key = scryptSync(passphrase, salt, 32, { N: n, r, p, maxmem: 64 * 2 ** 20 });
  const aad = Buffer.from(`holdfast key file 1 scrypt ${n} ${r} ${p} ${salt.toString('hex')}`);
  const sealed = Buffer.from(seal(key, aad, Buffer.from(root, 'hex'), secureRandom)).toString('hex');
  const file = { holdfast_key: 1, protection: 'scrypt', n, r, p, salt: salt.toString('hex'), sealed };
  await writeFile(path, JSON.stringify(file));
}

describe('a vault under a passphrase', () => {
  const PASS = 'correct horse battery staple';
  let home: string;
  const run = (
    args: string[],
    pass: string | undefined,
    input: Uint8Array = new Uint8Array(0),
  ): Promise<Outcome> =>
    start([...args, '--home', home], { env: { HOLDFAST_PASSPHRASE: pass }, input }).outcome;

  beforeAll(async () => {
    home = join(await mkdtemp(join(tmpdir(), 'holdfast-test-')), 'home');
    expect((await run(['init', '--unwrapped'], undefined)).code).toBe(0);
    await wrapCheaply(join(home, 'vault.key'), PASS);
    expect((await run(['put', '-', '--name', 'x'], PASS, noise(100_000))).code).toBe(0);
  });
  afterAll(() => rm(join(home, '..'), { recursive: true, force: true }));

  it('opens with it, however it is given', async () => {
    const got = await run(['get', 'x'], PASS);
    expect(Buffer.compare(got.stdout, noise(100_000))).toBe(0);
    const file = join(home, 'pass');
    await writeFile(file, `${PASS}\n`);
    const byFile = start(['get', 'x', '--home', home], { env: { HOLDFAST_PASSPHRASE_FILE: file } });
    byFile.child.stdin.end();
    expect((await byFile.outcome).stdout.length).toBe(100_000);
    await unlink(file);
  });

  it('a wrong one, or none, is refused and changes nothing', async () => {
    const before = await readFile(join(home, 'vault.key'));
    for (const [pass, code, words] of [
      ['wrong', 5, /passphrase/],
      [' ', 5, /passphrase/],
      [undefined, 2, /HOLDFAST_PASSPHRASE/],
      ['', 2, /HOLDFAST_PASSPHRASE/],
    ] as const) {
      const commands = [['get', 'x'], ['ls'], ['rm', 'x'], ['put', '-', '--name', 'x'], ['recover']];
      for (const command of SLOW ? commands : [commands[0]!, commands[3]!]) {
        const outcome = await run(command, pass);
        expect(outcome.code, `${command} with ${pass}: ${said(outcome)}`).toBe(code);
        expect(outcome.stderr).toMatch(words);
        expect(outcome.stdout.length).toBe(0);
      }
    }
    expect(await readFile(join(home, 'vault.key'))).toEqual(before);
    expect((await run(['get', 'x'], PASS)).code).toBe(0);
  });

  it('a key file of another vault in its place is refused, and put back opens everything', async () => {
    const other = join(home, '..', 'other');
    const made = start(['init', '--home', other], { env: { HOLDFAST_PASSPHRASE: PASS } });
    made.child.stdin.end();
    expect((await made.outcome).code).toBe(0);
    const mine = await readFile(join(home, 'vault.key'));
    await writeFile(join(home, 'vault.key'), await readFile(join(other, 'vault.key')));
    for (const command of [['put', '-', '--name', 'y'], ['get', 'x'], ['ls']]) {
      const outcome = await run(command, PASS);
      expect(outcome.code, said(outcome)).not.toBe(0);
      expect(outcome.stderr).toMatch(/belongs to vault [0-9a-f]{16}/);
      expect(outcome.stderr).toMatch(/Put the key file back/);
    }
    await writeFile(join(home, 'vault.key'), mine);
    expect((await run(['get', 'x'], PASS)).stdout.length).toBe(100_000);
    expect((await run(['get', 'y'], PASS)).code).toBe(3);
  });

  it('init refuses to overwrite the key', async () => {
    const before = await readFile(join(home, 'vault.key'));
    const again = await run(['init'], 'another');
    expect(again.code, said(again)).toBe(6);
    expect(await readFile(join(home, 'vault.key'))).toEqual(before);
  });

  it('any damage to the key file is told apart from a wrong passphrase or refused like it', async () => {
    const path = join(home, 'vault.key');
    const good = await readFile(path, 'utf8');
    const key = JSON.parse(good) as Record<string, unknown>;
    const damaged: [string, string | Uint8Array][] = [
      ['empty', ''],
      ['half', good.slice(0, good.length >> 1)],
      ['binary', noise(400)],
      ['not JSON', 'hello'],
      ['null', 'null'],
      ['an array', '[]'],
      ['an unknown version', JSON.stringify({ ...key, holdfast_key: 2 })],
      ['an unknown field', JSON.stringify({ ...key, more: 1 })],
      ['a huge cost', JSON.stringify({ ...key, n: 2 ** 40 })],
      ['a cost that is no power of two', JSON.stringify({ ...key, n: 1000 })],
      ['one', JSON.stringify({ ...key, n: 1 })],
      ['a short salt', JSON.stringify({ ...key, salt: 'aa' })],
      ['other salt', JSON.stringify({ ...key, salt: '00'.repeat(32) })],
      ['a lower cost', JSON.stringify({ ...key, n: 1024 })],
      ['sealed bytes flipped', JSON.stringify({ ...key, sealed: '00'.repeat(72) })],
    ];
    for (const [what, text] of damaged) {
      await writeFile(path, text);
      const outcome = await run(['get', 'x'], PASS);
      expect(outcome.code, `${what}: ${said(outcome)}`).toBe(5);
      expect(outcome.stderr, what).toMatch(/key file/);
      expect(outcome.stderr, what).not.toMatch(/ at .*\.js:/);
    }
    await writeFile(path, good);
    expect((await run(['get', 'x'], PASS)).code).toBe(0);
    console.log(`keys: ${damaged.length} damaged key files refused with exit code 5`);
  });

  it('a missing key file, or one that is a folder, is said to be so', async () => {
    const path = join(home, 'vault.key');
    const good = await readFile(path);
    await rm(path);
    const missing = await run(['get', 'x'], PASS);
    expect(missing.code, said(missing)).toBe(3);
    expect(missing.stderr).toContain(path);
    await mkdir(path);
    const folder = await run(['get', 'x'], PASS);
    expect(folder.code, said(folder)).not.toBe(0);
    expect(folder.stderr).toContain(path);
    await rm(path, { recursive: true });
    await writeFile(path, good, { mode: 0o600 });
  });

  it("another vault's key opens nothing and does not mix", async () => {
    const other = await CliVault.create();
    const stolen = await start(['get', 'x', '--home', home], { env: {} });
    stolen.child.stdin.end();
    await stolen.outcome;
    const recovered = await run(['recover', '--key', join(other.home, 'vault.key'), '--json'], PASS);
    expect(recovered.code, said(recovered)).not.toBe(0);
    expect(`${recovered.stdout}${recovered.stderr}`).toContain('wrong_vault');
    expect((await run(['get', 'x'], PASS)).code).toBe(0);
    await other.remove();
  });

  it('an unwrapped key is kept to its owner', async () => {
    const cli = await CliVault.create();
    expect((await stat(join(cli.home, 'vault.key'))).mode & 0o777).toBe(0o600);
    await cli.remove();
  });
});

describe('folders that cannot be used', () => {
  let cli: CliVault;
  const bytes = noise(300_000);
  const asNobody = (args: string[], input: Uint8Array = new Uint8Array(0)): Promise<Outcome> =>
    cli.run(args, { uid: NOBODY, input });
  const own = async (path: string): Promise<void> => {
    const { execFileSync } = await import('node:child_process');
    execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, path]);
  };

  beforeEach(async () => {
    cli = await CliVault.create();
    await cli.run(['put', '-', '--name', 'x'], { input: bytes });
    if (process.getuid?.() === 0) await own(cli.home);
  });
  afterEach(() => cli.remove());

  asRoot('an unreadable provider folder counts as lost, and is named', async () => {
    await chown(cli.providerRoot('p2'), 0, 0);
    await chmod(cli.providerRoot('p2'), 0o700);
    const got = await asNobody(['get', 'x']);
    expect(got.code, said(got)).toBe(0);
    expect(Buffer.compare(got.stdout, bytes)).toBe(0);
    const put = await asNobody(['put', '-', '--name', 'y', '--json'], bytes);
    expect(put.code, said(put)).toBe(0);
    expect(JSON.parse(put.stdout.toString()).certificate.providers).toBe(8);
    const probe = await asNobody(['providers probe', '--json']);
    expect(JSON.stringify(JSON.parse(probe.stdout.toString()))).toMatch(/EACCES|[Pp]ermission/);
    const verify = await asNobody(['verify', 'x']);
    expect(verify.stdout.toString()).toContain('p2: unavailable');
  });

  asRoot('a provider that is read-only for us takes nothing and still gives', async () => {
    for (const id of ['p1', 'p2']) {
      const { execFileSync } = await import('node:child_process');
      execFileSync('chown', ['-R', '0:0', cli.providerRoot(id)]);
      execFileSync('chmod', ['-R', 'a+rX,go-w', cli.providerRoot(id)]);
    }
    const got = await asNobody(['get', 'x']);
    expect(got.stderr).toBe('');
    expect(Buffer.compare(got.stdout, bytes)).toBe(0);
    const put = await asNobody(['put', '-', '--name', 'x', '--json'], bytes);
    expect(put.code, said(put)).toBe(0);
    expect(JSON.parse(put.stdout.toString()).certificate.providers).toBe(7);
  });

  asRoot('an unreadable key, home, engine or output folder is a clear error', async () => {
    const out = join(cli.home, 'closed');
    await mkdir(out, { mode: 0o700 });
    const toClosed = await asNobody(['get', 'x', '-o', join(out, 'file')]);
    expect(toClosed.code, said(toClosed)).toBe(1);
    expect(toClosed.stderr).toContain('cannot write');

    await chown(join(cli.home, 'vault.key'), 0, 0);
    const key = await asNobody(['get', 'x']);
    expect(key.code, said(key)).toBe(1);
    expect(key.stderr).toContain('vault.key');
    await own(join(cli.home, 'vault.key'));

    await chown(join(cli.home, 'engine'), 0, 0);
    await chmod(join(cli.home, 'engine'), 0o700);
    const engine = await asNobody(['get', 'x']);
    expect(engine.code, said(engine)).not.toBe(0);
    expect(engine.stderr).toMatch(/database folder cannot be read/);
    expect(engine.stderr).not.toMatch(/ at .*\.js:/);
    await own(join(cli.home, 'engine'));
    await chmod(join(cli.home, 'engine'), 0o700);
    expect((await asNobody(['get', 'x'])).code).toBe(0);
  });
});
