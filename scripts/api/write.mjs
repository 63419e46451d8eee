// Writes the generated pages of docs/api.
import { readFileSync, writeFileSync } from 'node:fs';
import { errorsPage } from './errors.mjs';
import { withKeysTable } from './providers.mjs';
import { referencePage } from './reference.mjs';

writeFileSync(new URL('../../docs/api/errors.md', import.meta.url), errorsPage());

// The kinds are read from what was built.
const { adapterKinds } = await import('../../dist/providers/index.js');
const page = new URL('../../docs/providers.md', import.meta.url);
writeFileSync(page, withKeysTable(readFileSync(page, 'utf8'), adapterKinds().all));
writeFileSync(new URL('../../docs/api/reference.md', import.meta.url), referencePage());
