// Bundles what we wrote, and the packages that every command needs, into few files: a module costs a third of a
// millisecond to load, and a command needs hundreds.
import { defineConfig } from 'rolldown';
import { licences } from './scripts/licences.mjs';

/**
 * Plain JavaScript: what nearly every start needs, and what would bring much else along when it is installed. What is
 * native, or loads files of its own, stays outside.
 */
const INSIDE = [
  '@noble/ciphers',
  '@noble/curves',
  '@noble/hashes',
  '@stricli/core',
  'cborg',
  'fast-xml-parser',
  'fflate',
  'p-queue',
  'prom-client',
  'smol-toml',
  'valibot',
  'viem',
];
/** What those need. */
const BELOW = [
  '@nodable/entities',
  '@opentelemetry/api',
  '@scure/base',
  '@scure/bip32',
  '@scure/bip39',
  'abitype',
  'anynum',
  'bintrees',
  'eventemitter3',
  'fast-xml-builder',
  'is-unsafe',
  'ox',
  'p-timeout',
  'path-expression-matcher',
  'strnum',
  'tdigest',
  'xml-naming',
];

const inside = (id) => [...INSIDE, ...BELOW].some((name) => id === name || id.startsWith(`${name}/`));

export default defineConfig({
  input: {
    index: 'src/index.ts',
    node: 'src/node.ts',
    gateway: 'src/gateway.ts',
    catalog: 'src/catalog.ts',
    receipts: 'src/receipts.ts',
    'cli/main': 'src/cli/main.ts',
    'coding/erasure/index': 'src/coding/erasure/index.ts',
    // What scripts/overlay-search.mjs needs besides.
    'coding/erasure/generator': 'src/coding/erasure/generator.ts',
    'coding/erasure/masks': 'src/coding/erasure/masks.ts',
    'engine/index': 'src/engine/index.ts',
    'providers/index': 'src/providers/index.ts',
    'providers/testing/index': 'src/providers/testing/index.ts',
    // Beside the chunks that start them.
    'chunks/worker': 'src/pipeline/cpu/worker.ts',
    'chunks/receipts-worker': 'src/receipts/apart/receipts-worker.ts',
    'chunks/agent': 'src/cli/agent/main.ts',
  },
  platform: 'node',
  external: (id) => !id.startsWith('.') && !id.startsWith('/') && !inside(id),
  plugins: [licences()],
  output: {
    dir: 'dist',
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    sourcemap: true,
    codeSplitting: {
      // Each with all that it imports and that those before it have not taken. Left alone, every module that two
      // commands share would be a file.
      groups: [
        {
          name: 'base',
          test: /src\/(cli\/(duration|exit-codes|io|version)|core\/(bytes|clock|deferred|errno))\.ts$/,
        },
        // What the agent needs, and no more.
        { name: 'protocol', test: /src\/cli\/agent\/protocol\.ts$/ },
        // What a worker thread needs, and no more.
        { name: 'work', test: /src\/(core\/worker-thread|pipeline\/cpu\/(inline|primitives))\.ts$/ },
        {
          name: 'providers',
          test: /src\/(providers\/(adapter|from-driver|fs\/layout|generations|guard|leftovers|listing|provider|registry)|cli\/add\/kinds)\.ts$/,
        },
        // But for what serves a vault, or makes one: most commands only open one.
        { name: 'vault', test: /src\/vault\/(?!start-|open-catalog|create-vault)/ },
        {
          name: 'command',
          test: /src\/cli\/(damage-text|format|passphrase|profile|progress|run-command|with-vault)\.ts$/,
        },
      ].map((group, place, { length }) => ({ ...group, priority: length - place })),
    },
  },
});
