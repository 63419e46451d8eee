import * as v from 'valibot';
import { fromHex, toHex } from '../../core/bytes.ts';
import type { VaultSubkeys } from '../../keys/derivation.ts';

/**
 * One question and one answer a connection, each a line of JSON. `forget` is understood in every version, so that a
 * newer program can always replace an older agent.
 */
export const VERSION = 1;
export const MAX_QUESTION_BYTES = 512;
export const MAX_ANSWER_BYTES = 2048;

const hex = (bytes: number): v.GenericSchema<string> =>
  v.pipe(v.string(), v.regex(/^[0-9a-f]*$/), v.length(2 * bytes));

interface SubkeysText {
  readonly id: string;
  readonly wrap: string;
  readonly pointer: string;
  readonly name: string;
  readonly slot: string;
}

/** `key_file` is the SHA-256 of the key file that the keys were taken from. */
export type Question =
  | { readonly ask: 'forget' }
  | { readonly agent: typeof VERSION; readonly ask: 'status' | 'keys'; readonly key_file: string };

export interface Answer {
  readonly agent: typeof VERSION;
  readonly pid: number;
  /** Whether the keys it holds are those of the key file that was asked about. */
  readonly unlocked: boolean;
  readonly leftMs?: number | undefined;
  /** Of the vault. */
  readonly id?: string | undefined;
  readonly keys?: SubkeysText | undefined;
}

/** What the program that unlocks hands to the agent that it starts. */
export interface Handover {
  readonly socket: string;
  readonly key_file: string;
  readonly forMs: number;
  readonly keys: SubkeysText;
}

const Subkeys: v.GenericSchema<unknown, SubkeysText> = v.object({
  id: hex(8),
  wrap: hex(32),
  pointer: hex(32),
  name: hex(32),
  slot: hex(32),
});
const Question: v.GenericSchema<unknown, Question> = v.union([
  v.object({ ask: v.literal('forget') }),
  v.object({ agent: v.literal(VERSION), ask: v.picklist(['status', 'keys']), key_file: hex(32) }),
]);
const Answer: v.GenericSchema<unknown, Answer> = v.object({
  agent: v.literal(VERSION),
  pid: v.pipe(v.number(), v.integer()),
  unlocked: v.boolean(),
  leftMs: v.optional(v.pipe(v.number(), v.minValue(0))),
  id: v.optional(hex(8)),
  keys: v.optional(Subkeys),
});
const Handover: v.GenericSchema<unknown, Handover> = v.object({
  socket: v.string(),
  key_file: hex(32),
  forMs: v.pipe(v.number(), v.integer(), v.minValue(1)),
  keys: Subkeys,
});

export const readQuestion = (text: string): Question | undefined => read(Question, text);
export const readAnswer = (text: string): Answer | undefined => read(Answer, text);
export const readHandover = (text: string): Handover | undefined => read(Handover, text);

export function subkeysText({ id, wrap, pointer, name, slot }: VaultSubkeys): SubkeysText {
  return { id, wrap: toHex(wrap), pointer: toHex(pointer), name: toHex(name), slot: toHex(slot) };
}

export function subkeysOf({ id, wrap, pointer, name, slot }: SubkeysText): VaultSubkeys {
  return { id, wrap: fromHex(wrap), pointer: fromHex(pointer), name: fromHex(name), slot: fromHex(slot) };
}

function read<T>(schema: v.GenericSchema<unknown, T>, text: string): T | undefined {
  try {
    const result = v.safeParse(schema, JSON.parse(text));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}
