// Checks that imports inside src/ go down only and never in a circle, and that docs/architecture.md draws them so.
// Prints what is wrong and exits 1. `--root DIR` reads another checkout.
import { existsSync, readFileSync } from 'node:fs';
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
  'explorer',
  'gateway',
  'daemon',
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
  receipts: ['core', 'keys', 'manifest', 'telemetry', 'engine', 'providers', 'catalog'],
  http: ['core', 'telemetry'],
  verified: ['core', 'providers', 'telemetry', 'http'],
  node: ['core', 'coding', 'providers', 'telemetry', 'http', 'verified'],
  explorer: [
    'core',
    'coding',
    'manifest',
    'config',
    'catalog',
    'placement',
    'object',
    'records',
    'upkeep',
    'http',
  ],
  daemon: ['core', 'telemetry', 'http', 'explorer'],
  gateway: [
    'core',
    'manifest',
    'telemetry',
    'providers',
    'placement',
    'object',
    'records',
    'pipeline',
    'http',
    'verified',
    'explorer',
    'receipts',
  ],
};

/** Packages that one folder alone may import. */
const OWN = {
  viem: 'receipts',
  'prom-client': 'telemetry',
  level: 'engine',
  postgres: 'engine',
  '@stricli/core': 'cli',
};

/** The page that draws the house. */
const DRAWING = 'docs/architecture.md';

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

const circles = circlesOf(files);
for (const circle of circles) {
  const arrows = circle.map(
    ({ to, type, by }) => `\n  src/${by} imports ${to}${type ? ' (types only)' : ''}`,
  );
  wrong.push(`circle:${arrows.join('')}`);
}

if (existsSync(join(options.root, DRAWING)))
  wrong.push(...drawingErrors(readFileSync(join(options.root, DRAWING), 'utf8')));

/**
 * What the drawing of the house says otherwise than the lists above, of the folders that there are. A line of it reads
 * `folder ▸ arrows`, from the top to the bottom; the arrows are folders, `nothing`, or `all below` with `but` and folders.
 */
function drawingErrors(page) {
  const built = LAYERS.filter((layer) => [...files.keys()].some((path) => folderOf(path) === layer));
  const rows = [...page.matchAll(/│ ([a-z]+) +▸ ([a-z, ]+?) +│/g)].map(([, folder, arrows]) => ({
    folder,
    arrows,
  }));
  const drawn = rows.map(({ folder }) => folder).reverse();
  if (drawn.join() !== built.join())
    return [`${DRAWING} draws the folders ${drawn.join(', ')}; there are ${built.join(', ')}`];
  return rows.flatMap(({ folder, arrows }) => {
    const below = built.slice(0, built.indexOf(folder));
    const [all, but = ''] = arrows.split('all below');
    const named = (all || but.replace(' but ', '')).split(', ').filter((name) => name && name !== 'nothing');
    const meant = all === '' ? below.filter((layer) => !named.includes(layer)) : named;
    const real = below.filter((layer) => allowed(folder, layer));
    return meant.toSorted().join() === real.toSorted().join()
      ? []
      : [`${DRAWING} draws ${folder} ▸ ${arrows}; it may import ${real.join(', ') || 'nothing'}`];
  });
}

for (const line of wrong) console.error(line);
console.log(`layers: ${wrong.length - circles.length} wrong imports, ${circles.length} circles`);
if (wrong.length > 0) process.exitCode = 1;
