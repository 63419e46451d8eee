// Modules of src/, as they stand, without a build: what pages and checks are made from.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Inside the checkout, so that packages are found. */
const CACHE = join(ROOT, 'node_modules', '.cache');

/** @param {Record<string, string>} modules names to paths below the checkout. @returns what each exports, by its name. */
export async function fromSource(modules) {
  mkdirSync(CACHE, { recursive: true });
  const dir = mkdtempSync(join(CACHE, 'source-'));
  const input = Object.fromEntries(Object.entries(modules).map(([name, path]) => [name, join(ROOT, path)]));
  const external = (id) => !id.startsWith('.') && !id.startsWith('/');
  // What commands load when they run is not looked at.
  const lazy = { name: 'lazy', resolveDynamicImport: (id) => ({ id: String(id), external: true }) };
  try {
    const bundle = await rolldown({ input, external, platform: 'node', plugins: [lazy], logLevel: 'warn' });
    await bundle.write({ dir, format: 'esm', entryFileNames: '[name].mjs' });
    await bundle.close();
    const loaded = Object.keys(input).map(async (name) => [
      name,
      await import(pathToFileURL(join(dir, `${name}.mjs`)).href),
    ]);
    return Object.fromEntries(await Promise.all(loaded));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
