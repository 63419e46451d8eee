import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

interface LockEntry {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, LockEntry>>;
};

/** Folders of all packages that are installed with this one, as the lockfile has them. */
export function installedWith(): string[] {
  const found = new Set<string>();
  const add = (from: string, name: string): void => {
    for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
      const path = join(at, 'node_modules', name);
      if (lock.packages[path] !== undefined && !found.has(path)) {
        found.add(path);
        addAll(path);
      }
      if (lock.packages[path] !== undefined || at === '') return;
    }
  };
  const addAll = (path: string): void => {
    const { dependencies = {}, optionalDependencies = {} } = lock.packages[path]!;
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) add(path, name);
  };
  addAll('');
  return [...found];
}

/** Bytes of the files in a folder, but for packages that lie in it. */
export const sizeOf = (folder: string): number =>
  !existsSync(folder)
    ? 0
    : readdirSync(folder, { withFileTypes: true })
        .filter(({ name }) => name !== 'node_modules')
        .map((entry) => [entry, join(folder, entry.name)] as const)
        .reduce((sum, [entry, path]) => sum + (entry.isDirectory() ? sizeOf(path) : statSync(path).size), 0);

/** Runs to the end. @returns what it printed. */
export function run(command: string, args: readonly string[], cwd: string): string {
  const { stdout, stderr, status } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 60_000 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

/** A folder of applications with the packed package in it, beside links to the packages that it needs. */
export class PackedApps {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<PackedApps> {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-apps-'));
    const [{ filename }] = JSON.parse(
      run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], ROOT),
    ) as [{ filename: string }];
    run('tar', ['-xzf', filename], folder);
    const modules = join(folder, 'node_modules');
    await mkdir(modules);
    await cp(join(folder, 'package'), join(modules, 'holdfast'), { recursive: true });
    for (const path of [...installedWith(), 'node_modules/@types/node', 'node_modules/undici-types']) {
      const target = join(folder, path);
      if (path.includes('/node_modules/') || !existsSync(join(ROOT, path))) continue;
      await mkdir(dirname(target), { recursive: true });
      await symlink(join(ROOT, path), target);
    }
    await cp(join(import.meta.dirname, 'apps'), folder, { recursive: true });
    return new PackedApps(folder);
  }

  get package(): string {
    return join(this.folder, 'node_modules/holdfast');
  }

  /** Compiles one of the applications. */
  compile(app: string): void {
    run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', app], this.folder);
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true });
  }
}
