// Checks that the pages that are made from the sources are as `npm run docs:api` makes them. Prints those that are not and
// exits 1. The reference, which needs a build, is compared by a test.
import { generatedPages, textOf } from './api/pages.mjs';

const pages = await generatedPages();
const stale = [...pages].filter(([path, text]) => textOf(path) !== text);
for (const [path] of stale) console.error(`${path} is not up to date: run \`npm run docs:api\``);
console.log(`generated: ${pages.size} pages, ${stale.length} stale`);
if (stale.length > 0) process.exitCode = 1;
