// Makes the manual pages from the table of commands: holdfast.1, and one for each command.

const SEE_ALSO = 'The documentation in the package: docs/README.md.';
const FILES = [
  [
    '.holdfast',
    'The home of a vault, where $HOLDFAST_HOME and --home name none: its key, its state, its configuration.',
  ],
  ['storage.toml', 'In the home: the configuration. See docs/operations/configuration.md of the package.'],
  ['vault.key', 'In the home: the key. Nothing can be read without it; keep a copy somewhere else.'],
];
const ENVIRONMENT = [
  ['HOLDFAST_HOME', 'The home, where --home does not name one.'],
  ['HOLDFAST_CONFIG', 'The configuration, where --config does not name one.'],
  ['HOLDFAST_PASSPHRASE', 'The passphrase.'],
  ['HOLDFAST_PASSPHRASE_FILE', 'A file that holds it.'],
  ['HOLDFAST_AGENT', 'off: keys that `holdfast unlock` keeps are not asked for.'],
  ['HOLDFAST_NATIVE', 'off: no native code is used.'],
  ['HOLDFAST_WASM', 'off: no WebAssembly is used to compute.'],
  [
    'HOLDFAST_NODE_TOKEN, HOLDFAST_GATEWAY_TOKEN, HOLDFAST_DAEMON_TOKEN',
    'Token of all scopes of the service.',
  ],
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
const pageName = (path) => ['holdfast', ...path].join('-');

const titleLine = (name, version) =>
  `.\\" Made by npm run docs:api from the table of commands.\n.TH ${quoted(name.toUpperCase())} 1 "" ${quoted(`holdfast ${version}`)} "Holdfast"\n`;

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
const section = (title, body) => (body === '' ? '' : `.SH ${title}\n${body}\n`);

/** @returns {Map<string, string>} names of files to what is in them. */
export function manualPages({ description, commands, groups }, version) {
  const pages = new Map([['holdfast.1', mainPage(description, commands, groups, version)]]);
  for (const command of commands) pages.set(`${pageName(command.path)}.1`, commandPage(command, version));
  return pages;
}

function mainPage(description, commands, groups, version) {
  const [brief, ...rest] = description.split('\n\n');
  const exits =
    rest
      .join('\n\n')
      .replaceAll('\n', ' ')
      .match(/Exit codes: (.*)$/)?.[1] ?? '';
  const all = commands.map(({ path, brief: said }) => [
    `holdfast ${path.join(' ')}`,
    `${said}. See ${pageName(path)}(1).`,
  ]);
  const below = groups.map(({ path }) => path.join(' ')).join(', ');
  return [
    titleLine('holdfast', version),
    section('NAME', `holdfast \\- ${plain(brief.replace(/\.$/, ''))}`),
    section('SYNOPSIS', `.B holdfast\n.I COMMAND\n[\\fIoption\\fR ...] [\\fIargument\\fR ...]`),
    section(
      'DESCRIPTION',
      `${paragraphs(description)}\n.PP\nCommands with others below them: ${plain(below)}.`,
    ),
    section('COMMANDS', items(all)),
    section('ENVIRONMENT', items(ENVIRONMENT)),
    section('FILES', items(FILES)),
    section('EXIT STATUS', plain(exits)),
    section('SEE ALSO', plain(SEE_ALSO)),
  ].join('');
}

function commandPage({ path, brief, description, flags, arguments: taken }, version) {
  const name = pageName(path);
  const synopsis = [
    `.B ${quoted(`holdfast ${path.join(' ')}`)}`,
    ...flags
      .filter(({ required }) => required)
      .map((flag) => `.B ${quoted(flagTerm({ ...flag, alias: undefined }))}`),
    `[\\fIoption\\fR ...]`,
    ...taken.map(argumentTerm),
  ];
  return [
    titleLine(name, version),
    section('NAME', `${plain(name)} \\- ${plain(brief.replaceAll('`', ''))}`),
    section('SYNOPSIS', synopsis.join('\n')),
    section('DESCRIPTION', paragraphs(description ?? `${brief}.`)),
    section('ARGUMENTS', items(taken.map(({ name: term, brief: said }) => [term, `${said}.`]))),
    section('OPTIONS', items(flags.map((flag) => [flagTerm(flag), flagText(flag)]))),
    section('SEE ALSO', '.BR holdfast (1)'),
  ].join('');
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
