// Checks that imports inside src/ go down only and never in a circle. Prints what is wrong and exits 1.
// `--root DIR` reads another checkout.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { circlesOf, ROOT, readHouse } from './house.mjs';

/** From the bottom to the top: a folder may import itself and those before it. */
const LAYERS = [
  'core',
  'keys',
  'coding',
  'manifest',
  'telemetry',
  'engine',
  'providers',
  'config',
  'profiles',
  'catalog',
  'placement',
  'object',
  'records',
  'pipeline',
  'upkeep',
  'receipts',
  'http',
  'verified',
  'node',
  'gateway',
  'vault',
  'cli',
];

/** Narrower than the order: what may be imported by folders that must stay pure or small. */
const ONLY = {
  core: [],
  keys: ['core'],
  coding: ['core'],
  manifest: ['core', 'coding', 'keys'],
  config: ['core', 'engine', 'providers'],
  telemetry: ['core'],
  engine: ['core'],
  providers: ['core'],
  placement: ['core', 'coding'],
  profiles: ['core', 'engine'],
  catalog: ['core', 'engine', 'providers', 'profiles'],
  object: ['core', 'coding', 'manifest', 'telemetry', 'providers', 'catalog', 'placement'],
  records: ['core', 'keys', 'manifest', 'telemetry', 'engine', 'providers', 'catalog', 'placement', 'object'],
  http: ['core', 'telemetry'],
  verified: ['core', 'providers', 'telemetry', 'http'],
  node: ['core', 'coding', 'providers', 'telemetry', 'http', 'verified'],
  gateway: [
    'core',
    'coding',
    'manifest',
    'telemetry',
    'engine',
    'providers',
    'catalog',
    'placement',
    'object',
    'records',
    'pipeline',
    'upkeep',
    'http',
    'verified',
    'node',
  ],
};

/** Packages that one folder alone may import. */
const OWN = { 'prom-client': 'telemetry', level: 'engine', '@stricli/core': 'cli' };

const folderOf = (path) => (path.includes('/') ? path.slice(0, path.indexOf('/')) : 'index');

function allowed(from, to) {
  if (from === 'index' || from === to) return true;
  if (!LAYERS.includes(from) || !LAYERS.includes(to)) return false;
  return ONLY[from]?.includes(to) ?? LAYERS.indexOf(to) < LAYERS.indexOf(from);
}

/** Time comes from the clock that a part is given; only the clock itself may use the machine's. */
const TIMER = /\b(?:setTimeout|setInterval)\(|\bAbortSignal\.timeout\b/;
const CLOCK = 'core/clock.ts';

const { values: options } = parseArgs({ options: { root: { type: 'string', default: ROOT } } });
const files = readHouse(options.root);
const wrong = [];
for (const { path, imports } of files.values()) {
  const layer = folderOf(path);
  for (const { to, name, line } of imports) {
    if (to && !allowed(layer, folderOf(to))) wrong.push(`src/${path}:${line} imports ${to}`);
    if (name in OWN && OWN[name] !== layer)
      wrong.push(`src/${path}:${line} imports ${name}, which only ${OWN[name]} may`);
  }
  if (path !== CLOCK && TIMER.test(readFileSync(join(options.root, 'src', path), 'utf8')))
    wrong.push(`src/${path} starts a timer; only ${CLOCK} may`);
}

/** Circles that are still to be broken, by the names of their files. */
const BEING_BROKEN = new Set(['open-vault.ts vault-options.ts']);
const known = (circle) =>
  BEING_BROKEN.has(
    circle
      .map(({ from }) => from.split('/').at(-1))
      .sort()
      .join(' '),
  );

const circles = circlesOf(files).filter((circle) => !known(circle));
for (const circle of circles) {
  const arrows = circle.map(
    ({ to, type, by }) => `\n  src/${by} imports ${to}${type ? ' (types only)' : ''}`,
  );
  wrong.push(`circle:${arrows.join('')}`);
}

for (const line of wrong) console.error(line);
console.log(`layers: ${wrong.length - circles.length} wrong imports, ${circles.length} circles`);
if (wrong.length > 0) process.exitCode = 1;
