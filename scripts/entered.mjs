// How many files of src/ one has to know to follow one put, one get and one HTTP GET at a node: those with a function
// that runs during it, once an earlier one has loaded everything. `--list` names them; `--root DIR` is another checkout.
// It needs the unbundled build: `tsc -p tsconfig.bench.json`.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { startCoverage, takeCoverage } from './coverage.mjs';
import { ROOT } from './house.mjs';

const OBJECT_BYTES = 1024 * 1024;
/** The first object is smaller: with both, no work moves to other threads, where it would not be seen. */
const FIRST_BYTES = OBJECT_BYTES / 4;
/** After it, what goes on in the background has come to rest. */
const SETTLING_MS = 1500;

const { values: options } = parseArgs({
  options: { root: { type: 'string', default: ROOT }, list: { type: 'boolean', default: false } },
});
const built = resolve(options.root, 'dist-bench/src');
const program = join(built, 'cli/main.js');
const load = (path) => import(pathToFileURL(join(built, path)).href);
const dir = await mkdtemp(join(tmpdir(), 'holdfast-entered-'));
// The program reads its version there.
await copyFile(join(options.root, 'package.json'), join(built, '../package.json'));
try {
  await vaultOperations();
  await nodeOperations();
} finally {
  await rm(dir, { recursive: true, force: true });
}

function report(what, urls) {
  const prefix = pathToFileURL(built).href;
  const files = urls.filter((url) => url.startsWith(prefix)).map((url) => url.slice(prefix.length + 1));
  console.log(`${what.padEnd(24)} ${files.length} files`);
  if (options.list) for (const file of files.sort()) console.log(`  ${file.replace(/\.js$/, '.ts')}`);
}

async function vaultOperations() {
  const { openVault } = await load('index.js');
  const place = ['--home', join(dir, 'home'), '--config', join(options.root, 'config/storage.toml')];
  await promisify(execFile)(process.execPath, [program, 'init', '--unwrapped', ...place], { env: {} });
  const vault = await openVault({ home: place[1], config: place[3], env: {}, housekeeping: false });
  const put = (name, length) => vault.putObject(randomBytes(length), { name });
  const get = async (name) => {
    for await (const _ of (await vault.getObject(name)).borrow());
  };
  await put('first', FIRST_BYTES);
  await get('first');
  await setTimeout(SETTLING_MS);
  await startCoverage();
  await put('second', OBJECT_BYTES);
  report('put of 1 MiB', await takeCoverage());
  await setTimeout(SETTLING_MS);
  await startCoverage();
  await get('second');
  report('get of it', await takeCoverage());
  await vault.close();
}

/** In a process of its own, so that the client's code does not count. */
async function nodeOperations() {
  const hook = pathToFileURL(fileURLToPath(new URL('./coverage.mjs', import.meta.url))).href;
  const args = ['node', '--root', join(dir, 'node'), '--init', '--json'];
  const child = spawn(
    process.execPath,
    ['--import', hook, program, ...args, '--bind', '127.0.0.1:0', '--access-log', 'off'],
    { stdio: ['ignore', 'pipe', 'ignore', 'ipc'] },
  );
  try {
    const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the node ended: ${code}`)));
    const [line] = await Promise.race([once(createInterface(child.stdout), 'line'), ended]);
    ended.catch(() => {});
    const { url } = JSON.parse(line).listening[0];
    const ask = async (what) => {
      child.send(what);
      return (await once(child, 'message'))[0];
    };
    const { selectBlake3 } = await load('core/b3/select.js');
    const { addressOf } = await load('core/address.js');
    const blake3 = await selectBlake3({ native: false, wasm: true });
    const put = async () => {
      const body = randomBytes(OBJECT_BYTES);
      const target = `${url}/o/${addressOf(blake3.hash(body))}`;
      const stored = await fetch(target, { method: 'PUT', body });
      if (!stored.ok) throw new Error(`the node refused a blob: ${stored.status} ${await stored.text()}`);
      return target;
    };
    const get = async (target) => (await fetch(target)).arrayBuffer();
    const targets = [await put(), await put()];
    await get(targets[0]);
    await ask('start');
    await get(targets[1]);
    report('GET at a node', await ask('take'));
  } finally {
    child.kill();
    await once(child, 'exit');
  }
}
