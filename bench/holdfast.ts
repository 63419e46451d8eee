import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { secureRandom } from '../src/core/random.ts';
import { initFsProvider } from '../src/providers/fs/layout.ts';
import { createKeyFile, homePaths } from '../src/vault/home.ts';
import { findConfig } from '../src/vault/load-config.ts';
import type { ChildJob, ChildReport } from './child.ts';
import { sum } from './numbers.ts';
import { measure } from './processes.ts';

const CHILD = fileURLToPath(new URL('./child.js', import.meta.url));
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Any three of nine may vanish. */
const VANISHED = ['p2', 'p5', 'p8'];

export const COMMAND: string = join(ROOT, 'dist/cli/main.js');
export const CONFIG: string = join(ROOT, 'config/storage.toml');
/** The same for servers that thousands of connections of this machine come to. */
export const CROWD_CONFIG: string = join(ROOT, 'bench/crowd.toml');

/** What differs from the shipped configuration. */
export interface VaultSettings {
  /** How many `fs` providers, or where the storage nodes are. */
  readonly providers?: number | readonly string[];
  /** TOML: sections without `[[providers]]`. */
  readonly sections?: string;
}

export type Operation = Omit<ChildJob, 'home' | 'config'>;

export interface BenchRun extends ChildReport {
  /** Of the whole process. */
  readonly wallMs: number;
}

export interface How {
  readonly env?: Record<string, string>;
  /** A program, with its arguments, that runs the process. */
  readonly under?: readonly string[];
}

/** A vault in a home of its own, the key unwrapped. */
export interface BenchVault {
  readonly home: string;
  run(operation: Operation, how?: How): Promise<BenchRun>;
  /** Moves three `fs` providers away, or back. */
  vanish(gone: boolean): Promise<void>;
  /** What lies at the `fs` providers. */
  stored(): Promise<Content>;
  remove(): Promise<void>;
}

/** @param settings none: the shipped defaults, nine `fs` providers. */
export async function createVault(dir: string, settings?: VaultSettings): Promise<BenchVault> {
  const home = join(dir, 'home');
  const file = settings === undefined ? CONFIG : await writeConfig(dir, settings);
  const config = await findConfig({ file, home, env: {}, cwd: dir });
  await createKeyFile(homePaths(home), undefined, secureRandom);
  const roots = new Map<string, string>();
  for (const provider of config.providers) {
    if (provider.adapter !== 'fs') continue;
    await initFsProvider(provider.root, provider.id);
    roots.set(provider.id, provider.root);
  }
  return {
    home,
    async run(operation, { env = {}, under = [] } = {}) {
      const job: ChildJob = { ...operation, home, config: file };
      const command = [
        ...under,
        process.execPath,
        ...nodeFlagsIn('HOLDFAST_BENCH_CLIENT_FLAGS'),
        CHILD,
        JSON.stringify(job),
      ];
      const { ms, stdout } = await measure(command[0]!, command.slice(1), { env });
      return { ...(JSON.parse(stdout) as ChildReport), wallMs: ms };
    },
    async vanish(gone) {
      for (const id of VANISHED) {
        const [here, away] = [roots.get(id)!, `${roots.get(id)!}.away`];
        await (gone ? rename(here, away) : rename(away, here));
      }
    },
    async stored() {
      const all = await Promise.all([...roots.values()].map(contentOf));
      return { files: sum(all.map(({ files }) => files)), bytes: sum(all.map(({ bytes }) => bytes)) };
    },
    remove: () => removeFolder(home),
  };
}

/** For profiles: e.g. `HOLDFAST_BENCH_CLIENT_FLAGS="--cpu-prof --cpu-prof-dir=prof"`. */
export const nodeFlagsIn = (
  variable: 'HOLDFAST_BENCH_CLIENT_FLAGS' | 'HOLDFAST_BENCH_NODE_FLAGS',
): string[] => (process.env[variable] ?? '').split(' ').filter((flag) => flag !== '');

async function writeConfig(dir: string, { providers = 9, sections = '' }: VaultSettings): Promise<string> {
  const tables =
    typeof providers === 'number'
      ? Array.from({ length: providers }, (_, i) => `adapter = "fs"\nroot = "providers/p${i + 1}"`)
      : providers.map((url) => `adapter = "http"\nurl = "${url}"`);
  const path = join(dir, 'storage.toml');
  const list = tables.map((table, i) => `[[providers]]\nid = "p${i + 1}"\n${table}\n`);
  await writeFile(path, [sections, ...list].join('\n'));
  return path;
}

export interface Content {
  readonly files: number;
  readonly bytes: number;
}

/** What lies in a folder and those below. */
export async function contentOf(dir: string): Promise<Content> {
  const content = { files: 0, bytes: 0 };
  for (const entry of await readdir(dir, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    content.files++;
    content.bytes += (await stat(join(entry.path, entry.name))).size;
  }
  return content;
}

/** An empty folder of that name. */
export async function freshFolder(dir: string, name: string): Promise<string> {
  const path = join(dir, name);
  await removeFolder(path);
  await mkdir(path);
  return path;
}

export const removeFolder = (path: string): Promise<void> => rm(path, { recursive: true, force: true });
