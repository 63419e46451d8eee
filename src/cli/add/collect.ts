import { resolve } from 'node:path';
import { errnoText } from '../../core/errno.ts';
import { HoldfastError } from '../../core/errors.ts';
import { readSmallFile } from '../../core/files.ts';
import type { Answers } from '../../providers/setup.ts';
import { ask } from '../ask.ts';
import type { Io } from '../io.ts';
import { type AddKind, QUESTIONS } from './kinds.ts';

const MAX_SECRET_BYTES = 64 * 1024;

export interface AddFlags {
  readonly id?: string;
  readonly env?: readonly string[];
  readonly credentialsFile?: string;
  readonly caFile?: string;
  readonly noSlots: boolean;
  readonly untried: boolean;
  readonly first: boolean;
}

/** Answers to questions, by flag. */
type AnswerFlags = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Where the credentials are, or themselves: those that were typed are kept in a file of their own. */
export type GivenCredentials =
  | { readonly env: Readonly<Record<string, string>> }
  | { readonly file: string }
  | { readonly typed: Readonly<Record<string, string>> };

export interface Collected {
  readonly id: string;
  readonly answers: Answers;
  readonly credentials: GivenCredentials | undefined;
}

/** What the flags say, and on a terminal what is asked for besides. @param taken ids in use. */
export async function collect(
  io: Io,
  kindName: string,
  kind: AddKind,
  flags: AddFlags,
  terminal: boolean,
  taken: ReadonlySet<string>,
): Promise<Collected> {
  const given = givenAnswers(flags as unknown as AnswerFlags);
  refuseOthers(kindName, kind, given);
  const usualId = freeId(kindName, taken);
  const id = flags.id ?? (terminal ? await answerOr(io, 'Id, for good', usualId) : usualId);
  const answers: Record<string, string> = {};
  const missing: string[] = [];
  for (const { flag, ask: text, usual, path } of kind.questions) {
    if (given[flag] !== undefined) answers[flag] = given[flag];
    else if (terminal) answers[flag] = await answerOr(io, text, usual);
    else if (usual !== undefined) answers[flag] = usual;
    else missing.push(flagOf(flag));
    if (path && answers[flag]) answers[flag] = resolve(io.cwd, answers[flag]);
  }
  const credentials = await credentialsOf(io, kind, flags, terminal);
  if (credentials === undefined && kind.secrets.some(({ optional }) => !optional)) {
    missing.push('--env FIELD=VARIABLE or --credentials-file');
  }
  if (missing.length > 0) throw notTold(kindName, missing);
  return { id, answers, credentials };
}

async function credentialsOf(
  io: Io,
  { secrets }: AddKind,
  { env, credentialsFile }: AddFlags,
  terminal: boolean,
): Promise<GivenCredentials | undefined> {
  if (env !== undefined && credentialsFile !== undefined) {
    throw bad('--env and --credentials-file do not go together', 'Credentials come from one place.');
  }
  if (credentialsFile !== undefined) return { file: credentialsFile };
  if (env !== undefined) return { env: Object.fromEntries(env.map(fieldAndVariable)) };
  if (!terminal || secrets.length === 0) return undefined;
  const typed: Record<string, string> = {};
  for (const { field, ask: text, open, optional, inFile, when } of secrets) {
    if (when !== undefined && !holds(when, typed)) continue;
    const value = await ask(io, `${text}: `, { hidden: !open, code: 'not_told' });
    if (value !== '') typed[field] = inFile ? await contentOf(resolve(io.cwd, value)) : value;
    else if (!optional) throw bad(`${text} is empty`, 'Nothing was written; try again.');
  }
  return Object.keys(typed).length === 0 ? undefined : { typed };
}

/** @param when a field that must have been given, or must not, with `!`. */
const holds = (when: string, typed: Readonly<Record<string, string>>): boolean =>
  when.startsWith('!') ? !Object.hasOwn(typed, when.slice(1)) : Object.hasOwn(typed, when);

async function contentOf(path: string): Promise<string> {
  return readSmallFile(path, MAX_SECRET_BYTES).catch((cause: unknown) => {
    throw bad(`cannot read ${path}: ${errnoText(cause)}`, 'Nothing was written; try again.');
  });
}

function fieldAndVariable(text: string): [string, string] {
  const [, field, variable] = /^([a-z_]{1,64})=(.+)$/.exec(text) ?? [];
  if (field !== undefined) return [field, variable!];
  throw bad(`"${text}" names no field and variable`, 'Give e.g. --env secret_access_key=AWS_SECRET.');
}

async function answerOr(io: Io, text: string, usual: string | undefined): Promise<string> {
  const shown = usual === undefined || usual === '' ? '' : ` [${usual}]`;
  const typed = (await ask(io, `${text}${shown}: `, { hidden: false, code: 'not_told' })).trim();
  if (typed !== '') return typed;
  if (usual !== undefined) return usual;
  throw bad(`${text}: nothing was given`, 'Nothing was written; try again.');
}

function freeId(kind: string, taken: ReadonlySet<string>): string {
  for (let number = 1; ; number++) {
    const id = number === 1 ? kind : `${kind}-${number}`;
    if (!taken.has(id)) return id;
  }
}

const givenAnswers = (flags: AnswerFlags): Answers =>
  Object.fromEntries(
    QUESTIONS.map(({ flag, several }) => {
      const value = flags[flag];
      return [flag, several && Array.isArray(value) ? value.join(',') : value] as const;
    }),
  ) as Answers;

/** A flag that this kind does not heed is a mistake. */
function refuseOthers(name: string, { questions }: AddKind, given: Answers): void {
  const heeded = new Set(questions.map(({ flag }) => flag));
  const other = QUESTIONS.find(({ flag }) => given[flag] !== undefined && !heeded.has(flag));
  if (other === undefined) return;
  const taken = [...heeded].map(flagOf).join(', ');
  throw bad(`${flagOf(other.flag)} is nothing that "${name}" takes`, `It takes ${taken}.`);
}

const flagOf = (flag: string): string =>
  `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

function notTold(kind: string, missing: readonly string[]): HoldfastError {
  return new HoldfastError('ConfigInvalid', `a provider of kind "${kind}" needs ${missing.join(', ')}`, {
    code: 'not_told',
    hint: 'On a terminal you are asked for them.',
  });
}

const bad = (message: string, hint: string): HoldfastError =>
  new HoldfastError('ConfigInvalid', message, { code: 'bad_answer', hint });
