// Makes the reference of the configuration: keys, types and defaults from the schema, words from the shipped file.

import { ENVIRONMENT } from './manual.mjs';

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** The comments that stand above the keys of a file, by `section.key`. @param {string} toml */
export function commentsOf(toml) {
  const comments = new Map();
  let section = '';
  let above = [];
  for (const line of toml.split('\n')) {
    const key = /^([a-z_]+) = /.exec(line)?.[1];
    section = /^\[([a-z]+)\]$/.exec(line)?.[1] ?? section;
    if (key !== undefined) comments.set(`${section}.${key}`, above.join(' '));
    const said = /^# ?(.*)$/.exec(line)?.[1];
    above = said === undefined ? [] : [...above, said];
  }
  return comments;
}

const tomlKey = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function shown(value) {
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  if (typeof value === 'object') return '{}';
  return typeof value === 'string' ? `"${value}"` : String(value);
}

/** docs/operations/configuration.md */
export function configurationPage({ SCHEMA, SECTION_NAMES }, toml) {
  const comments = commentsOf(toml);
  const sections = SECTION_NAMES.map((section) => {
    const rows = Object.entries(SCHEMA[section]).map(([name, field]) => {
      const key = tomlKey(name);
      const said = comments.get(`${section}.${key}`);
      if (said === undefined) throw new Error(`config/storage.toml does not say what ${section}.${key} is`);
      const guarded = field.guarded ? ' Only in a trusted file.' : '';
      return `| \`${key}\` | \`${cell(shown(field.default))}\` | ${cell(field.allowed)} | ${cell(said)}${guarded} |`;
    });
    return `## [${section}]\n\n| key | default | allowed | |\n|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `# Configuration

Every key of every section, with its default. A file holds only what it changes. A key that is not known is an error, and so is
a value that is not allowed; all problems are told at once, with their lines. Sizes are bytes, or a text such as \`"1 MiB"\`.

The file is the one that \`--config\` names, else \`HOLDFAST_CONFIG\`, else \`storage.toml\` in the home, else
\`config/storage.toml\` here. \`holdfast config\` prints what is in force, \`holdfast doctor\` says what is wrong. What
\`[[providers]]\` take is in [providers](../providers.md). "Only in a trusted file": the key names a secret, a program or a file
to write, and counts only in a file that was named, or in the home's own (see
[decision 009](../decisions/009-configuration.md)).

\`npm run docs:api\` makes this page from [schema.ts](../../src/config/schema.ts) and the comments of
[storage.toml](../../config/storage.toml).

${SECTION_NAMES.map((name) => `[\`[${name}]\`](#${name})`).join(' · ')}

${sections.join('\n')}
## Environment

| variable | |
|---|---|
${ENVIRONMENT.map(([name, said]) => `| \`${name}\` | ${cell(said)} |`).join('\n')}

A flag counts before a variable. \`[rollout]\` names one more, for emergencies, and \`[engine]\` the one that says where
PostgreSQL is.
`;
}
