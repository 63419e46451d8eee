// Every page that is made from the sources alone, by its path below the checkout.
import { readFileSync } from 'node:fs';
import { configurationPage } from './configuration.mjs';
import { errorsPage } from './errors.mjs';
import { manualPage } from './manual.mjs';
import { metricsPage } from './metrics.mjs';
import { withKeysTable } from './providers.mjs';
import { fromSource } from './source.mjs';

const ROOT = new URL('../../', import.meta.url);
/** What stands at a path below the checkout; undefined: nothing. */
export const textOf = (path) => {
  try {
    return readFileSync(new URL(path, ROOT), 'utf8');
  } catch {
    return undefined;
  }
};

/** @returns {Promise<Map<string, string>>} */
export async function generatedPages() {
  const { schema, names, app, registry, version } = await fromSource({
    schema: 'src/config/schema.ts',
    names: 'src/telemetry/names.ts',
    app: 'src/cli/app.ts',
    registry: 'src/providers/registry.ts',
    version: 'src/core/version.ts',
  });
  return new Map([
    ['docs/api/errors.md', errorsPage()],
    ['docs/operations/configuration.md', configurationPage(schema, textOf('config/storage.toml'))],
    ['docs/operations/metrics.md', metricsPage(names)],
    ['docs/providers.md', withKeysTable(textOf('docs/providers.md'), registry.BUILT_IN.all)],
    ['man/holdfast.1', manualPage(app.commands(), version.VERSION)],
  ]);
}
