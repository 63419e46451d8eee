// Makes the table of error kinds and codes from the comments in src/core.
import { readFileSync } from 'node:fs';

const SRC = new URL('../../src/core/', import.meta.url);
const CODES = ['error-codes.ts', 'engine-error-codes.ts'];
const TEMPORARY = ['RateLimited', 'Unavailable', 'Timeout'];
const ENTRY = /\/\*\* ([^*]+?) \*\/\n {2}(?:(\w+): ('[^;]+);|'(\w+)',)/g;

/** @returns {{ code: string, kinds: string[], status: string, when: string, what: string }[]} kinds first. */
export function errorTable() {
  return [...entriesIn(['errors.ts']), ...entriesIn(CODES).toSorted((a, b) => (a.code < b.code ? -1 : 1))];
}

function entriesIn(files) {
  return files.flatMap((file) => {
    const text = readFileSync(new URL(file, SRC), 'utf8');
    return [...text.matchAll(ENTRY)].map(([, comment, code, kinds, kind]) =>
      entryOf(comment.replaceAll(/\s*\n\s+\* /g, ' '), code ?? kind, (kinds ?? `'${kind}'`).match(/\w+/g)),
    );
  });
}

function entryOf(comment, code, kinds) {
  const [, when, what, status] = /^(.+) Do: (.+?)(?: @status (\w+))?$/.exec(comment) ?? [];
  if (when === undefined)
    throw new Error(`${code}: its comment says when it occurs, then "Do:" and what to do`);
  const usual = TEMPORARY.includes(kinds[0]) ? 'temporary' : 'permanent';
  return { code, kinds, status: status ?? usual, when, what };
}

/** docs/api/errors.md */
export function errorsPage() {
  const table = errorTable();
  const row = ({ code, kinds, status, when, what }) =>
    `| \`${code}\` | ${kinds.join(', ')} | ${status} | ${when} | ${what[0].toUpperCase()}${what.slice(1)} |`;
  const isKind = ({ code, kinds }) => code === kinds[0];
  return `# Errors

Every failure that Holdfast reports on purpose is a \`HoldfastError\`: it has a \`kind\`, a \`code\`, a \`status\` and mostly a
\`hint\`. Kinds and codes are stable; messages are not. An error that has no finer code has its kind as its code.

The status says whether to try again. \`permanent\`: the same call will fail again. \`temporary\`: it may succeed soon.
\`persistent\`: it was temporary, and trying again has been given up. The tables show the usual one.

\`npm run docs:api\` makes this page from [error-codes.ts](../../src/core/error-codes.ts) and what stands beside it.

## Kinds

| kind | status | when | what to do |
|---|---|---|---|
${table
  .filter(isKind)
  .map(row)
  .join('\n')
  .replaceAll(/^(\| `\w+` \|) \w+ \|/gm, '$1')}

## Codes

| code | kind | status | when | what to do |
|---|---|---|---|---|
${table
  .filter((entry) => !isKind(entry))
  .map(row)
  .join('\n')}
`;
}
