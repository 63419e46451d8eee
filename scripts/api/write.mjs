// Writes the generated pages of docs/api.
import { writeFileSync } from 'node:fs';
import { errorsPage } from './errors.mjs';

writeFileSync(new URL('../../docs/api/errors.md', import.meta.url), errorsPage());
