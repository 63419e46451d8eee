import type { ArgumentEntry, CommandEntry, CommandTable, FlagEntry } from './command-table.ts';

/** Scripts that complete command lines. They hold all they need: a key press starts no program and opens no vault. */
export const SHELLS: Readonly<Record<'bash' | 'zsh' | 'fish', (table: CommandTable) => string>> = {
  bash,
  zsh,
  fish,
};

/** What stands for a value: paths are completed, a few words are offered, of everything else nothing is known. */
type Kind =
  | { readonly kind: 'file' | 'folder' | 'other' }
  | { readonly kind: 'words'; readonly words: string[] };

function kindOf(placeholder: string): Kind {
  if (placeholder === 'DIR') return { kind: 'folder' };
  if (/^(?:FILE|PATH|proof)$|^file\b/.test(placeholder)) return { kind: 'file' };
  if (/^[a-z]+(?:\|[a-z]+)+$/.test(placeholder) && !placeholder.includes('manifest'))
    return placeholder === 'epoch|id' ? { kind: 'other' } : { kind: 'words', words: placeholder.split('|') };
  return { kind: 'other' };
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const line = (text: string): string => text.replaceAll('\n', ' ');

/** All commands and groups, the words of each joined by a slash. */
const places = (table: CommandTable): string =>
  [...table.groups, ...table.commands].map(({ path }) => path.join('/')).join(' ');

/** By its words: what may follow them. */
const below = (table: CommandTable): Map<string, { name: string; brief: string }[]> => {
  const all = new Map<string, { name: string; brief: string }[]>();
  for (const { path, brief } of [...table.commands, ...table.groups]) {
    const parent = path.slice(0, -1).join(' ');
    const list = all.get(parent) ?? [];
    list.push({ name: path.at(-1)!, brief });
    all.set(parent, list);
  }
  return all;
};

function bash(table: CommandTable): string {
  const groups = [...below(table)].map(
    ([path, list]) => `    ${quoted(path)}) words=${quoted(list.map(({ name }) => name).join(' '))} ;;`,
  );
  const commands = table.commands.map(({ path, flags, arguments: taken }) => {
    const names = flags.flatMap(({ name, alias }) => (alias === undefined ? [name] : [name, alias]));
    const values = flags.flatMap((flag) => bashValue(flag));
    const last = taken.at(-1);
    const rest = last === undefined ? '' : bashWords(last.name);
    return `    ${quoted(path.join(' '))})
      case $prev in
${[...values, `        *) words=${quoted(names.join(' '))}${rest === '' ? '' : `; [[ $cur == -* ]] || { ${rest}; }`} ;;`].join('\n')}
      esac ;;`;
  });
  return `# Completion of holdfast for bash: source it, or keep it as holdfast in a folder of bash-completion.
_holdfast() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at='' words='' how='' i
  for ((i = 1; i < COMP_CWORD && i < 3; i++)); do
    case \${COMP_WORDS[i]} in
      -*) break ;;
      *) case " ${places(table)} " in
          *" \${at:+$at/}\${COMP_WORDS[i]} "*) at+=\${at:+/}\${COMP_WORDS[i]} ;;
          *) break ;;
        esac ;;
    esac
  done
  case \${at/\\// } in
${[...groups, ...commands].join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen $how -W "$words" -- "$cur")
  [[ $how == '' ]] || compopt -o filenames
}
complete -F _holdfast holdfast
`;
}

function bashValue({ name, alias, value }: FlagEntry): string[] {
  if (value === undefined) return [];
  const pattern = alias === undefined ? name : `${name}|${alias}`;
  return [`        ${pattern}) ${bashWords(value) || ':'} ;;`];
}

function bashWords(placeholder: string): string {
  const kind = kindOf(placeholder);
  if (kind.kind === 'words') return `words=${quoted(kind.words.join(' '))}`;
  return { file: 'how=-f', folder: 'how=-d', other: '' }[kind.kind];
}

function zsh(table: CommandTable): string {
  const groups = [...below(table)].map(([path, list]) => {
    const entries = list.map(({ name, brief }) => `      ${quoted(`${name}:${line(brief)}`)}`);
    return `    ${quoted(path)})
      commands=(
${entries.join('\n')}
      )
      _describe -t commands command commands ;;`;
  });
  const commands = table.commands.map(({ path, flags, arguments: taken }) => {
    const specs = [...flags.flatMap(zshFlag), ...taken.map(zshArgument)];
    return `    ${quoted(path.join(' '))})
      _arguments -s : \\
${specs.map((spec) => `        ${quoted(spec)}`).join(' \\\n')} ;;`;
  });
  return `#compdef holdfast
# Completion of holdfast for zsh: keep it as _holdfast in a folder of $fpath.
_holdfast() {
  local -a commands
  local at='' word
  local -i taken=0
  for word in \${words[2,CURRENT-1]}; do
    case " ${places(table)} " in
      *" \${at:+\${at/ //}/}$word "*) at+=\${at:+ }$word; taken+=1 ;;
      *) break ;;
    esac
  done
  words=(holdfast \${words[taken+2,-1]})
  CURRENT=CURRENT-taken
  case $at in
${[...groups, ...commands].join('\n')}
  esac
}
if [[ $funcstack[1] == _holdfast ]]; then _holdfast "$@"; else compdef _holdfast holdfast; fi
`;
}

const zshText = (text: string): string => line(text).replaceAll(/[[\]:\\]/g, (char) => `\\${char}`);

function zshValue(placeholder: string): string {
  const kind = kindOf(placeholder);
  const action =
    kind.kind === 'words'
      ? `(${kind.words.join(' ')})`
      : { file: '_files', folder: '_files -/', other: ' ' }[kind.kind];
  return `:${zshText(placeholder)}:${action}`;
}

function zshFlag({ name, alias, brief, value, repeated }: FlagEntry): string[] {
  const told = `[${zshText(brief)}]${value === undefined ? '' : zshValue(value)}`;
  const star = repeated ? '*' : '';
  const long = value === undefined ? name : `${name}=`;
  if (alias === undefined) return [`${star}${long}${told}`];
  const not = repeated ? star : `(${alias} ${name})`;
  return [`${not}${long}${told}`, `${not}${alias}${value === undefined ? '' : '+'}${told}`];
}

const zshArgument = ({ name, repeated }: ArgumentEntry): string => `${repeated ? '*' : ''}${zshValue(name)}`;

function fish(table: CommandTable): string {
  const lines = [...below(table)].flatMap(([path, list]) =>
    list.map(({ name, brief }) => `complete -c holdfast -n ${fishAt(path)} -a ${name} -d ${fishText(brief)}`),
  );
  const options = table.commands.flatMap((command) => [
    ...command.flags.map((flag) => fishFlag(command, flag)),
    ...fishArguments(command),
  ]);
  return `# Completion of holdfast for fish: keep it as holdfast.fish in ~/.config/fish/completions.
function __holdfast_at
    set -l words (commandline -opc)
    set -l at
    for word in $words[2..3]
        contains -- "$at $word" ${[...table.groups, ...table.commands].map(({ path }) => fishText(` ${path.join(' ')}`)).join(' ')}
        or break
        set at "$at $word"
    end
    test "$at" = "$argv[1]"
end
complete -c holdfast -f
${[...lines, ...options].join('\n')}
`;
}

const fishText = (text: string): string => `'${line(text).replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
const fishAt = (path: string): string => `"__holdfast_at '${path === '' ? '' : ` ${path}`}'"`;

function fishFlag({ path }: CommandEntry, { name, alias, brief, value }: FlagEntry): string {
  const short = alias === undefined ? '' : ` -s ${alias.slice(1)}`;
  const takes = value === undefined ? '' : ` -r${fishValue(value)}`;
  return `complete -c holdfast -n ${fishAt(path.join(' '))} -l ${name.slice(2)}${short}${takes} -d ${fishText(brief)}`;
}

function fishArguments({ path, arguments: taken }: CommandEntry): string[] {
  const last = taken.at(-1);
  const values = last === undefined ? '' : fishValue(last.name);
  return values === '' || values === ' -f'
    ? []
    : [`complete -c holdfast -n ${fishAt(path.join(' '))}${values}`];
}

function fishValue(placeholder: string): string {
  const kind = kindOf(placeholder);
  if (kind.kind === 'words') return ` -f -a ${fishText(kind.words.join(' '))}`;
  return { file: ' -F', folder: " -f -a '(__fish_complete_directories)'", other: ' -f' }[kind.kind];
}
