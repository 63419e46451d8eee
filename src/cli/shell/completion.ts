import type { ArgumentEntry, CommandEntry, CommandTable, FlagEntry } from './command-table.ts';

/**
 * Scripts that complete command lines. They hold all they need but names of objects and ids of providers, for which they
 * ask the program (`offer`).
 */
export const SHELLS: Readonly<Record<'bash' | 'zsh' | 'fish', (table: CommandTable) => string>> = {
  bash,
  zsh,
  fish,
};

/** What stands for a value: paths are completed, a few words are offered, of everything else nothing is known. */
type Kind =
  | { readonly kind: 'file' | 'folder' | 'objects' | 'providers' | 'other' }
  | { readonly kind: 'words'; readonly words: string[] };

type Value = Pick<ArgumentEntry, 'name' | 'brief'>;

const OF_PROVIDERS: ReadonlySet<string> = new Set(['providers', 'evacuate', 'replace', 'audit', 'node']);

function kindOf({ name, brief }: Value, [command]: readonly string[]): Kind {
  if (name === 'DIR') return { kind: 'folder' };
  if (/^(?:name\|manifest|prefix)$/.test(name) || (name === 'NAME' && command === 'ls'))
    return { kind: 'objects' };
  if (/^(?:id|ID|old|new)$/.test(name) && OF_PROVIDERS.has(command!)) return { kind: 'providers' };
  if (/^(?:FILE|PATH|proof)$|^file\b/.test(name)) return { kind: 'file' };
  if (/^[a-z]+(?:\|[a-z]+)+$/.test(name) && name !== 'epoch|id')
    return { kind: 'words', words: name.split('|') };
  const [, listed] = /^(?:One of )?(\w+(?:, \w+)*(?: or \w+)?)$/.exec(brief) ?? [];
  return listed?.includes(',') ? { kind: 'words', words: listed.split(/, | or /) } : { kind: 'other' };
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
    const values = flags.flatMap((flag) => bashValue(flag, path));
    return `    ${quoted(path.join(' '))})
      case $prev in
${[...values, `        *) words=${quoted(names.join(' '))}; [[ $cur == -* ]] || ${bashArguments(taken, path)} ;;`].join('\n')}
      esac ;;`;
  });
  return `# Completion of holdfast for bash: source it, or keep it as holdfast in a folder of bash-completion.
# Names are asked for with a deadline. Those with a colon are completed from their last one on, as bash takes words apart there.
_holdfast_offer() {
  local text=\${cur//\\\\/} before='' i
  for ((i = COMP_CWORD - 1; i > at0; i--)); do
    [[ \${COMP_WORDS[i]} == : || \${COMP_WORDS[i+1]} == : ]] || break
    before=\${COMP_WORDS[i]}$before
  done
  [[ $text == : ]] && before+=: text=''
  mapfile -t COMPREPLY < <("\${COMP_WORDS[0]}" offer -- "$1" "$before\${text#[\\"\\']}" "\${COMP_WORDS[@]:1}" 2>/dev/null </dev/null)
  COMPREPLY=("\${COMPREPLY[@]#"$before"}")
  [[ $text == [\\"\\']* ]] || for i in "\${!COMPREPLY[@]}"; do printf -v "COMPREPLY[i]" %q "\${COMPREPLY[i]}"; done
  [[ \${#COMPREPLY[@]} -ne 1 || \${COMPREPLY[0]} != */ ]] || compopt -o nospace
}
_holdfast() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at='' words='' how='' ask='' i at0=0 n=0
  for ((i = 1; i < COMP_CWORD && i < 3; i++)); do
    case \${COMP_WORDS[i]} in
      -*) break ;;
      *) case " ${places(table)} " in
          *" \${at:+$at/}\${COMP_WORDS[i]} "*) at+=\${at:+/}\${COMP_WORDS[i]}; at0=$i ;;
          *) break ;;
        esac ;;
    esac
  done
  for ((i = at0 + 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]}\${COMP_WORDS[i+1]} in
      :* | *:) continue ;;
    esac
    case \${COMP_WORDS[i]} in
      ${valued(table).join('|')}) ((i++)) ;;
      -*) ;;
      *) ((n++)) ;;
    esac
  done
  case \${at/\\// } in
${[...groups, ...commands].join('\n')}
  esac
  if [[ $ask != '' ]]; then _holdfast_offer "$ask"; return; fi
  mapfile -t COMPREPLY < <(compgen $how -W "$words" -- "$cur")
  [[ $how == '' ]] || compopt -o filenames
}
complete -F _holdfast holdfast
`;
}

/** Flags that a value follows, in whatever command. */
const valued = (table: CommandTable): string[] => [
  ...new Set(
    table.commands.flatMap(({ flags }) =>
      flags.flatMap(({ name, alias, value }) =>
        value === undefined ? [] : alias === undefined ? [name] : [name, alias],
      ),
    ),
  ),
];

function bashValue({ name, alias, value, brief }: FlagEntry, path: readonly string[]): string[] {
  if (value === undefined) return [];
  const pattern = alias === undefined ? name : `${name}|${alias}`;
  return [`        ${pattern}) ${bashWords({ name: value, brief }, path) || ':'} ;;`];
}

/** By how many arguments stand before: the last one may be meant again and again. */
function bashArguments(taken: readonly ArgumentEntry[], path: readonly string[]): string {
  const cases = taken.map((argument, at) => {
    const pattern = argument.repeated ? '*' : String(at);
    return `${pattern}) ${bashWords(argument, path) || ':'} ;;`;
  });
  return cases.length === 0 ? ':' : `case $n in ${cases.join(' ')} esac`;
}

function bashWords(value: Value, path: readonly string[]): string {
  const kind = kindOf(value, path);
  if (kind.kind === 'words') return `words=${quoted(kind.words.join(' '))}`;
  if (kind.kind === 'objects' || kind.kind === 'providers') return `ask=${kind.kind}`;
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
    const specs = [
      ...flags.flatMap((flag) => zshFlag(flag, path)),
      ...taken.map((argument) => zshArgument(argument, path)),
    ];
    return `    ${quoted(path.join(' '))})
      _arguments -s : \\
${specs.map((spec) => `        ${quoted(spec)}`).join(' \\\n')} ;;`;
  });
  return `#compdef holdfast
# Completion of holdfast for zsh: keep it as _holdfast in a folder of $fpath.
_holdfast_offer() {
  local -a found
  found=("\${(@f)$($program offer -- $1 "\${(Q)PREFIX}" $typed 2>/dev/null </dev/null)}")
  compadd -S '' -- \${(M)found:#*/}
  compadd -- \${found:#*/}
}
_holdfast() {
  local program=\${(Q)words[1]/#\\~\\//$HOME/}
  local -a commands typed=(\${(Q)words[2,-1]})
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

function zshValue(value: Value, path: readonly string[]): string {
  const kind = kindOf(value, path);
  const action =
    kind.kind === 'words'
      ? `(${kind.words.join(' ')})`
      : {
          file: '_files',
          folder: '_files -/',
          objects: ' _holdfast_offer objects',
          providers: ' _holdfast_offer providers',
          other: ' ',
        }[kind.kind];
  return `:${zshText(value.name)}:${action}`;
}

function zshFlag({ name, alias, brief, value, repeated }: FlagEntry, path: readonly string[]): string[] {
  const told = `[${zshText(brief)}]${value === undefined ? '' : zshValue({ name: value, brief }, path)}`;
  const star = repeated ? '*' : '';
  const long = value === undefined ? name : `${name}=`;
  if (alias === undefined) return [`${star}${long}${told}`];
  const not = repeated ? star : `(${alias} ${name})`;
  return [`${not}${long}${told}`, `${not}${alias}${value === undefined ? '' : '+'}${told}`];
}

const zshArgument = (argument: ArgumentEntry, path: readonly string[]): string =>
  `${argument.repeated ? '*' : ''}${zshValue(argument, path)}`;

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
    test "$at" = "$argv[1]"; or return 1
    set -q argv[2]; or return 0
    set -l taken 0
    set -l skip 0
    for word in $words[(math 2 + (count (string split -n ' ' -- "$at")))..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word ${valued(table).join(' ')}
            set skip 1
        else if not string match -q -- '-*' $word
            set taken (math $taken + 1)
        end
    end
    test $taken = $argv[2]
end
function __holdfast_offer
    set -l words (commandline -opc)
    eval $words[1] offer -- $argv[1] (string escape -- (commandline -ct | string unescape)) (string escape -- $words[2..-1]) 2>/dev/null </dev/null
end
complete -c holdfast -f
${[...lines, ...options].join('\n')}
`;
}

const fishText = (text: string): string => `'${line(text).replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
/** @param taken how many arguments must stand before; undefined: as many as may be. */
const fishAt = (path: string, taken?: number): string =>
  `"__holdfast_at '${path === '' ? '' : ` ${path}`}'${taken === undefined ? '' : ` ${taken}`}"`;

function fishFlag({ path }: CommandEntry, { name, alias, brief, value }: FlagEntry): string {
  const short = alias === undefined ? '' : ` -s ${alias.slice(1)}`;
  const takes = value === undefined ? '' : ` -r${fishValue({ name: value, brief }, path)}`;
  return `complete -c holdfast -n ${fishAt(path.join(' '))} -l ${name.slice(2)}${short}${takes} -d ${fishText(brief)}`;
}

function fishArguments({ path, arguments: taken }: CommandEntry): string[] {
  return taken.flatMap((argument, at) => {
    const values = fishValue(argument, path);
    const where = fishAt(path.join(' '), argument.repeated ? undefined : at);
    return values === ' -f' ? [] : [`complete -c holdfast -n ${where}${values}`];
  });
}

function fishValue(value: Value, path: readonly string[]): string {
  const kind = kindOf(value, path);
  if (kind.kind === 'words') return ` -f -a ${fishText(kind.words.join(' '))}`;
  if (kind.kind === 'objects' || kind.kind === 'providers') return ` -f -a '(__holdfast_offer ${kind.kind})'`;
  return { file: ' -F', folder: " -f -a '(__fish_complete_directories)'", other: ' -f' }[kind.kind];
}
