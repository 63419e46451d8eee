// Writes every generated page: those that are made from the sources, and the reference, which is made from the build.
import { writeFileSync } from 'node:fs';
import { generatedPages } from './pages.mjs';
import { referencePage } from './reference.mjs';

const ROOT = new URL('../../', import.meta.url);
for (const [path, text] of await generatedPages()) writeFileSync(new URL(path, ROOT), text);
writeFileSync(new URL('docs/api/reference.md', ROOT), referencePage());
