import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { expect, it, onTestFinished } from 'vitest';
import { CliVault } from '../helpers/cli.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** What loads native code or files of its own cannot go into a bundle. */
const OUTSIDE =
  /^(level|libsodium|ssh2|undici|postgres|blake3-jit|zstd-napi|@bokuweb\/zstd-wasm|@napi-rs\/|@ronomon\/)/;

const PROGRAM = `
import { openVault } from ${JSON.stringify(join(ROOT, 'dist/index.js'))};
const vault = await openVault({ home: process.argv[2], env: {} });
const bytes = new Uint8Array(5_000_000).map((_, i) => i * 7 + (i >> 8));
await vault.putObject(bytes, { name: 'bundled' });
const parts = [];
for await (const piece of await vault.getObject('bundled')) parts.push(piece);
console.log(Buffer.concat(parts).equals(Buffer.from(bytes)));
await vault.close();
`;

it('a program bundled with the library into one file works, large objects and defaults included', async () => {
  const cli = await CliVault.create();
  // Where the packages that stay outside are found.
  const folder = await mkdtemp(join(ROOT, 'node_modules/.bundled-'));
  onTestFinished(async () => {
    await cli.remove();
    await rm(folder, { recursive: true, force: true });
  });
  await rm(join(cli.home, 'storage.toml'));
  const input = join(folder, 'program.mjs');
  await writeFile(input, PROGRAM);
  const bundle = await rolldown({ input, platform: 'node', external: OUTSIDE, logLevel: 'silent' });
  const out = join(folder, 'out');
  const file = join(out, 'program.mjs');
  await bundle.write({ dir: out, entryFileNames: '[name].mjs', format: 'esm', codeSplitting: false });
  await bundle.close();
  const { stdout, stderr, status } = spawnSync(process.execPath, [file, cli.home], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect({ stdout, status, stderr }).toMatchObject({ stdout: 'true\n', status: 0 });
});
