// For a release: fails when an entry of package-lock.json has no hash of what npm is to install. Some mirrors of the
// registry lack packages for other platforms; where the registry has them, `--repair` adds their hashes.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const named = process.argv.slice(2).find((word) => !word.startsWith('--'));
const LOCK = named ?? fileURLToPath(new URL('../package-lock.json', import.meta.url));
const INTEGRITY = /^sha512-[A-Za-z0-9+/]{86}==$/;

const lock = JSON.parse(readFileSync(LOCK, 'utf8'));
const bare = Object.entries(lock.packages).filter(
  ([path, entry]) => path !== '' && entry.link !== true && !INTEGRITY.test(entry.integrity ?? ''),
);

if (process.argv.includes('--repair')) {
  for (const [path, entry] of bare) {
    const name = entry.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const { integrity, tarball } = distributed(name, entry.version);
    if (!INTEGRITY.test(integrity ?? '')) continue;
    Object.assign(entry, { resolved: tarball, integrity });
    console.log(`${name}@${entry.version} ${integrity}`);
  }
  writeFileSync(LOCK, `${JSON.stringify(lock, null, 2)}\n`);
}

const left = bare.filter(([, { integrity }]) => !INTEGRITY.test(integrity ?? ''));
for (const [path, { version }] of left) console.error(`no integrity: ${path} ${version}`);
if (left.length > 0) {
  console.error(`${left.length} entries. Run this with --repair against https://registry.npmjs.org.`);
  process.exitCode = 1;
}

/** What the registry says of a version. */
function distributed(name, version) {
  const asked = ['view', `${name}@${version}`, 'dist', '--json'];
  try {
    return JSON.parse(execFileSync('npm', asked, { encoding: 'utf8', timeout: 60_000 }));
  } catch {
    return {};
  }
}
