import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createKeyFile, homePaths } from '../src/compose/home.ts';
import { findConfig } from '../src/compose/load-config.ts';
import { secureRandom } from '../src/core/random.ts';
import { initFsProvider } from '../src/providers/fs/index.ts';
import type { ChildReport } from './child.ts';
import { measure } from './processes.ts';

const CHILD = fileURLToPath(new URL('./child.js', import.meta.url));
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Any three of nine may vanish. */
const VANISHED = ['p2', 'p5', 'p8'];

export const COMMAND: string = join(ROOT, 'dist/cli/main.js');
export const CONFIG: string = join(ROOT, 'config/storage.toml');

/** A vault with the shipped defaults: nine `fs` providers in the home, the key unwrapped. */
export interface Bench {
  readonly home: string;
  run(what: 'put' | 'get' | 'range', name: string, file?: string): Promise<ChildReport & { wallMs: number }>;
  /** Moves three providers away, or back. */
  vanish(gone: boolean): Promise<void>;
  stored(): Promise<{ files: number; bytes: number }>;
  remove(): Promise<void>;
}

export async function createVault(dir: string): Promise<Bench> {
  const home = join(dir, 'home');
  const config = await findConfig({ file: CONFIG, home, env: {}, cwd: dir });
  await createKeyFile(homePaths(home), undefined, secureRandom);
  const roots = new Map<string, string>();
  for (const provider of config.providers) {
    if (provider.adapter !== 'fs') continue;
    await initFsProvider(provider.root, provider.id);
    roots.set(provider.id, provider.root);
  }
  return {
    home,
    async run(what, name, file) {
      const args = [CHILD, what, home, CONFIG, name, ...(file === undefined ? [] : [file])];
      const { ms, stdout } = await measure(process.execPath, args);
      return { ...(JSON.parse(stdout) as ChildReport), wallMs: ms };
    },
    async vanish(gone) {
      for (const id of VANISHED) {
        const [here, away] = [roots.get(id)!, `${roots.get(id)!}.away`];
        await (gone ? rename(here, away) : rename(away, here));
      }
    },
    async stored() {
      const sum = { files: 0, bytes: 0 };
      for (const root of roots.values()) await addFiles(root, sum);
      return sum;
    },
    remove: () => removeFolder(home),
  };
}

async function addFiles(dir: string, sum: { files: number; bytes: number }): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) await addFiles(path, sum);
    else {
      sum.files++;
      sum.bytes += (await stat(path)).size;
    }
  }
}

/** An empty folder of that name. */
export async function freshFolder(dir: string, name: string): Promise<string> {
  const path = join(dir, name);
  await removeFolder(path);
  await mkdir(path);
  return path;
}

export const removeFolder = (path: string): Promise<void> => rm(path, { recursive: true, force: true });
