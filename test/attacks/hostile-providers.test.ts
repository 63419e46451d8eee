import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CliVault, providersToml, SLOW, said, start } from '../helpers/cli.ts';
import { startService } from '../helpers/services.ts';
import { noise } from '../helpers/vault.ts';
import { hostileServer, lyingNode } from './hostile-servers.ts';

/** Whole processes against providers that mean harm: bytes stay right, nothing hangs, nothing grows, nothing is harmed. */

const MIB = 1024 * 1024;
/** Of a whole process on a busy machine; what was attacked before took minutes or for ever. */
const BOUND_MS = 30_000;
const BYTES = noise(300_000, 3);
const MARKER = 'holdfast-provider.json';

async function folderOf(test: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `holdfast-${test}-`));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; ms: number }> {
  const started = performance.now();
  const result = await work();
  return { result, ms: performance.now() - started };
}

const s3 = (url: string): string => `
[[providers]]
id = "evil"
adapter = "s3"
endpoint = "${url}"
region = "us-east-1"
bucket = "b"
credentials = { env = { access_key_id = "EVIL_KEY", secret_access_key = "EVIL_SECRET" } }
`;
const ENV = { EVIL_KEY: 'k', EVIL_SECRET: 's' };

describe('an S3 server', () => {
  const CONTROL = '\u001b[2J\u001b]0;owned\u0007\u009b31m\u202e';
  const lies: Readonly<Record<string, string>> = {
    'whose error is 20 KB of what a careless expression goes over again and again': '?token'.repeat(3_500),
    'whose error steers the terminal': `${CONTROL}${CONTROL}`,
  };
  for (const [what, code] of Object.entries(lies)) {
    it(`${what} stops no probe, put or get`, async () => {
      const url = await hostileServer((incoming, response) => {
        incoming.resume();
        response.writeHead(403).end(`<Error><Code><![CDATA[${code}]]></Code></Error>`);
      });
      const vault = await CliVault.create(`${providersToml(5)}${s3(url)}`, await folderOf('s3'));
      for (const args of [['providers probe'], ['put', '-', '--name', 'x'], ['get', 'x']]) {
        const input = args[0] === 'put' ? BYTES : new Uint8Array(0);
        const env = { ...ENV, HOLDFAST_LOG: 'debug' };
        const { result, ms } = await timed(() => vault.run(args, { input, env }));
        if (args[0] !== 'providers probe') expect(result.code, said(result)).toBe(0);
        if (args[0] === 'get') expect(Buffer.compare(result.stdout, BYTES)).toBe(0);
        else expect(`${result.stdout}`).not.toMatch(UNPRINTABLE);
        expect(result.stderr).not.toMatch(UNPRINTABLE);
        expect(ms).toBeLessThan(BOUND_MS);
      }
    });
  }
});

/** All but the tab and the line's end. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/;

describe('a folder', () => {
  async function stored(): Promise<{ vault: CliVault; folder: string }> {
    const folder = await folderOf('folder');
    const vault = await CliVault.create(providersToml(9), folder);
    const put = await vault.run(['put', '-', '--name', 'x'], { input: BYTES });
    expect(put.code, said(put)).toBe(0);
    return { vault, folder };
  }

  const plants: Readonly<Record<string, (path: string) => unknown>> = {
    'a pipe': (path) => execFileSync('mkfifo', [path]),
    'a link to a device without end': (path) => symlink('/dev/zero', path),
  };
  for (const [what, plant] of Object.entries(plants)) {
    it(`whose marker is ${what} costs a get neither time nor memory`, async () => {
      const { vault } = await stored();
      const marker = join(vault.providerRoot('p1'), MARKER);
      await rm(marker);
      await plant(marker);
      const { result, ms } = await timed(() => vault.run(['get', 'x']));
      expect(result.code, said(result)).toBe(0);
      expect(Buffer.compare(result.stdout, BYTES)).toBe(0);
      expect(ms).toBeLessThan(BOUND_MS);
      expect(result.peakRssBytes).toBeLessThan(400 * MIB);
    });
  }

  it('whose tmp/ is a link has nothing removed at its other end', async () => {
    const { vault, folder } = await stored();
    const other = join(folder, 'other');
    const name = 'ab'.repeat(16);
    await mkdir(other);
    await writeFile(join(other, name), 'somebody needs this');
    await utimes(join(other, name), 0, 0);
    const tmp = join(vault.providerRoot('p1'), 'tmp');
    await rename(tmp, `${tmp}-was`);
    await symlink(other, tmp);
    const put = await vault.run(['put', '-', '--name', 'y'], { input: BYTES });
    expect(put.code, said(put)).toBe(0);
    expect(await readdir(other)).toEqual([name]);
  });

  it('in which a link waits for init has nothing written through it', async () => {
    const folder = await folderOf('planted');
    const root = join(folder, 'root');
    const victim = join(folder, 'victim');
    await writeFile(victim, 'precious');
    await mkdir(join(root, 'tmp'), { recursive: true });
    await symlink(victim, join(root, 'tmp', MARKER));
    const node = await startService(['node', '--root', root, '--init']);
    expect((await fetch(`${node.url}/readyz`)).status).toBe(200);
    expect(await readFile(victim, 'utf8')).toBe('precious');
  });
});

describe('a node among nine', () => {
  const name = (n: number): string => n.toString(16).padStart(64, '0');
  const lies: Readonly<Record<string, (after: string) => object>> = {
    'that lists the same slots again and again': () => ({ names: [name(1), name(2)], next: name(2) }),
    'that promises more and gives nothing': (after) => ({ names: [], next: `${after}0`.padStart(16, '0') }),
  };
  const slowLies: typeof lies = {
    'whose list goes on for ever': (after) => {
      const from = after === '' ? 0 : Number.parseInt(after, 16);
      const names = Array.from({ length: 1000 }, (_, i) => name(from + 1 + i));
      return { names, next: names.at(-1) };
    },
  };
  for (const [what, lie] of Object.entries(SLOW ? { ...lies, ...slowLies } : lies)) {
    it(`${what} does not keep recover from its end, nor from what the others know`, async () => {
      const folder = await folderOf('node');
      const node = await startService(['node', '--root', join(folder, 'node'), '--init']);
      const url = await lyingNode(node.url, lie);
      const liar = `[[providers]]\nid = "liar"\nadapter = "http"\nurl = "${url}"\n`;
      const vault = await CliVault.create(`${providersToml(8)}${liar}`, folder);
      const put = await vault.run(['put', '-', '--name', 'x'], { input: BYTES });
      expect(put.code, said(put)).toBe(0);
      await rm(join(vault.home, 'engine'), { recursive: true });
      const { result, ms } = await timed(() => vault.run(['recover']));
      expect(ms).toBeLessThan(SLOW ? 10 * BOUND_MS : BOUND_MS);
      expect(said(result)).toContain('liar');
      const got = await vault.run(['get', 'x']);
      expect(Buffer.compare(got.stdout, BYTES), said(got)).toBe(0);
    });
  }

  it('without a token takes its part of a put, as the README has it', async () => {
    const folder = await folderOf('plain');
    const nodes = await Promise.all(
      [1, 2, 3].map((i) => startService(['node', '--root', join(folder, `n${i}`), '--init'])),
    );
    const providers = nodes.map(
      ({ url }, i) => `[[providers]]\nid = "n${i}"\nadapter = "http"\nurl = "${url}"\n`,
    );
    const vault = await CliVault.create(providers.join('\n'), folder);
    const bytes = noise(24 * MIB, 4);
    const put = await vault.run(['put', '-', '--name', 'x', '--json'], { input: bytes });
    expect(put.code, said(put)).toBe(0);
    expect(`${put.stdout}`).toMatch(/"failed_?[aA]ttempts":\[\]/);
    expect(Buffer.compare((await vault.run(['get', 'x'])).stdout, bytes)).toBe(0);
  });
});

it('a key, token or passphrase file without end, or a pipe where none may be, is refused at once', async () => {
  const folder = await folderOf('files');
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const tries = [
    start(['ls', '--home', folder], { env: { HOLDFAST_PASSPHRASE_FILE: '/dev/zero' } }),
    start(['ls', '--home', folder, '--config', '/dev/zero']),
    start(['ls', '--home', folder, '--config', pipe]),
    start(['ls', '--home', folder], { env: { HOLDFAST_PASSPHRASE_FILE: pipe } }),
    start(['node', '--root', join(folder, 'n'), '--init', '--bind', '127.0.0.1:0', '--token-file', pipe]),
    start([
      'node',
      '--root',
      join(folder, 'm'),
      '--init',
      '--bind',
      '127.0.0.1:0',
      '--token-file',
      '/dev/zero',
    ]),
  ];
  for (const { outcome } of tries) {
    const { result, ms } = await timed(() => outcome);
    expect(result.code, said(result)).toBeGreaterThan(0);
    expect(result.peakRssBytes).toBeLessThan(400 * MIB);
    expect(ms).toBeLessThan(BOUND_MS);
  }
});
