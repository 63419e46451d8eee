// Makes the manual page from the table of commands.

const SEE_ALSO = 'The documentation in the package: docs/README.md.';
const FILES = [
  [
    '.holdfast',
    'The home of a vault, where $HOLDFAST_HOME and --home name none: its key, its state, its configuration.',
  ],
  ['storage.toml', 'In the home: the configuration. See docs/operations/configuration.md of the package.'],
  ['vault.key', 'In the home: the key. Nothing can be read without it; keep a copy somewhere else.'],
];
/** Of the environment, what the program reads. */
export const ENVIRONMENT = [
  ['HOLDFAST_HOME', 'The home, where --home does not name one.'],
  ['HOLDFAST_CONFIG', 'The configuration, where --config does not name one.'],
  ['HOLDFAST_PASSPHRASE', 'The passphrase.'],
  ['HOLDFAST_PASSPHRASE_FILE', 'A file that holds it.'],
  ['HOLDFAST_AGENT', 'off: keys that `holdfast unlock` keeps are not asked for.'],
  ['HOLDFAST_NODE_TOKEN', 'Token of all scopes of a node.'],
  ['HOLDFAST_GATEWAY_TOKEN', 'Token of all scopes of a gateway.'],
  ['HOLDFAST_DAEMON_TOKEN', 'Token of all scopes of a daemon.'],
  ['HOLDFAST_POSTGRES_URL', 'The database, where the configuration says that PostgreSQL keeps the records.'],
  ['HOLDFAST_ANCHOR_KEY', 'Key of the account that anchors on a chain, where no file has it.'],
  ['HOLDFAST_LOG', 'warn or debug: what commands log to standard error.'],
  ['HOLDFAST_NATIVE', 'off: no native code is used.'],
  ['HOLDFAST_WASM', 'off: no WebAssembly is used to compute.'],
];

/** Text that roff leaves as it is. */
const plain = (text) =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('…', '...')
    .replaceAll(/^\./gm, '\\&.');

const quoted = (text) => `"${plain(text).replaceAll('"', '\\(dq')}"`;
/** Paragraphs; lines that are indented stand as they are. */
function paragraphs(text) {
  return text
    .split(/\n{2,}/)
    .map((paragraph) =>
      /^ /m.test(paragraph) ? `.nf\n${plain(paragraph)}\n.fi` : plain(paragraph.replaceAll('\n', ' ')),
    )
    .join('\n.PP\n');
}

const items = (list) => list.map(([term, said]) => `.TP\n.B ${quoted(term)}\n${plain(said)}`).join('\n');
const section = (title, body) => `.SH ${title}\n${body}\n`;

/** man/holdfast.1 */
export function manualPage({ description, commands, groups }, version) {
  const [brief, ...rest] = description.split('\n\n');
  const [, exits = ''] = /Exit codes: (.*)$/.exec(rest.join('\n\n').replaceAll('\n', ' ')) ?? [];
  const below = groups.map(({ path }) => path.join(' ')).join(', ');
  return [
    '.\\" Made by npm run docs:api from the table of commands.\n',
    `.TH "HOLDFAST" 1 "" ${quoted(`holdfast ${version}`)} "Holdfast"\n`,
    section('NAME', `holdfast \\- ${plain(brief.replace(/\.$/, ''))}`),
    section('SYNOPSIS', '.B holdfast\n.I COMMAND\n[\\fIoption\\fR ...] [\\fIargument\\fR ...]'),
    section(
      'DESCRIPTION',
      `${paragraphs(description)}\n.PP\nCommands with others below them: ${plain(below)}.`,
    ),
    section('COMMANDS', commands.map(commandText).join('\n')),
    section('ENVIRONMENT', items(ENVIRONMENT)),
    section('FILES', items(FILES)),
    section('EXIT STATUS', plain(exits)),
    section('SEE ALSO', plain(SEE_ALSO)),
  ].join('');
}

function commandText({ path, brief, description, flags, arguments: taken }) {
  const own = flags.filter(({ name }) => name !== '--help');
  const synopsis = [
    `.B ${quoted(`holdfast ${path.join(' ')}`)}`,
    ...own
      .filter(({ required }) => required)
      .map((flag) => `.B ${quoted(flagTerm({ ...flag, alias: undefined }))}`),
    '[\\fIoption\\fR ...]',
    ...taken.map(argumentTerm),
  ];
  const options = [
    ...taken.map(({ name: term, brief: said }) => [term, `${said}.`]),
    ...own.map((flag) => [flagTerm(flag), flagText(flag)]),
  ];
  return [
    `.SS ${quoted(path.join(' '))}`,
    synopsis.join('\n'),
    '.PP',
    paragraphs(description ?? `${brief}.`),
    items(options),
  ].join('\n');
}

const flagTerm = ({ name, alias, value }) =>
  `${alias === undefined ? '' : `${alias}, `}${name}${value === undefined ? '' : ` ${value}`}`;

function flagText({ brief, default: usual, required, repeated }) {
  const more = [
    ...(usual === undefined ? [] : [`default: ${usual}`]),
    ...(required ? ['required'] : []),
    ...(repeated ? ['may be given several times'] : []),
  ];
  return `${brief}${more.length === 0 ? '' : ` (${more.join('; ')})`}.`;
}

function argumentTerm({ name, required, repeated }) {
  const term = `\\fI${plain(name)}\\fR${repeated ? ' ...' : ''}`;
  return required ? term : `[${term}]`;
}
