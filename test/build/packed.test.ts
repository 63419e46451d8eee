import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAGE_FILES } from '../../src/explorer/page.ts';
import { absent } from '../helpers/absent.ts';
import { installedWith, PackedApps, ROOT, run, sizeOf } from './packed.ts';

const MIB = 1024 ** 2;

/** A bundler that only these tests need. */
function whereInstalled(name: string): typeof it.skip {
  if (existsSync(join(ROOT, 'node_modules', name))) return it;
  absent(`${name} is not installed`, `a program bundled by ${name}`);
  return it.skip;
}

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

  it('has the explorer page, as a gateway and a daemon serve it', async () => {
    for (const name of PAGE_FILES.keys())
      expect(existsSync(join(apps.package, 'web', name)), name).toBe(true);
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

  describe('in a TypeScript application that a bundler makes one file of', () => {
    const input = 'bundler/out/app.js';
    beforeAll(() => apps.compile('bundler'));
    const works = (file: string): void =>
      expect(node(file, join(apps.folder, 'home-of-bundled'))).toBe('true 5000000\n');

    it('works after rolldown', async () => {
      const bundle = await rolldown({
        input: join(apps.folder, input),
        platform: 'node',
        external: (id) => NATIVE.some((name) => id === name || id.startsWith(`${name}/`)),
        logLevel: 'silent',
      });
      await bundle.write({ dir: join(apps.folder, 'rolldown'), format: 'esm', codeSplitting: false });
      await bundle.close();
      works('rolldown/app.js');
    });

    whereInstalled('esbuild')('works after esbuild', () => {
      const external = NATIVE.map((name) => `--external:${name}`);
      const flags = ['--bundle', '--platform=node', '--format=esm', '--outfile=esbuild/app.js', ...external];
      // A script or a native program, as its installation left it.
      run(join(ROOT, 'node_modules/.bin/esbuild'), [input, '--log-level=error', ...flags], apps.folder);
      works('esbuild/app.js');
    });

    whereInstalled('webpack')('works after webpack', async () => {
      await writeFile(join(apps.folder, 'webpack.mjs'), WEBPACK);
      node('webpack.mjs', join(ROOT, 'node_modules/webpack/lib/index.js'), input, ...NATIVE);
      works('webpack/app.mjs');
    });
  });
});

/** What loads native code or files of its own cannot go into a bundle. */
const NATIVE = [
  'level',
  'libsodium',
  'ssh2',
  'undici',
  'blake3-jit',
  'zstd-napi',
  'postgres',
  '@bokuweb/zstd-wasm',
  '@napi-rs/blake-hash',
  '@ronomon/reed-solomon',
];

/** Takes the path of webpack, the input, and what stays outside. */
const WEBPACK = `
import { resolve } from 'node:path';
const [, , path, input, ...outside] = process.argv;
const { default: webpack } = await import(path);
const stats = await new Promise((done, failed) => webpack({
  mode: 'production', target: 'node20', entry: './' + input, devtool: false,
  optimization: { minimize: false },
  output: { path: resolve('webpack'), filename: 'app.mjs', module: true, chunkFormat: 'module' },
  experiments: { outputModule: true },
  externals: [({ request, dependencyType }, use) => {
    if (!outside.some((name) => request === name || request.startsWith(name + '/'))) return use();
    use(null, (dependencyType === 'esm' ? 'module ' : 'node-commonjs ') + request);
  }],
}, (error, found) => (error ? failed(error) : done(found))));
if (stats.hasErrors()) throw new Error(stats.toString('errors-only'));
`;
