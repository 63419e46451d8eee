import type { HoldfastError } from '../core/errors.ts';
import { printableLine, printableText } from '../core/remote-text.ts';

/** How a command talks to its user. Everything a script reads goes to stdout; everything else to stderr. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Fires on the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
}

/** Why the signal fires when whoever reads the output has gone, e.g. `| head`: nobody to tell anything. */
export const OUTPUT_CLOSED: Error = new Error('output closed');

export function print(io: Io, text: string): void {
  io.stdout.write(`${printableText(text)}\n`);
}

export function note(io: Io, text: string): void {
  io.stderr.write(`${printableText(text)}\n`);
}

/** Prints data for a program with `--json`, else text for a person. */
export function output(io: Io, json: boolean, data: unknown, text: () => string): void {
  print(io, json ? toJson(data) : text());
}

/** One line what happened, one line what to do. */
export function reportError(io: Io, error: HoldfastError, json: boolean): void {
  if (json) {
    note(io, toJson(error.toJSON()));
    return;
  }
  const where = placeOf(error);
  // Only the problems of a configuration are told on lines of their own; elsewhere a line's end may be a server's.
  const lines = Array.isArray(error.context.problems) ? error.message.split('\n') : [error.message];
  const text = lines.map(printableLine).join('\n');
  note(io, `holdfast: ${text}${where === '' ? '' : printableLine(` (${where})`)}`);
  if (error.hint !== undefined) note(io, printableLine(`  ${error.hint}`));
  for (const line of details(error)) note(io, printableLine(`  - ${line}`));
  if (error.kind === 'Unexpected' && error.cause instanceof Error) note(io, String(error.cause.stack));
}

/** Which provider or folder it was, as far as the message leaves it open. */
function placeOf({ message, provider, context }: HoldfastError): string {
  const folder = [context.root, context.location].find((path) => typeof path === 'string');
  return [provider === undefined ? undefined : `provider ${provider}`, folder]
    .filter((part) => part !== undefined && !message.includes(part as string))
    .join(', ');
}

const LISTED = ['failures', 'leftOut', 'providers'] as const;

function details(error: HoldfastError): string[] {
  for (const key of LISTED) {
    const list = error.context[key];
    if (Array.isArray(list) && list.length > 0) return list.map(String);
  }
  return [];
}

/** Below these keys stand names that the user chose. */
const OWN_NAMES: ReadonlySet<string> = new Set(['overrides']);

const camel = (key: string): string =>
  key.replace(/(?<=[a-z0-9])_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** Data as every command prints it: one spelling of keys, whichever format the data comes from. */
function toJson(data: unknown): string {
  return JSON.stringify(oneSpelling(data));
}

function oneSpelling(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(oneSpelling);
  if (typeof value !== 'object' || value === null) return value;
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      camel(key),
      OWN_NAMES.has(key) ? inner : oneSpelling(inner),
    ]),
  );
}
