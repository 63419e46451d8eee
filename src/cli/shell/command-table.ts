import type { Command, CommandContext, RouteMap } from '@stricli/core';

/** What one command takes: for whatever is made of the commands, such as completion and manual pages. */
export interface CommandEntry {
  /** Its words, e.g. `providers`, `add`. */
  readonly path: readonly string[];
  readonly brief: string;
  /** In full; undefined where the brief says all. */
  readonly description: string | undefined;
  readonly flags: readonly FlagEntry[];
  readonly arguments: readonly ArgumentEntry[];
}

export interface FlagEntry {
  /** With the two hyphens. */
  readonly name: string;
  /** One letter, with its hyphen. */
  readonly alias: string | undefined;
  readonly brief: string;
  /** Of the value that follows; undefined: none does. */
  readonly value: string | undefined;
  /** As it is typed. */
  readonly default: string | undefined;
  readonly required: boolean;
  readonly repeated: boolean;
}

export interface ArgumentEntry {
  readonly name: string;
  readonly brief: string;
  readonly required: boolean;
  readonly repeated: boolean;
}

/** A command with others below it. */
interface GroupEntry {
  readonly path: readonly string[];
  readonly brief: string;
}

export interface CommandTable {
  readonly description: string;
  /** In the order of the help. */
  readonly commands: readonly CommandEntry[];
  readonly groups: readonly GroupEntry[];
}

/** Every command that the parser knows. */
export function commandTable<C extends CommandContext>(root: RouteMap<C>): CommandTable {
  const commands: CommandEntry[] = [];
  const groups: GroupEntry[] = [];
  const walk = (map: RouteMap<C>, path: readonly string[]): void => {
    for (const { name, target, hidden } of map.getAllEntries()) {
      const here = [...path, name['convert-camel-to-kebab']];
      if (hidden) continue;
      if ('getAllEntries' in target) {
        groups.push({ path: here, brief: target.brief });
        walk(target, here);
      } else commands.push(entryOf(target, here));
    }
  };
  walk(root, []);
  return { description: root.fullDescription ?? root.brief, commands, groups };
}

const HELP: FlagEntry = {
  name: '--help',
  alias: '-h',
  brief: 'Print help information and exit',
  value: undefined,
  default: undefined,
  required: false,
  repeated: false,
};

function entryOf<C extends CommandContext>(
  { brief, fullDescription, parameters }: Command<C>,
  path: string[],
): CommandEntry {
  const { flags = {}, aliases = {}, positional } = parameters as Parameters;
  const aliasOf = (name: string): string | undefined => {
    const [letter] = Object.entries(aliases).find(([, meant]) => meant === name) ?? [];
    return letter && `-${letter}`;
  };
  const described = Object.entries(flags).flatMap(([name, flag]) => flagEntries(name, flag, aliasOf(name)));
  return {
    path,
    brief,
    description: fullDescription,
    flags: [...described, HELP],
    arguments: argumentsOf(positional),
  };
}

/** As far as the parser's own types, which it does not export, are read here. */
interface Parameters {
  readonly flags?: Readonly<Record<string, Flag>>;
  readonly aliases?: Readonly<Record<string, string>>;
  readonly positional?:
    | { readonly kind: 'array'; readonly parameter: Positional; readonly minimum?: number }
    | { readonly kind: 'tuple'; readonly parameters: readonly Positional[] };
}

interface Flag {
  readonly kind: string;
  readonly brief: string;
  readonly placeholder?: string;
  readonly default?: unknown;
  readonly optional?: boolean;
  readonly variadic?: boolean | string;
  readonly withNegated?: boolean;
}

interface Positional {
  readonly brief: string;
  readonly placeholder?: string;
  readonly optional?: boolean;
  readonly default?: unknown;
}

function flagEntries(name: string, flag: Flag, alias: string | undefined): FlagEntry[] {
  const isSwitch = flag.kind === 'boolean';
  const entry = {
    name: `--${kebab(name)}`,
    alias,
    brief: flag.brief,
    value: isSwitch ? undefined : (flag.placeholder ?? 'VALUE'),
    default: isSwitch || flag.default === undefined ? undefined : String(flag.default),
    required: !isSwitch && flag.optional !== true && flag.default === undefined,
    repeated: flag.variadic === true,
  };
  if (!isSwitch || flag.withNegated === false) return [entry];
  return [entry, { ...entry, name: `--no-${kebab(name)}`, alias: undefined, brief: `Not so: ${flag.brief}` }];
}

function argumentsOf(positional: Parameters['positional']): ArgumentEntry[] {
  if (positional === undefined) return [];
  const entry = ({ placeholder = 'value', brief, optional, default: usual }: Positional): ArgumentEntry => ({
    name: placeholder,
    brief,
    required: optional !== true && usual === undefined,
    repeated: false,
  });
  if (positional.kind === 'tuple') return positional.parameters.map(entry);
  const { parameter, minimum = 0 } = positional;
  return [{ ...entry(parameter), required: minimum > 0, repeated: true }];
}

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
