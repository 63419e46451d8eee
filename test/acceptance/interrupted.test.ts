import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliVault, IDS, type Outcome, type RunOptions, SLOW, SMALL_PIECES, said } from '../helpers/cli.ts';
import { filesBelow, vanish } from '../helpers/files.ts';
import { noise } from '../helpers/vault.ts';

const MIB = 1024 * 1024;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('interrupted', () => {
  let cli: CliVault;
  beforeEach(async () => {
    cli = await CliVault.create(SMALL_PIECES);
  });
  afterEach(() => cli.remove());

  const temps = async (): Promise<string[]> =>
    (await Promise.all(IDS.map((id) => filesBelow(join(cli.providerRoot(id), 'tmp'))))).flat();
  async function until(what: () => Promise<boolean>): Promise<void> {
    for (let i = 0; i < 1000; i++) {
      if (await what()) return;
      await sleep(5);
    }
    throw new Error('it never came to that');
  }

  /** What could not be deleted in time is queued, and gone after the next commands. */
  async function cleaned(expected: readonly string[], why?: string): Promise<void> {
    await cleanedTo(expected.length);
    expect(await cli.blobs(), why).toEqual(expected);
  }
  async function cleanedTo(count: number): Promise<void> {
    for (let i = 0; i < 10 && (await cli.blobs()).length !== count; i++) {
      await cli.run(['put', '-', '--name', 'next'], { input: noise(10) });
      await cli.run(['rm', 'next']);
    }
  }

  /** How long a put takes here and now, milliseconds. */
  async function timePut(input: Uint8Array): Promise<number> {
    const started = performance.now();
    await cli.run(['put', '-', '--name', 'timed'], { input });
    const ms = performance.now() - started;
    await cli.run(['rm', 'timed']);
    return ms;
  }

  /** `bytes` slowly, then nothing more, and no end. */
  async function* endless(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 65_536) {
      yield bytes.subarray(at, at + 65_536);
      await sleep(2);
    }
    await sleep(60_000);
  }

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`${signal} in mid-put: exit code 7 at once, the old version intact, every blob cleaned up`, async () => {
      const old = noise(200_000, 1);
      await cli.run(['put', '-', '--name', 'x'], { input: old });
      const before = await cli.blobs();
      const { child, outcome } = cli.start(['put', '-', '--name', 'x'], {
        input: endless(noise(4 * MIB, 2)),
      });
      await until(async () => (await cli.blobs()).length > before.length + 30);
      const sent = performance.now();
      child.kill(signal);
      const put = await outcome;
      const ms = performance.now() - sent;
      expect(put.code, said(put)).toBe(7);
      expect(put.stderr).toMatch(/aborted|interrupted/);
      expect(put.stderr).not.toMatch(/ at .*\.js:|Warning/);
      await cleaned(before);
      expect(await temps()).toEqual([]);
      expect(Buffer.compare((await cli.run(['get', 'x'])).stdout, old)).toBe(0);
      expect(JSON.parse((await cli.run(['manifests', '--json'])).stdout.toString())).toHaveLength(1);
      console.log(`interrupted: ${signal} in mid-put: exit code 7 after ${ms.toFixed(0)} ms, no blob left`);
      expect(ms).toBeLessThan(30_000);
    });
  }

  /**
   * SIGINT once the program has taken over signals: before, Ctrl-C ends any program at once (null), and how long that
   * is depends on how busy the machine is.
   */
  async function interrupted(args: string[], options?: RunOptions): Promise<Outcome> {
    for (let ms = 250; ms <= 32_000; ms *= 2) {
      const { child, outcome } = cli.start(args, options);
      await sleep(ms);
      child.kill('SIGINT');
      const ended = await outcome;
      if (ended.code !== null) return ended;
    }
    throw new Error('it never took over the signal');
  }

  it('SIGINT while standard input is silent ends the put', async () => {
    const put = await interrupted(['put', '-', '--name', 'y']);
    expect(put.code, said(put)).toBe(7);
    expect(await cli.blobs()).toEqual([]);
  });

  it('SIGINT at any moment of a put: exit code 7 and nothing, or 0 and everything', async () => {
    let done = 0;
    const bytes = noise(2 * MIB, 9);
    const times = SLOW ? 60 : 4;
    const usual = await timePut(bytes);
    for (let i = 0; i < times; i++) {
      const before = await cli.blobs();
      const { child, outcome } = cli.start(['put', '-', '--name', `n${i}`], { input: bytes });
      await sleep(usual * (0.3 + (0.9 * i) / times));
      child.kill('SIGINT');
      const put = await outcome;
      // Before the program has taken over signals, and after its work is done, Ctrl-C ends it at once.
      expect([0, 7, null]).toContain(put.code);
      const got = await cli.run(['get', `n${i}`]);
      if (put.code === 0 || (put.code === null && put.stdout.length > 0)) {
        expect(Buffer.compare(got.stdout, bytes)).toBe(0);
        done++;
      } else {
        expect(got.code, said(put)).toBe(3);
        await cleaned(before, `turn ${i}: ${said(put)}`);
      }
    }
    console.log(
      `interrupted: ${times} puts interrupted at any moment: ${done} had finished, none half visible`,
    );
  });

  it('SIGINT in mid-get leaves no file, and the old file', async () => {
    await cli.run(['put', '-', '--name', 'x'], { input: noise(8 * MIB, 1) });
    const out = join(cli.home, 'out');
    const { child, outcome } = cli.start(['get', 'x', '-o', out]);
    await until(async () => (await readdir(cli.home)).some((name) => name.startsWith('out')));
    child.kill('SIGINT');
    const got = await outcome;
    const left = (await readdir(cli.home)).filter((name) => name.startsWith('out'));
    if (got.code === 0) expect(left).toEqual(['out']);
    else {
      expect(got.code, said(got)).toBe(7);
      expect(left).toEqual([]);
    }
    console.log(`interrupted: SIGINT in mid-get: exit code ${got.code}`);
  });

  it('SIGINT during verify and ls ends them with 7', async () => {
    await cli.run(['put', '-', '--name', 'x'], { input: noise(8 * MIB, 1) });
    const verify = await interrupted(['verify', 'x']);
    expect([0, 7], said(verify)).toContain(verify.code);
    expect(verify.stderr).not.toMatch(/ at .*\.js:|Warning/);
  });

  it('kill -9 at any moment of puts: old or new version whole; the next put sweeps what is left', async () => {
    const rounds = SLOW ? 60 : 5;
    let current = noise(150_000, 1);
    await cli.run(['put', '-', '--name', 'x'], { input: current });
    const whole = (await cli.blobs()).length;
    const usual = await timePut(noise(1_000_000, 3));
    let left = 0;
    let visible = 0;
    for (let i = 0; i < rounds; i++) {
      const next = noise(1_000_000 + i, 50 + i);
      const { child, outcome } = cli.start(['put', '-', '--name', 'x'], { input: next });
      await sleep(usual * (0.4 + (0.8 * i) / rounds));
      child.kill('SIGKILL');
      await outcome;
      const got = await cli.run(['get', 'x']);
      expect(got.code, said(got)).toBe(0);
      const isNew = Buffer.compare(got.stdout, next) === 0;
      expect(isNew || Buffer.compare(got.stdout, current) === 0).toBe(true);
      if (isNew) {
        current = next;
        visible++;
      }
      left = Math.max(left, (await cli.blobs()).length);
    }
    current = noise(150_000, 999);
    expect((await cli.run(['put', '-', '--name', 'x'], { input: current })).code).toBe(0);
    await cleanedTo(whole);
    expect((await cli.blobs()).length).toBe(whole);
    expect(Buffer.compare((await cli.run(['get', 'x'])).stdout, current)).toBe(0);
    const verify = await cli.run(['verify', 'x']);
    expect(verify.code, said(verify)).toBe(0);
    expect(JSON.parse((await cli.run(['manifests', '--json'])).stdout.toString())).toHaveLength(1);
    console.log(
      `interrupted: ${rounds} puts killed with -9 (${visible} had become visible), always one whole version; ` +
        `up to ${left} blobs then, ${whole} after the next put`,
    );
  });

  it('a provider folder deleted in mid-put: clean success with what is left, or a clear error', async () => {
    const bytes = noise(6 * MIB, 3);
    const { outcome } = cli.start(['put', '-', '--name', 'x', '--json'], {
      input: (async function* () {
        for (let at = 0; at < bytes.length; at += 128 * 1024) {
          yield bytes.subarray(at, at + 128 * 1024);
          await sleep(10);
          if (at === 24 * 128 * 1024) {
            await until(async () => (await cli.blobs()).length > 20);
            await vanish(cli.providerRoot('p6'));
          }
        }
      })(),
    });
    const put = await outcome;
    expect(put.code, said(put)).toBe(0);
    expect(put.stderr).toContain('p6');
    const { certificate } = JSON.parse(put.stdout.toString());
    const got = await cli.run(['get', 'x']);
    expect(Buffer.compare(got.stdout, bytes)).toBe(0);
    // The certificate counts what p6 acknowledged before it went.
    expect(certificate.tolerates).toBeGreaterThanOrEqual(2);
    const verify = await cli.run(['verify', 'x', '--json']);
    const { live } = JSON.parse(verify.stdout.toString()).certificate;
    console.log(
      `interrupted: p6 deleted in mid-put: certified for ${certificate.tolerates} losses, ${live.tolerates} more may follow`,
    );
    expect(live.tolerates).toBeGreaterThanOrEqual(certificate.tolerates - 1);
  });

  it('five of nine folders deleted in mid-put: refused, nothing visible', async () => {
    const bytes = noise(4 * MIB, 3);
    const { outcome } = cli.start(['put', '-', '--name', 'x', '--min-tolerates', '3'], {
      input: (async function* () {
        for (let at = 0; at < bytes.length; at += 128 * 1024) {
          yield bytes.subarray(at, at + 128 * 1024);
          await sleep(10);
          if (at === 16 * 128 * 1024) {
            await until(async () => (await cli.blobs()).length > 20);
            for (const id of IDS.slice(0, 5)) await vanish(cli.providerRoot(id));
          }
        }
      })(),
    });
    const put = await outcome;
    expect([4, 6], said(put)).toContain(put.code);
    expect((await cli.run(['get', 'x'])).code).toBe(3);
    await cleaned([]);
  });

  it('all folders deleted: clear error', async () => {
    for (const id of IDS) await rm(cli.providerRoot(id), { recursive: true });
    const put = await cli.run(['put', '-', '--name', 'x'], { input: noise(1000) });
    expect(put.code, said(put)).toBe(4);
    expect(put.stderr).toContain('p9');
  });
});
