// Runs the tests on machines that have no server, each kind alone, and pairs of them: a PATH of links hides the others.
//   node scripts/server-matrix.mjs [--all-tests] [--cells none,alone,pairs] [--only ceph,nginx+rclone]
// By default each cell runs the tests that can use a server, and pairs those that use several at once; with --all-tests
// the whole suite. Exit code 1: a cell failed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** What a machine may have, and the programs without which it has it not. */
const KINDS = {
  ceph: ['radosgw'],
  swift: ['swift-proxy-server'],
  apache: ['apache2'],
  nginx: ['nginx'],
  rclone: ['rclone'],
  openssh: ['sshd'],
  postgres: ['postgres'],
};
/** Programs of the tests that a machine with servers may well lack too. */
const TOOLS = ['litmus', 'slowhttptest', 'promtool', 'wrk'];
const USES_SEVERAL = /startPlaces/;
const USES_SERVERS = /startServer|launchServer|startPlaces|startPostgres|rcloneFor|\babsent\(/;

const { values } = parseArgs({
  options: {
    'all-tests': { type: 'boolean', default: false },
    cells: { type: 'string', default: 'none,alone,pairs' },
    only: { type: 'string' },
  },
});
const root = resolve(import.meta.dirname, '..');
const names = Object.keys(KINDS);
const missing = names.filter((name) => !KINDS[name].every(installed));
if (missing.length > 0) console.log(`not installed here, so never present below: ${missing.join(', ')}`);

const results = cells().map((present) => ({ present, ...run(present) }));
console.log('\n| servers present | tests passed | skipped | failed | s |\n|---|---|---|---|---|');
for (const { present, passed, skipped, failed, seconds } of results)
  console.log(`| ${present.join(' + ') || 'none'} | ${passed} | ${skipped} | ${failed} | ${seconds} |`);
if (results.some(({ green }) => !green)) process.exitCode = 1;

function cells() {
  if (values.only !== undefined)
    return values.only.split(',').map((cell) => (cell === 'none' ? [] : cell.split('+')));
  const wanted = values.cells.split(',');
  const pairs = names.flatMap((a, i) => names.slice(i + 1).map((b) => [a, b]));
  return [
    ...(wanted.includes('none') ? [[]] : []),
    ...(wanted.includes('alone') ? names.map((name) => [name]) : []),
    ...(wanted.includes('pairs') ? pairs : []),
  ];
}

/** One run of the tests on a machine with just these servers. */
function run(present) {
  const path = linksWithout(
    new Set(names.filter((name) => !present.includes(name)).flatMap((name) => KINDS[name])),
  );
  const env = { ...process.env, PATH: path };
  delete env.CI;
  delete env.HOLDFAST_REQUIRE_SERVERS;
  const files = values['all-tests'] ? [] : testsThat(present.length > 1 ? USES_SEVERAL : USES_SERVERS);
  const started = performance.now();
  const { stdout, status } = spawnSync(
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=json', ...files],
    { cwd: root, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 512 * 1024 * 1024 },
  );
  rmSync(path, { recursive: true, force: true });
  const report = JSON.parse(stdout.slice(stdout.indexOf('{"numTotalTestSuites"')).trim());
  for (const { assertionResults } of report.testResults)
    for (const { status: outcome, fullName } of assertionResults)
      if (outcome === 'failed') console.log(`FAILED with ${present.join(' + ') || 'none'}: ${fullName}`);
  const counts = {
    passed: report.numPassedTests,
    skipped: report.numPendingTests,
    failed: report.numFailedTests,
    seconds: Math.round((performance.now() - started) / 1000),
  };
  console.log(`${present.join(' + ') || 'none'}: ${JSON.stringify(counts)}`);
  return { ...counts, green: status === 0 };
}

function testsThat(use) {
  const all = readdirSync(join(root, 'test'), { recursive: true }).map((file) => join('test', file));
  return all.filter((file) => file.endsWith('.test.ts') && use.test(readFileSync(join(root, file), 'utf8')));
}

function folders() {
  return ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'].filter((folder) =>
    existsSync(folder),
  );
}

function installed(program) {
  return folders().some((folder) => existsSync(join(folder, program)));
}

/** A folder of links to every program of this machine but these, and the tools; the first in the PATH wins. */
function linksWithout(hidden) {
  const links = mkdtempSync(join(tmpdir(), 'holdfast-path-'));
  const seen = new Set();
  for (const folder of folders())
    for (const program of readdirSync(folder)) {
      if (seen.has(program) || hidden.has(program) || TOOLS.includes(program)) continue;
      seen.add(program);
      symlinkSync(join(folder, program), join(links, program));
    }
  return links;
}
