// The table of rooms: what each folder of src/ holds. `--check` prints what is too long instead and exits 1;
// `--root DIR` reads another checkout.
import { spawnSync } from 'node:child_process';
import { join, posix } from 'node:path';
import { parseArgs } from 'node:util';
import { circlesOf, ROOT, readHouse } from './house.mjs';

const MAX_FILE = 350;
const MAX_FUNCTION = 60;
const SMALL_FILE = 60;

const { values: options } = parseArgs({
  options: { check: { type: 'boolean', default: false }, root: { type: 'string', default: ROOT } },
});
const files = readHouse(options.root);
if (options.check) check();
else print();

function check() {
  const wrong = [];
  for (const { path, lines, functions } of files.values()) {
    if (lines > MAX_FILE) wrong.push(`src/${path} has ${lines} lines; at most ${MAX_FILE}`);
    for (const { name, line, lines: length } of functions)
      if (length > MAX_FUNCTION)
        wrong.push(`src/${path}:${line} ${name} has ${length} lines; at most ${MAX_FUNCTION}`);
  }
  for (const line of wrong) console.error(line);
  console.log(`rooms: ${wrong.length} too long`);
  if (wrong.length > 0) process.exitCode = 1;
}

function print() {
  const importers = importersOf();
  const folders = new Map();
  for (const file of files.values()) {
    const folder = file.path.includes('/') ? file.path.slice(0, file.path.indexOf('/')) : '(entry)';
    folders.set(folder, [...(folders.get(folder) ?? []), file]);
  }
  const rows = [...folders].sort(([a], [b]) => (a < b ? -1 : 1));
  rows.push(['all', [...files.values()]]);
  const head = ['folder', 'files', 'lines', 'median', 'longest', `< ${SMALL_FILE}`, 'one user', 'function'];
  write([head, ...rows.map(([folder, rooms]) => [folder, ...rowOf(rooms, importers)])]);
  const long = [...files.values()]
    .flatMap(({ functions }) => functions)
    .filter(({ lines }) => lines > MAX_FUNCTION);
  console.log(`
median, longest: lines of a file; < ${SMALL_FILE}: files shorter than that; one user: those of them that one file of
their own folder imports and no other; function: lines of the longest
functions over ${MAX_FUNCTION} lines: ${long.length}; circles: ${circlesOf(files).length}; dead exports: ${deadExports()}`);
}

/** As knip counts them by this checkout's rules. */
function deadExports() {
  const knip = join(ROOT, 'node_modules/knip/bin/knip.js');
  const args = ['--production', '--exports', '--config', join(ROOT, 'knip.json'), '--reporter', 'json'];
  const { stdout } = spawnSync(process.execPath, [knip, ...args], { cwd: options.root, encoding: 'utf8' });
  const { issues } = JSON.parse(stdout);
  return issues.reduce((sum, { exports, types }) => sum + exports.length + types.length, 0);
}

function rowOf(rooms, importers) {
  const lengths = rooms.map(({ lines }) => lines).sort((a, b) => a - b);
  const small = rooms.filter(({ lines }) => lines < SMALL_FILE);
  const single = small.filter(({ path }) => {
    const [importer, ...more] = importers.get(path) ?? [];
    return importer && more.length === 0 && posix.dirname(importer) === posix.dirname(path);
  });
  const functions = rooms.flatMap((room) => room.functions.map(({ lines }) => lines));
  return [
    rooms.length,
    lengths.reduce((sum, lines) => sum + lines, 0),
    lengths[lengths.length >> 1],
    lengths.at(-1),
    small.length,
    single.length,
    Math.max(0, ...functions),
  ];
}

function importersOf() {
  const importers = new Map();
  for (const { path, imports } of files.values()) {
    for (const { to } of imports)
      if (to !== path) importers.set(to, (importers.get(to) ?? new Set()).add(path));
  }
  return importers;
}

function write(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  for (const row of rows) {
    const cells = row.map((cell, column) => {
      const text = String(cell);
      return column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column]);
    });
    console.log(cells.join('  '));
  }
}
