// Makes one page of all that the package exports from its built declarations.
import { ENTRIES, exportsOf } from './surface.mjs';

const ABOUT = {
  holdfast: 'Vaults: put objects, get them, look after them.',
  'holdfast/catalog': 'A catalog of providers without a vault.',
  'holdfast/receipts':
    'Receipts of reads: a gateway that writes them down, readers that sign them, and whoever checks both.',
  'holdfast/erasure': 'The erasure codes by themselves.',
  'holdfast/gateway': 'A gateway over a vault, in a program of your own.',
  'holdfast/node': 'A storage node over an adapter, in a program of your own.',
  'holdfast/providers': 'Adapters, their layers, and what own kinds of adapters are made of.',
  'holdfast/testing': 'The conformance suite that every adapter passes.',
};
/** Told elsewhere, and at length. */
const ELSEWHERE = {
  ErrorCodeTable: 'One key for each code, and under it its kinds: see [errors](errors.md).',
  EngineErrorCodes: 'Those of engines: see [errors](errors.md).',
};

/** docs/api/reference.md */
export function referencePage() {
  const told = new Map();
  const sections = ENTRIES.map((entry) => sectionOf(entry, told));
  return `# Reference

Everything that the package exports, as it is declared. What is not here may change without a word. Failures are in
[errors](errors.md); lengths are in bytes and times in milliseconds unless a name says otherwise.

\`npm run docs:api\` makes this page from the built declarations.

${ENTRIES.map(({ name }) => `- [${name}](#${anchorOf(name)}): ${ABOUT[name]}`).join('\n')}

${sections.join('\n')}`;
}

function sectionOf(entry, told) {
  const all = exportsOf(entry);
  const fresh = all.filter(({ declaration }) => !told.has(declaration));
  const again = all.filter(({ declaration }) => told.has(declaration));
  for (const { declaration } of fresh) told.set(declaration, entry.name);
  const values = fresh.filter(({ declaration }) => !isType(declaration));
  const types = fresh.filter(({ declaration }) => isType(declaration));
  const seeAlso = again.map(({ name, declaration }) => `\`${name}\` of ${told.get(declaration)}`);
  const also = again.length === 0 ? '' : `Also exported from here: ${seeAlso.join(', ')}.\n\n`;
  return `## ${entry.name}

${ABOUT[entry.name]}

${also}${[...values, ...types].map(itemOf).join('\n')}`;
}

function itemOf({ name, declaration }) {
  const { comment, text } = textOf(declaration);
  const words = ELSEWHERE[name];
  const code = words ?? `\`\`\`ts\n${text}\n\`\`\``;
  return `### ${name}\n\n${comment === '' ? '' : `${comment}\n\n`}${code}\n`;
}

/** A declaration as it stands, and the comment before it as prose. */
function textOf({ file, start, end }) {
  const before = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*$/.exec(file.text.slice(0, start));
  const text = file.text.slice(start, end).replace(/^export (declare )?/, '');
  return { comment: before === null ? '' : prose(before[1]), text };
}

const prose = (comment) =>
  comment
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trim())
    .join('\n')
    .trim()
    .replaceAll(/\{@link ([\w.]+)\}/g, '`$1`')
    .replaceAll(
      /(^|\n|\. )@(param|returns|throws) /g,
      (_, lead, tag) => `${lead === '. ' ? '.\n\n' : `${lead}\n`}*${tag}* `,
    )
    .replaceAll(/\n{3,}/g, '\n\n');

const isType = ({ nodes }) => nodes.every(({ type }) => /^TS(Interface|TypeAlias)/.test(type));
const anchorOf = (name) => name.replaceAll(/[^a-z]/g, '');
