import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SCHEMA } from '../../src/config/schema.ts';
import { absent } from '../helpers/absent.ts';
import { CliVault } from '../helpers/cli.ts';
import { refusal } from '../helpers/dry-parser.ts';
import { startService } from '../helpers/services.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = join(ROOT, 'packaging/systemd');
const UNITS = readdirSync(FOLDER).filter((name) => name.endsWith('.service'));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const unitOf = (name: string): string => read(`packaging/systemd/${name}`);
const valuesOf = (unit: string, key: string): string[] =>
  [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value!);

/** Units as on a machine where the program is installed. */
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-units-'));
  const program = join(folder, 'holdfast');
  writeFileSync(program, '#!/bin/sh\n');
  chmodSync(program, 0o755);
  for (const name of UNITS)
    writeFileSync(join(folder, name), unitOf(name).replaceAll('/usr/bin/holdfast', program));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(UNITS)('%s', (name) => {
  const unit = unitOf(name);
  const [start = ''] = valuesOf(unit, 'ExecStart');

  it('starts the program with a command line that it takes', async () => {
    const [program, ...words] = start.split(' ');
    expect(program).toBe('/usr/bin/holdfast');
    expect(await refusal(words)).toBe('');
  });

  it('keeps secrets out of the command line and of the environment', () => {
    const credentials = valuesOf(unit, 'LoadCredential').map((value) => value.split(':')[0]!);
    const used = [start, ...valuesOf(unit, 'Environment')].join(' ').match(/(?<=%d\/)\w+/g);
    expect(credentials.toSorted()).toEqual(used?.toSorted());
    expect(start).not.toMatch(/--token /);
  });

  it('is given longer to stop than a drain takes', () => {
    const { drainMs, graceMs } = SCHEMA.gateway;
    const [seconds] = valuesOf(unit, 'TimeoutStopSec').map(Number);
    expect(seconds! * 1000).toBeGreaterThan(drainMs.default + graceMs.default);
  });

  it('is accepted by systemd, and leaves little open', ({ skip }) => {
    if (spawnSync('systemd-analyze', ['--version']).error !== undefined) {
      absent('systemd-analyze is not installed', 'that systemd takes the units');
      skip();
    }
    const verified = spawnSync(
      'systemd-analyze',
      ['verify', '--man=no', '--recursive-errors=no', join(folder, name)],
      {
        encoding: 'utf8',
      },
    );
    const complaints = verified.stderr.split('\n').filter((line) => line.includes(name));
    expect([verified.status, complaints]).toEqual([0, []]);
    // Ten is a service that may do all; the default of a service is 9.6.
    const exposed = spawnSync(
      'systemd-analyze',
      ['security', '--offline=yes', '--no-pager', '--threshold=30', join(folder, name)],
      { encoding: 'utf8' },
    );
    expect(exposed.status, exposed.stdout.split('\n').at(-2)).toBe(0);
  });
});

it('what the units of a gateway and a daemon say starts one, with the passphrase and tokens from files', async () => {
  const vault = await CliVault.create();
  try {
    const secrets = join(vault.home, 'secrets');
    mkdirSync(secrets);
    writeFileSync(join(secrets, 'tokens'), 'operator read,admin 0123456789abcdef0123456789abcdef\n', {
      mode: 0o600,
    });
    for (const name of ['holdfast-gateway.service', 'holdfast-daemon.service']) {
      const [start = ''] = valuesOf(unitOf(name), 'ExecStart');
      const words = start
        .replaceAll('%d', secrets)
        .replaceAll('/var/lib/holdfast', vault.home)
        .replace(/ --bind \S+/, '')
        .split(' ');
      const service = await startService(words.slice(1));
      const [open, closed] = await Promise.all([
        fetch(`${service.url}/metrics`, {
          headers: { authorization: 'Bearer 0123456789abcdef0123456789abcdef' },
        }),
        fetch(`${service.url}/metrics`),
      ]);
      await Promise.all([open.arrayBuffer(), closed.arrayBuffer()]);
      expect([name, open.status, closed.status]).toEqual([name, 200, 401]);
      expect(await service.stop()).toBe(0);
    }
  } finally {
    await vault.remove();
  }
}, 60_000);

describe('the Containerfile', () => {
  const lines = read('packaging/Containerfile')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => /^([A-Z]+) (.*)$/.exec(line)?.slice(1) ?? [line, '']);
  const ofKind = (kind: string): string[] => lines.filter(([name]) => name === kind).map(([, text]) => text!);

  it('has only instructions that there are, and copies only what there is', () => {
    const known = 'FROM WORKDIR COPY RUN USER ENV VOLUME EXPOSE STOPSIGNAL ENTRYPOINT CMD'.split(' ');
    expect(lines.filter(([name]) => !known.includes(name!))).toEqual([]);
    const copied = ofKind('COPY')
      .filter((text) => !text.startsWith('--from='))
      .flatMap((text) => text.split(' ').slice(0, -1));
    expect(copied.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    const { files } = JSON.parse(read('package.json')) as { files: string[] };
    const packed = files.filter((path) => !path.startsWith('!') && path !== 'dist');
    expect(packed.filter((path) => !copied.includes(path))).toEqual([]);
  });

  it('runs the program, as a user without rights', async () => {
    const [entry = '', command = ''] = [...ofKind('ENTRYPOINT'), ...ofKind('CMD')];
    const { bin } = JSON.parse(read('package.json')) as { bin: object };
    expect(Object.keys(bin)).toEqual(JSON.parse(entry));
    expect(await refusal(JSON.parse(command) as string[])).toBe('');
    expect(ofKind('USER').map(Number)).toEqual([10_001]);
  });
});

describe('the package', () => {
  const { files, man, peerDependencies } = JSON.parse(read('package.json'));
  const shipped = (path: string): boolean =>
    [...files, 'README.md', 'LICENSE', 'package.json'].some((it) => path === it || path.startsWith(`${it}/`));

  it('holds all that its pages lead to, but for sources', () => {
    const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' });
    const pages = ['README.md', 'packaging/README.md', ...docs.map((path) => `docs/${path}`)];
    const missing = pages
      .filter((page) => page.endsWith('.md'))
      .flatMap((page) =>
        [...read(page).matchAll(/\]\(([^)#\s:]+)(?:#[^)]*)?\)/g)].map(([, to]) => join(dirname(page), to!)),
      )
      .filter((path) => !shipped(path) && !/^(?:src|test)\//.test(path));
    expect(missing).toEqual([]);
  });

  it('installs every manual page', () => {
    expect(man.toSorted()).toEqual(readdirSync(join(ROOT, 'man'), 'utf8').map((name) => `./man/${name}`));
  });

  it('has the driver of PostgreSQL beside it in the image', () => {
    expect(read('packaging/Containerfile')).toContain(` postgres@${peerDependencies.postgres} `);
  });
});
