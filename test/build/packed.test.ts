import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installedWith, PackedApps, ROOT, run, sizeOf } from './packed.ts';

const MIB = 1024 ** 2;
let apps: PackedApps;
beforeAll(async () => {
  apps = await PackedApps.create();
  await writeFile(join(apps.folder, 'package.json'), '{ "type": "module" }');
});
afterAll(() => apps.remove());

const node = (...args: readonly string[]): string => run(process.execPath, args, apps.folder);

describe('the packed package', () => {
  it('is small, with all that it brings, and brings no compiler', () => {
    const others = installedWith();
    const bytes = others.reduce((sum, path) => sum + sizeOf(join(ROOT, path)), sizeOf(apps.package));
    expect(bytes).toBeGreaterThan(5 * MIB);
    expect(bytes).toBeLessThan(25 * MIB);
    const compilers = /^(typescript|esbuild|rolldown|node-gyp$|webpack|vite|@swc)/;
    expect(others.map((path) => basename(path)).filter((name) => compilers.test(name))).toEqual([]);
  });

  it('has every file that its exports name, and the declarations need no compiler option', async () => {
    const { exports, bin } = JSON.parse(await readFile(join(apps.package, 'package.json'), 'utf8')) as {
      exports: Record<string, string | Record<string, string>>;
      bin: Record<string, string>;
    };
    const targets = Object.values(exports).flatMap((target) =>
      typeof target === 'string' ? [target] : Object.values(target),
    );
    for (const target of [...targets, ...Object.values(bin)])
      expect(await readFile(join(apps.package, target), 'utf8'), target).not.toBe('');
  });

  it('is used by a nodenext TypeScript application, every entry point of it', () => {
    apps.compile('nodenext');
    expect(node('nodenext/out/app.js', join(apps.folder, 'home'))).toBe(
      'typed name_not_found ConfigInvalid 0 function true\n',
    );
  });

  it('is used by plain JavaScript', () => {
    expect(node('javascript/app.js')).toBe(
      'js plain JavaScript true getObject: unknown option "strat"; did you mean "start"?\n',
    );
  });

  it('is used by a TypeScript application that a bundler makes one file of', async () => {
    apps.compile('bundler');
    const bundle = await rolldown({
      input: join(apps.folder, 'bundler/out/app.js'),
      platform: 'node',
      external: NATIVE,
      logLevel: 'silent',
    });
    await bundle.write({ dir: join(apps.folder, 'bundled'), format: 'esm', codeSplitting: false });
    await bundle.close();
    expect(node('bundled/app.js', join(apps.folder, 'home2'))).toBe('true 5000000\n');
  });
});

/** What loads native code or files of its own cannot go into a bundle. */
const NATIVE =
  /^(level|libsodium|ssh2|undici|blake3-jit|zstd-napi|@bokuweb\/zstd-wasm|@napi-rs\/|@ronomon\/)/;
