// Makes the table of what each kind of adapter takes from the kinds themselves.

const BEGIN = '<!-- keys: npm run docs:api -->\n';
const END = '<!-- /keys -->';

const inFile = (key) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const shown = (value) => (value === '' ? '`""`' : `\`${value}\``);

/** @param {readonly import('../../src/providers/kind.ts').AdapterKind[]} kinds */
export function keysTable(kinds) {
  const rows = kinds.flatMap(({ name, keys }) =>
    Object.entries(keys).map(([key, { required, default: usual, help }]) => {
      const standard = required ? 'required' : usual === undefined ? '' : shown(usual);
      return `| \`${name}\` | \`${inFile(key)}\` | ${standard} | ${help} |`;
    }),
  );
  const bare = kinds.filter(({ keys }) => Object.keys(keys).length === 0).map(({ name }) => `\`${name}\``);
  return [
    '| adapter | key | default | |',
    '|---|---|---|---|',
    ...rows,
    '',
    `${bare.join(', ')} takes none.`,
    '',
  ].join('\n');
}

/** The page with its table made anew. @param {string} page */
export function withKeysTable(page, kinds) {
  const from = page.indexOf(BEGIN);
  const to = page.indexOf(END);
  if (from < 0 || to < from) throw new Error('the page has no place for the table of keys');
  return `${page.slice(0, from + BEGIN.length)}${keysTable(kinds)}${page.slice(to)}`;
}
