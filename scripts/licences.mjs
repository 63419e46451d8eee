import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const PACKAGE = /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/;
const FILE = /^(licen[cs]e|notice)(\.|$)/i;

/** A plugin of the bundler: writes down, beside the bundle, the licences of the packages that went into it. */
export const licences = () => ({
  name: 'licences',
  generateBundle(_options, bundle) {
    const modules = Object.values(bundle).flatMap((part) => Object.keys(part.modules ?? {}));
    const folders = new Set(modules.flatMap((id) => PACKAGE.exec(id)?.[0] ?? []));
    const source = [...folders].sort().map(describe).join('\n\n');
    this.emitFile({ type: 'asset', fileName: 'LICENCES.txt', source: `${source}\n` });
  },
});

function describe(folder) {
  const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const texts = readdirSync(folder)
    .filter((file) => FILE.test(file))
    .map((file) => readFileSync(join(folder, file), 'utf8').trim());
  // Some say which licence it is and whose, and leave out its text, which never differs.
  if (texts.length === 0 && license === 'MIT')
    texts.push(mit(author?.name ?? author ?? `the authors of ${name}`));
  // Ours is the same, and lies beside the bundle's folder.
  if (texts.length === 0 && license !== 'Apache-2.0') throw new Error(`${name} comes without its licence`);
  return [`${name} ${version} (${license})`, ...texts].join('\n\n');
}

const mit = (owner) => `Copyright (c) ${owner}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;
