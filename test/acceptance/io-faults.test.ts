import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliVault, type Outcome, providersToml, SLOW, said, start } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';

/** Calls hit with each error; all of them in the deeper run. */
const HIT = SLOW ? Number.POSITIVE_INFINITY : 2;
const SETTINGS = `[placement]\nmin_tolerates = 1\n[limits]\nmax_workers = 1\nmax_attempts = 1\n${providersToml(3)}`;
const OLD = noise(5000, 1);
const NEW = noise(5000, 2);
const KEPT = noise(300, 3);

const shim = join(mkdtempSync(join(tmpdir(), 'holdfast-shim-')), 'io-faults.so');
/** Why there is no shim. */
function problem(): string | undefined {
  try {
    const source = fileURLToPath(new URL('io-faults.c', import.meta.url));
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', shim, source, '-ldl'], { stdio: 'pipe' });
    return undefined;
  } catch {
    return 'no C compiler';
  }
}
const why = process.platform === 'linux' ? problem() : 'not Linux';
if (why !== undefined) console.log(`SKIPPED: I/O faults: ${why}`);

/** What a command leaves behind that was hit: of x the old content, the new, or none. */
const COMMANDS = {
  put: { args: ['put', '-', '--name', 'x'], input: NEW, leaves: [OLD, NEW], done: NEW },
  rm: { args: ['rm', 'x'], input: undefined, leaves: [OLD, undefined], done: undefined },
  gc: { args: ['gc', '--min-age', '1s'], input: undefined, leaves: [OLD], done: OLD },
} as const;

describe.skipIf(why !== undefined)('a failing write, flush, rename or unlink', () => {
  let cli: CliVault;
  let whole: string;
  beforeAll(async () => {
    cli = await CliVault.create(SETTINGS);
    expect((await cli.run(['put', '-', '--name', 'x'], { input: OLD })).code).toBe(0);
    expect((await cli.run(['put', '-', '--name', 'kept'], { input: KEPT })).code).toBe(0);
    whole = `${cli.home}-whole`;
    cpSync(cli.home, whole, { recursive: true });
  });
  afterAll(async () => {
    await cli.remove();
    await rm(whole, { recursive: true, force: true });
    await rm(join(shim, '..'), { recursive: true, force: true });
  });

  function restore(): void {
    rmSync(cli.home, { recursive: true });
    cpSync(whole, cli.home, { recursive: true });
  }

  const hit = (
    { args, input = new Uint8Array(0) }: { args: readonly string[]; input?: Uint8Array | undefined },
    env: Record<string, string>,
  ): Promise<Outcome> =>
    start([...args, ...cli.flags], {
      input,
      env: { LD_PRELOAD: shim, UV_USE_IO_URING: '0', FAULT_ROOT: cli.home, ...env },
    }).outcome;

  async function content(name: string): Promise<Uint8Array | undefined> {
    const got = await cli.run(['get', name]);
    expect([0, 3], said(got)).toContain(got.code);
    return got.code === 0 ? got.stdout : undefined;
  }
  const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
    a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;

  it.each(Object.entries(COMMANDS))(
    'of a %s: a typed error or success, and one of its two states after it',
    async (called, command) => {
      restore();
      const counted = join(tmpdir(), `holdfast-count-${process.pid}`);
      const first = await hit(command, { FAULT_COUNT: counted });
      expect(first.code, said(first)).toBe(0);
      const calls = existsSync(counted) ? readFileSync(counted).length : 0;
      rmSync(counted, { force: true });
      expect(calls).toBeGreaterThan(5);
      const step = Math.ceil(calls / HIT) || 1;
      const codes: Record<string, number> = {};
      for (const errno of ['ENOSPC', 'EIO'] as const) {
        for (let at = errno === 'EIO' ? 1 : 1 + (step >> 1); at <= calls; at += step) {
          restore();
          const FAULT_ERRNO = String(constants.errno[errno]);
          const done = await hit(command, { FAULT_AT: String(at), FAULT_ERRNO });
          const where = `${called}, ${errno} at ${at} of ${calls}: ${said(done)}`;
          expect(done.code, where).not.toBeNull();
          expect([0, 4, 5, 6, 8], where).toContain(done.code);
          expect(done.stderr, where).not.toMatch(/ at .*\.js:|Unexpected/);
          const key = `${errno} ${done.code}`;
          codes[key] = (codes[key] ?? 0) + 1;
          const now = await content('x');
          const allowed = done.code === 0 || done.code === 8 ? [command.done] : command.leaves;
          expect(
            allowed.some((state) => same(now, state)),
            where,
          ).toBe(true);
          expect(same(await content('kept'), KEPT), where).toBe(true);
          const again = await cli.run(['put', '-', '--name', 'after'], { input: KEPT });
          expect(again.code, `${where}, then ${said(again)}`).toBe(0);
        }
      }
      console.log(`I/O faults: ${called}: ${calls} calls, one in ${step} hit: ${JSON.stringify(codes)}`);
    },
    900_000,
  );
});
