import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CliVault, MAIN, type Outcome, said } from '../helpers/cli.ts';
import { noise } from '../helpers/vault.ts';

const PRELOAD = fileURLToPath(new URL('children/faulty-natives.mjs', import.meta.url));

const here = (name: string): boolean => {
  if (process.env.HOLDFAST_NATIVE === 'off') return false;
  try {
    createRequire(import.meta.url)(name);
    return true;
  } catch {
    return false;
  }
};

/** Half of it compresses; in a few chunks. */
const content = noise(3_000_000);
for (let at = 0; at < content.length; at += 64) content.fill(7, at, at + 32);

let cli: CliVault;
beforeEach(async () => {
  cli = await CliVault.create();
});
afterEach(() => cli.remove());

const withFault = (fault: string, args: string[], input?: Uint8Array): Promise<Outcome> =>
  cli.run(args, {
    ...(input === undefined ? {} : { input }),
    env: {
      NODE_OPTIONS: `--import ${pathToFileURL(PRELOAD).href}`,
      HOLDFAST_TEST_REQUIRE: MAIN,
      HOLDFAST_TEST_FAULT: fault,
    },
  });

describe.skipIf(!here('zstd-napi/binding'))('a compressor that flips a bit of its input', () => {
  it('is not used, and it is said: another takes its place', async () => {
    const put = await withFault('zstd input above 0', ['put', '-', '--name', 'x'], content);
    expect(put.code, said(put)).toBe(0);
    expect(put.stderr).toMatch(/zstd-napi gave wrong bytes for zstd and is not used/);
    expect(Buffer.compare((await cli.run(['get', 'x'])).stdout, content)).toBe(0);
    const version = await withFault('zstd input above 0', ['--version', '--verbose']);
    expect(version.stdout.toString()).toMatch(/not used +zstd-napi for zstd: it gave wrong bytes/);
  });

  it('of long chunks only, is noticed by the put: nothing is stored', async () => {
    const before = await cli.blobs();
    const put = await withFault('zstd input above 200000', ['put', '-', '--name', 'x', '--json'], content);
    expect(put.code, said(put)).toBe(5);
    expect(put.stderr).toContain('kernel_fault');
    expect(await cli.blobs()).toEqual(before);
    expect((await cli.run(['get', 'x'])).code).toBe(3);
  });
});

describe.skipIf(!here('zstd-napi/binding'))('bytes that were put wrong with verify_writes = "off"', () => {
  it('leave no file behind, end a stream with an error, and are found by verify --deep', async () => {
    await cli.remove();
    cli = await CliVault.create('[integrity]\nverify_writes = "off"\n');
    const put = await withFault('zstd input above 200000', ['put', '-', '--name', 'x'], content);
    expect(put.code, said(put)).toBe(0);
    const target = join(cli.home, 'got');
    const toFile = await cli.run(['get', 'x', '-o', target]);
    expect(toFile.code, said(toFile)).toBe(5);
    expect(existsSync(target)).toBe(false);
    const streamed = await cli.run(['get', 'x']);
    expect(streamed.code).toBe(5);
    expect(streamed.stdout.length).toBeLessThan(content.length);
    expect((await cli.run(['verify', 'x'])).code).toBe(0);
    const deep = await cli.run(['verify', 'x', '--deep']);
    expect(deep.code, said(deep)).toBe(5);
    expect(deep.stdout.toString()).toMatch(/content +the object read is not the object that was put/);
  });
});

describe.skipIf(!here('@napi-rs/blake-hash'))('a BLAKE3 that is wrong above 4 KiB', () => {
  it('is not used, and it is said: another takes its place', async () => {
    const put = await withFault('blake3 above 4096', ['put', '-', '--name', 'x'], content);
    expect(put.code, said(put)).toBe(0);
    expect(put.stderr).toMatch(/@napi-rs\/blake-hash gave wrong bytes for blake3 and is not used/);
    expect(Buffer.compare((await cli.run(['get', 'x'])).stdout, content)).toBe(0);
    expect((await cli.run(['verify', 'x', '--deep'])).code).toBe(0);
  });
});
