import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { AREAS, type Finding } from '../../src/cli/doctor/finding.ts';
import { versionsOf } from '../../src/cli/doctor/machine.ts';
import { holdFolder } from '../../src/engine/index.ts';
import { CliVault, providersToml, type RunOptions, said } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';

let vault: CliVault;
beforeEach(async () => {
  vault = await CliVault.create(
    `${providersToml(3)}\n[erasure]\nalgorithm = "reed-solomon"\ndata_shards = 2\nparity_shards = 1\n`,
  );
});
beforeEach(() => chmod(join(vault.home, 'storage.toml'), 0o600));
afterEach(() => vault.remove());

interface Report {
  readonly verdict: Finding['verdict'];
  readonly findings: readonly Finding[];
  readonly code: number | null;
  readonly output: string;
}

async function examine(args: readonly string[] = [], options: RunOptions = {}): Promise<Report> {
  const outcome = await vault.run(['doctor', '--json', ...args], options);
  try {
    const report = JSON.parse(outcome.stdout.toString()) as Pick<Report, 'verdict' | 'findings'>;
    return { ...report, code: outcome.code, output: said(outcome) };
  } catch {
    throw new Error(said(outcome));
  }
}

const verdicts = ({ findings }: Report, area: string): string[] =>
  findings.filter((finding) => finding.area === area).map(({ verdict }) => verdict);
const whats = ({ findings }: Report, area: string): string =>
  findings
    .filter((finding) => finding.area === area)
    .map(({ what }) => what)
    .join('\n');

const configure = async (toml: string): Promise<void> => {
  const file = join(vault.home, 'storage.toml');
  await writeFile(file, `${await readFile(file, 'utf8')}\n${toml}`);
};

/** Listens on the loopback for as long as the test takes. @returns its port. */
async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  return (server.address() as AddressInfo).port;
}

const nodeAt = (id: string, port: number): string =>
  `[[providers]]\nid = "${id}"\nadapter = "http"\nurl = "http://127.0.0.1:${port}"\n`;

/** As far as a probe goes, a node whose clock is so many seconds ahead. */
function nodeAhead(seconds: number): Promise<number> {
  const server = createHttpServer((_, answer) => {
    answer.setHeader('date', new Date(Date.now() + seconds * 1000).toUTCString());
    answer.end('{}');
  });
  return listening(server);
}

it('says of a vault that works that all is well, in every area, and leaves nothing at the providers', async () => {
  expect((await vault.run(['put', '-', '--name', 'x'], { input: Buffer.from('x') })).code).toBe(0);
  const before = await vault.blobs();
  const report = await examine();
  expect([report.verdict, report.code]).toEqual(['ok', 0]);
  expect([...new Set(report.findings.map(({ area }) => area))]).toEqual([...AREAS]);
  expect(verdicts(report, 'providers')).toEqual(['ok', 'ok', 'ok']);
  expect(await vault.blobs()).toEqual(before);
});

it('tells what is wrong with the configuration, and of all that can be looked at without it', async () => {
  await configure('[erasures]\nx = 1\n');
  const report = await examine();
  expect([report.verdict, report.code]).toEqual(['fail', 1]);
  expect(whats(report, 'config')).toMatch(/storage\.toml:\d+: erasures/);
  expect(verdicts(report, 'permissions')).toContain('ok');
  expect(verdicts(report, 'kernels')).toContain('ok');
  expect(verdicts(report, 'providers')).toEqual(['warn']);
});

it('names a provider that is not there, and what to do, and exits with 1', async () => {
  await rm(vault.providerRoot('p2'), { recursive: true });
  const report = await examine();
  expect(report.code).toBe(1);
  expect(verdicts(report, 'providers')).toEqual(['ok', 'fail', 'ok']);
  expect(report.findings.find(({ verdict }) => verdict === 'fail')).toMatchObject({
    what: expect.stringContaining('p2'),
    todo: expect.stringContaining('Mount'),
  });
});

it('waits only so long for a state that another process has open', async () => {
  expect((await vault.run(['put', '-', '--name', 'x'], { input: Buffer.from('x') })).code).toBe(0);
  const letGo = await holdFolder(join(vault.home, 'engine'));
  onTestFinished(letGo);
  const report = await examine();
  expect([report.verdict, report.code]).toEqual(['warn', 0]);
  expect(whats(report, 'engines')).toContain('another process');
  expect(verdicts(report, 'providers')).toEqual(['ok', 'ok', 'ok']);
});

it('fails for a bare key and credentials that others can read, and shows none of them', async () => {
  const key = join(vault.home, 'vault.key');
  const secret = join(vault.home, 'secret.json');
  await writeFile(secret, JSON.stringify({ token: 'hush-hush-hush' }));
  await Promise.all([chmod(key, 0o644), chmod(secret, 0o644)]);
  await configure(`${nodeAt('n1', await nodeAhead(0))}credentials = { file = "secret.json" }\n`);
  const report = await examine();
  expect(report.code).toBe(1);
  const failed = report.findings.filter(({ area, verdict }) => area === 'permissions' && verdict === 'fail');
  expect(failed.map(({ todo }) => todo)).toEqual([
    expect.stringContaining(`chmod 600 ${key}`),
    expect.stringContaining(`chmod 600 ${secret}`),
  ]);
  const { root } = JSON.parse(await readFile(key, 'utf8')) as { root: string };
  expect(report.output).not.toMatch(new RegExp(`${root}|hush`));
});

it('looks for a file that a section names where the program itself does: from the home on', async () => {
  const tokens = join(vault.home, 'tokens.json');
  await writeFile(tokens, '{}', { mode: 0o600 });
  await configure('[gateway]\ntoken_file = "tokens.json"\n');
  const report = await examine();
  expect(verdicts(report, 'permissions')).not.toContain('fail');
  expect(whats(report, 'permissions')).toContain(`gateway.token_file ${tokens}: mode 0600`);
  await chmod(tokens, 0o644);
  const open = await examine();
  expect(open.findings.filter(({ verdict }) => verdict === 'fail')).toMatchObject([
    { todo: `Run \`chmod 600 ${tokens}\`.` },
  ]);
});

it('gives up on a server that takes connections and never answers', async () => {
  await configure(
    `${nodeAt('silent', await listening(createServer((socket) => void socket.resume())))}[limits]\nrequest_ms = 3000\n`,
  );
  const report = await examine();
  expect(verdicts(report, 'providers')).toEqual(['ok', 'ok', 'ok', 'fail']);
  expect(whats(report, 'providers')).toMatch(/silent: .*Timeout/);
}, 60_000);

it.each([
  [0, 'ok'],
  [60, 'warn'],
  [3600, 'fail'],
])('compares the clock with those of the providers: %i s off is %s', async (seconds, verdict) => {
  await configure(nodeAt('n1', await nodeAhead(seconds)));
  expect(verdicts(await examine(['--no-writes']), 'clock')).toEqual([verdict]);
});

it('does not believe the one provider whose clock differs from all others', async () => {
  const ports = [await nodeAhead(0), await nodeAhead(0), await nodeAhead(86_400)];
  await configure(ports.map((port, i) => nodeAt(`n${i}`, port)).join('\n'));
  const report = await examine(['--no-writes']);
  expect(verdicts(report, 'clock')).toEqual(['ok', 'warn']);
  expect(whats(report, 'clock')).toContain('n2 states another time');
});

it('warns of a provider that is nearly full by its credits', async () => {
  const file = join(vault.home, 'storage.toml');
  await writeFile(file, (await readFile(file, 'utf8')).replace('id = "p1"', 'id = "p1"\ncredits = 1'));
  await vault.run(['put', '-', '--name', 'x'], { input: noise(1_930_000) });
  const { findings } = await examine();
  const p1 = findings.find(({ area, what }) => area === 'providers' && what.startsWith('p1'));
  expect(p1).toMatchObject({ verdict: 'warn', what: expect.stringContaining('of 1.00 MiB used') });
});

it('knows from which Node on it runs, as package.json does', async () => {
  const { engines } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
    engines: { node: string };
  };
  const oldest = engines.node.replace('>=', 'v');
  expect(versionsOf(oldest).map(({ verdict }) => verdict)).toEqual(['ok']);
  expect(versionsOf('v20.18.9').map(({ verdict }) => verdict)).toEqual(['fail']);
  expect(versionsOf('v22.0.0').map(({ verdict }) => verdict)).toEqual(['ok']);
});
