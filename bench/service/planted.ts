import { spawnSync } from 'node:child_process';
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Inside the checkout, where the packages are found. */
const SITE = join(ROOT, 'dist-bench/planted');

/** In a file of `src/`, what stands there, and what takes its place. */
interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Slowdowns that somebody might bring in, each of which the gate must see. */
export const PLANTED: Readonly<Record<string, readonly Change[]>> = {
  'verify twice': [
    {
      file: 'verified/inspect.ts',
      from: "      if (addressOf(blake3.hash(into)) !== address) throw mismatch(address, 'blob');",
      to: `      for (let i = 0; i < 2; i++)
        if (addressOf(blake3.hash(into)) !== address) throw mismatch(address, 'blob');`,
    },
  ],
  'buffer whole bodies': [
    {
      file: 'node/upload.ts',
      from: '  for await (const piece of body) {\n    if (!known)',
      to: `  const whole: Buffer[] = [];
  for await (const piece of body) whole.push(Buffer.from(piece));
  for (const piece of [Buffer.concat(whole)]) {
    if (!known)`,
    },
  ],
  'drop the cache': [
    {
      file: 'verified/hot-cache.ts',
      from: '    if (entry !== undefined) entry.used = true;\n    return entry;',
      to: '    return entry === undefined ? entry : undefined;',
    },
  ],
  'drop the chunks of the gateway': [
    {
      file: 'gateway/chunk-cache.ts',
      from: '      const kept = list?.[indexOf(list, at)];\n',
      to: '      const kept = undefined;\n',
    },
  ],
  'open manifests anew': [
    {
      file: 'gateway/opened-manifests.ts',
      from: '- known.openedMs < MAX_AGE_MS;',
      to: '- known.openedMs < 0;',
    },
  ],
  'ask for the length first': [
    {
      file: 'verified/reader.ts',
      from: 'this.#tellsSize = options.peekStat === undefined;',
      to: 'this.#tellsSize = false;',
    },
  ],
  'a lock across an await': [
    {
      file: 'http/handle.ts',
      from: '    await endpoint.run(context, exchange, params);',
      to: `    const before = lock;
    let unlock = (): void => {};
    lock = new Promise((resolve) => {
      unlock = resolve;
    });
    await before;
    try {
      await endpoint.run(context, exchange, params);
    } finally {
      unlock();
    }`,
    },
    {
      file: 'http/handle.ts',
      from: '/** Serves the requests of a service:',
      to: 'let lock: Promise<void> = Promise.resolve();\n\n/** Serves the requests of a service:',
    },
  ],
  'log synchronously': [
    {
      file: 'http/log.ts',
      from: '((entry) => accessLines.add(printableLine(JSON.stringify(entry)))),',
      to: `((entry) => {
      writeSync((access as unknown as { fd: number }).fd, \`\${printableLine(JSON.stringify(entry))}\\n\`);
    }),`,
    },
    {
      file: 'http/log.ts',
      from: "import type { Writable } from 'node:stream';",
      to: "import { writeSync } from 'node:fs';\nimport type { Writable } from 'node:stream';",
    },
  ],
};

/** @returns `main.js` of a program with that slowdown. @throws Error when what it changes is not there any more. */
export async function buildPlanted(name: string): Promise<string> {
  const changes = PLANTED[name];
  if (changes === undefined) throw new Error(`there is no planted slowdown "${name}"`);
  const site = join(SITE, name.replaceAll(' ', '-'));
  await rm(site, { recursive: true, force: true });
  await mkdir(site, { recursive: true });
  for (const part of ['src', 'scripts', 'config', 'package.json', 'rolldown.config.mjs', 'web'])
    await cp(join(ROOT, part), join(site, part), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(site, 'node_modules'));
  for (const { file, from, to } of changes) {
    const path = join(site, 'src', file);
    const text = await readFile(path, 'utf8');
    if (text.split(from).length !== 2) throw new Error(`${file} does not have once: ${from}`);
    await writeFile(
      path,
      text.replace(from, () => to),
    );
  }
  const built = spawnSync(process.execPath, ['scripts/bundle.mjs'], { cwd: site, encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`"${name}" cannot be built: ${built.stderr}`);
  return join(site, 'dist/cli/main.js');
}
