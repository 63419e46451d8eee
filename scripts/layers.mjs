// Checks that imports inside src/ go down only. Prints every arrow that goes up and exits 1.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const SRC = join(dirname(fileURLToPath(import.meta.url)), '../src');

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

const IMPORT = /(?:from|import)\s*\(?\s*'(\.[^']+)'/g;
const OWN = { 'prom-client': 'telemetry', level: 'engine', '@stricli/core': 'cli' };
const PACKAGE = /(?:from|import)\s*\(?\s*'([^'.][^']*)'/g;

const wrong = [];
for (const file of readdirSync(SRC, { recursive: true }).filter((name) => name.endsWith('.ts'))) {
  const path = file.split('\\').join('/');
  const layer = path.includes('/') ? path.slice(0, path.indexOf('/')) : 'index';
  const text = readFileSync(join(SRC, file), 'utf8');
  for (const [, target] of text.matchAll(IMPORT)) {
    const to = posix.join(posix.dirname(path), target);
    const other = to.includes('/') ? to.slice(0, to.indexOf('/')) : 'index';
    if (layer !== 'index' && other !== layer && !allowed(layer, other)) wrong.push(`${path} imports ${to}`);
  }
  for (const [, name] of text.matchAll(PACKAGE)) {
    if (name in OWN && OWN[name] !== layer)
      wrong.push(`${path} imports ${name}, which only ${OWN[name]} may`);
  }
  const lines = text.split('\n').length;
  if (lines > 350) wrong.push(`${path} has ${lines} lines; the limit is 350`);
}

function allowed(from, to) {
  if (!LAYERS.includes(from) || !LAYERS.includes(to)) return false;
  return ONLY[from]?.includes(to) ?? LAYERS.indexOf(to) < LAYERS.indexOf(from);
}

for (const line of wrong) console.error(line);
console.log(`layers: ${wrong.length} wrong imports in ${relative(process.cwd(), SRC) || SRC}`);
process.exit(wrong.length > 0 ? 1 : 0);
