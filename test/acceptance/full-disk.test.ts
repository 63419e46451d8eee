import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { CliVault, type Outcome, providersToml, said, start } from '../helpers/cli.ts';
import { filesBelow } from '../helpers/files.ts';
import { mountSmallDisk, onSmallDisk, type SmallDisk } from '../helpers/root.ts';
import { noise } from '../helpers/vault.ts';

const MIB = 1024 * 1024;
const noTrace = (outcome: Outcome): void => expect(outcome.stderr).not.toMatch(/ at .*\.js:/);

async function onDisk(bytes: number, work: (disk: SmallDisk) => Promise<void>): Promise<void> {
  const disk = mountSmallDisk(bytes);
  try {
    await work(disk);
  } finally {
    disk.unmount();
  }
}

/** Fills what is left of a disk. */
async function fill(path: string): Promise<void> {
  await writeFile(join(path, 'ballast'), Buffer.alloc(64 * MIB, 1)).catch(() => {});
  await writeFile(join(path, 'ballast2'), Buffer.alloc(65_536, 1)).catch(() => {});
}

describe('a full disk', () => {
  onSmallDisk('of some providers: their shards move to others, and the certificate says so', () =>
    onDisk(MIB, async (disk) => {
      const cli = await CliVault.create();
      try {
        await rm(cli.providerRoot('p4'), { recursive: true });
        await symlink(join(disk.path, 'p4'), cli.providerRoot('p4'));
        execFileSync('mkdir', [join(disk.path, 'p4')]);
        expect((await cli.run(['providers init', 'p4'])).code).toBe(0);
        const bytes = noise(12 * MIB);
        const put = await cli.run(['put', '-', '--name', 'x', '--json'], { input: bytes });
        expect(put.code, said(put)).toBe(0);
        const result = JSON.parse(put.stdout.toString());
        expect(result.failedAttempts[0].provider).toBe('p4');
        expect(result.certificate.tolerates).toBeGreaterThanOrEqual(2);
        const got = await cli.run(['get', 'x']);
        expect(Buffer.compare(got.stdout, bytes)).toBe(0);
        expect(await filesBelow(join(disk.path, 'p4', 'tmp'))).toEqual([]);
        console.log(`full disk: one provider full, put certified for ${result.certificate.tolerates} losses`);
      } finally {
        await cli.remove();
      }
    }),
  );

  onSmallDisk('of all providers: refused, the old version intact, nothing left behind', () =>
    onDisk(16 * MIB, async (disk) => {
      const home = await mkdtemp(join(tmpdir(), 'holdfast-test-'));
      const config = join(home, 'c.toml');
      await writeFile(config, providersToml(9).replaceAll('providers/', `${disk.path}/`));
      const run = (args: string[], input: Uint8Array = new Uint8Array(0)): Promise<Outcome> =>
        start([...args, '--home', home, '--config', config], { input }).outcome;
      try {
        await run(['init', '--unwrapped']);
        const old = noise(2 * MIB, 3);
        expect((await run(['put', '-', '--name', 'x'], old)).code).toBe(0);
        const before = await filesBelow(disk.path);
        const put = await run(['put', '-', '--name', 'x'], noise(16 * MIB, 4));
        expect(put.code, said(put)).toBe(4);
        expect(put.stderr).toMatch(/full|space|ENOSPC/);
        noTrace(put);
        expect(await filesBelow(disk.path)).toEqual(before);
        expect(Buffer.compare((await run(['get', 'x'])).stdout, old)).toBe(0);
        // With its space back it works again at once.
        expect((await run(['put', '-', '--name', 'x'], noise(MIB, 5))).code).toBe(0);
        expect(Buffer.compare((await run(['get', 'x'])).stdout, noise(MIB, 5))).toBe(0);
        console.log(
          'full disk: all providers full, refused with exit code 4, old version intact, no blob left',
        );
      } finally {
        await rm(home, { recursive: true });
      }
    }),
  );

  onSmallDisk('of the state folder: refused, readable meanwhile, fine once there is room', () =>
    onDisk(4 * MIB, async (disk) => {
      const home = join(disk.path, 'home');
      const providers = await mkdtemp(join(tmpdir(), 'holdfast-test-'));
      const config = join(providers, 'c.toml');
      await writeFile(config, providersToml(9).replaceAll('providers/', `${providers}/`));
      const run = (args: string[], input: Uint8Array = new Uint8Array(0)): Promise<Outcome> =>
        start([...args, '--home', home, '--config', config], { input }).outcome;
      try {
        expect((await run(['init', '--unwrapped'])).code).toBe(0);
        const old = noise(MIB, 3);
        expect((await run(['put', '-', '--name', 'x'], old)).code).toBe(0);
        const before = await filesBelow(providers);
        await fill(disk.path);
        const put = await run(['put', '-', '--name', 'x'], noise(2 * MIB, 4));
        expect(put.code, said(put)).toBe(4);
        expect(put.stderr).toMatch(/no space|full/);
        noTrace(put);
        const get = await run(['get', 'x']);
        noTrace(get);
        if (get.code === 0) expect(Buffer.compare(get.stdout, old)).toBe(0);
        else expect(get.stderr).toMatch(/no space|full/);
        console.log(`full disk: state folder full: put exits with ${put.code}, get with ${get.code}`);
        await rm(join(disk.path, 'ballast'), { force: true });
        await rm(join(disk.path, 'ballast2'), { force: true });
        expect(Buffer.compare((await run(['get', 'x'])).stdout, old)).toBe(0);
        const again = await run(['put', '-', '--name', 'y'], noise(2 * MIB, 4));
        expect(again.code, said(again)).toBe(0);
        // What the refused put may have left is cleared by now.
        expect((await run(['rm', 'y'])).code).toBe(0);
        expect((await filesBelow(providers)).filter((path) => path.includes('/blobs/'))).toEqual(
          before.filter((path) => path.includes('/blobs/')),
        );
      } finally {
        await rm(providers, { recursive: true });
      }
    }),
  );

  onSmallDisk('of the home: rm works of the reserve, which is made anew once there is room', () =>
    onDisk(8 * MIB, async (disk) => {
      const home = join(disk.path, 'home');
      const config = join(disk.path, 'c.toml');
      await writeFile(config, providersToml(4));
      const run = (args: string[], input: Uint8Array = new Uint8Array(0)): Promise<Outcome> =>
        start([...args, '--home', home, '--config', config], { input }).outcome;
      const reserve = async (): Promise<number> => (await stat(join(home, 'reserve'))).size;
      expect((await run(['init', '--unwrapped'])).code).toBe(0);
      for (const name of ['x', 'y', 'z']) {
        const put = await run(['put', '-', '--name', name], noise(200_000, name.charCodeAt(0)));
        expect(put.code, said(put)).toBe(0);
      }
      const whole = await reserve();
      expect(whole).toBe(2 * MIB);
      await fill(disk.path);
      const put = await run(['put', '-', '--name', 'w'], noise(1000));
      expect(put.code, said(put)).toBe(4);
      expect(put.stderr).toMatch(/no space|full/);
      const got = await run(['get', 'y']);
      expect(got.code, said(got)).toBe(0);
      expect(Buffer.compare(got.stdout, noise(200_000, 'y'.charCodeAt(0)))).toBe(0);
      for (const name of ['x', 'y']) {
        const removed = await run(['rm', name]);
        expect(removed.code, said(removed)).toBe(0);
        await fill(disk.path);
      }
      const swept = await run(['gc']);
      expect(swept.code, said(swept)).toBe(0);
      const listed = await run(['ls']);
      expect(listed.stdout.toString(), said(listed)).toBe('z\n');
      await rm(join(disk.path, 'ballast'), { force: true });
      await rm(join(disk.path, 'ballast2'), { force: true });
      expect((await run(['put', '-', '--name', 'w'], noise(1000))).code).toBe(0);
      expect(await reserve()).toBe(whole);
      console.log('full disk: home full: put refused, get and two removals done, reserve made anew');
    }),
  );

  onSmallDisk('of the state folder, filling up at any moment of a put', () =>
    onDisk(6 * MIB, async (disk) => {
      const providers = await mkdtemp(join(tmpdir(), 'holdfast-test-'));
      const config = join(providers, 'c.toml');
      await writeFile(config, providersToml(9).replaceAll('providers/', `${providers}/`));
      const home = join(disk.path, 'home');
      const flags = ['--home', home, '--config', config];
      const codes: (number | null)[] = [];
      try {
        expect(
          (await start(['init', '--unwrapped', ...flags], { input: new Uint8Array(0) }).outcome).code,
        ).toBe(0);
        let version = noise(1000, 1);
        expect((await start(['put', '-', '--name', 'x', ...flags], { input: version }).outcome).code).toBe(0);
        for (let turn = 0; turn < 4; turn++) {
          const next = noise(3 * MIB, 100 + turn);
          const { outcome } = start(['put', '-', '--name', 'x', ...flags], {
            input: (async function* () {
              for (let at = 0; at < 3; at++) {
                if (at === turn) await fill(disk.path);
                yield next.subarray(at * MIB, (at + 1) * MIB);
                await new Promise((resolve) => setTimeout(resolve, 30));
              }
            })(),
          });
          const put = await outcome;
          codes.push(put.code);
          noTrace(put);
          if (put.code === 0) version = next;
          else expect(put.stderr, said(put)).toMatch(/no space|full/);
          await rm(join(disk.path, 'ballast'), { force: true });
          await rm(join(disk.path, 'ballast2'), { force: true });
          const get = await start(['get', 'x', ...flags], { input: new Uint8Array(0) }).outcome;
          expect(Buffer.compare(get.stdout, version), said(put)).toBe(0);
        }
        console.log(
          `full disk: state folder filling up in mid-put: exit codes ${codes.join(', ')}; always the version that the exit code says`,
        );
      } finally {
        await rm(providers, { recursive: true });
      }
    }),
  );

  onSmallDisk('of the output: refused, no file, exit code 4', () =>
    onDisk(2 * MIB, async (disk) => {
      const cli = await CliVault.create();
      try {
        await cli.run(['put', '-', '--name', 'x'], { input: noise(4 * MIB) });
        await writeFile(join(disk.path, 'out'), 'the old file');
        const got = await cli.run(['get', 'x', '-o', join(disk.path, 'out')]);
        expect(got.code, said(got)).toBe(4);
        expect(got.stderr).toContain('the disk is full');
        expect(await readdir(disk.path)).toEqual(['out']);
        expect(await readFile(join(disk.path, 'out'), 'utf8')).toBe('the old file');
      } finally {
        await cli.remove();
      }
    }),
  );

  onSmallDisk('during init: refused, and init works once there is room', () =>
    onDisk(65_536, async (disk) => {
      await fill(disk.path);
      const home = join(disk.path, 'home');
      const init = await start(['init', '--unwrapped', '--home', home], { input: new Uint8Array(0) }).outcome;
      expect(init.code, said(init)).toBe(4);
      noTrace(init);
      await rm(join(disk.path, 'ballast'), { force: true });
      await rm(join(disk.path, 'ballast2'), { force: true });
      expect(
        (await start(['init', '--unwrapped', '--home', home], { input: new Uint8Array(0) }).outcome).code,
      ).not.toBe(6);
    }),
  );
});
