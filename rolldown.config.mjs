// Bundles what we wrote into few files: a module costs a third of a millisecond to load, and a command needs hundreds.
// Packages stay outside.
import { defineConfig } from 'rolldown';

export default defineConfig({
  input: {
    index: 'src/index.ts',
    'cli/main': 'src/cli/main.ts',
    'coding/erasure/index': 'src/coding/erasure/index.ts',
    // What scripts/overlay-search.mjs needs besides.
    'coding/erasure/generator': 'src/coding/erasure/generator.ts',
    'coding/erasure/masks': 'src/coding/erasure/masks.ts',
    'engine/index': 'src/engine/index.ts',
    'providers/index': 'src/providers/index.ts',
    'providers/testing/index': 'src/providers/testing/index.ts',
    // Beside the chunk that starts it.
    'chunks/worker': 'src/pipeline/cpu/worker.ts',
  },
  platform: 'node',
  external: (id) => !id.startsWith('.') && !id.startsWith('/'),
  output: {
    dir: 'dist',
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    sourcemap: true,
  },
});
