// Replaces dist by what rolldown.config.mjs says. Silent, but for warnings: rolldown's own command lists every file.
import { rmSync } from 'node:fs';
import { rolldown } from 'rolldown';
import config from '../rolldown.config.mjs';

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
const { output, ...input } = config;
const bundle = await rolldown(input);
try {
  await bundle.write(output);
} finally {
  await bundle.close();
}
