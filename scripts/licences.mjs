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
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const texts = readdirSync(folder).filter((file) => FILE.test(file));
  // Ours is the same, and lies beside the bundle's folder.
  if (texts.length === 0 && license !== 'Apache-2.0') throw new Error(`${name} comes without its licence`);
  return [
    `${name} ${version} (${license})`,
    ...texts.map((file) => readFileSync(join(folder, file), 'utf8').trim()),
  ].join('\n\n');
}
