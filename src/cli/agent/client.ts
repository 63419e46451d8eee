import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { systemClock as clock } from '../../core/clock.ts';
import type { VaultSubkeys } from '../../keys/derivation.ts';
import type { Io } from '../io.ts';
import { type AgentPlace, agentPlace, hasFolder } from './place.ts';
import { type Answer, MAX_ANSWER_BYTES, type Question, readAnswer, subkeysOf, VERSION } from './protocol.ts';

const ANSWER_MS = 2_000;
/** The most that a key file has, many times over. */
const MAX_KEY_FILE_BYTES = 64 * 1024;

export const agentOff = (env: Io['env']): boolean => env.HOLDFAST_AGENT === 'off';

export const hashOfKeyFile = (text: string | Buffer): string =>
  createHash('sha256').update(text).digest('hex');

/** The keys that an agent holds for this key file; undefined when there is none, whatever the reason. */
export async function heldSubkeys(env: Io['env'], keyFile: string): Promise<VaultSubkeys | undefined> {
  if (agentOff(env)) return undefined;
  try {
    const answer = await askAbout('keys', await agentPlace(env, keyFile), keyFile);
    return answer?.keys === undefined ? undefined : subkeysOf(answer.keys);
  } catch {
    return undefined; // the passphrase opens the vault as ever
  }
}

/** What the agent of this key file says; undefined when none answers. */
export async function askAbout(
  ask: 'keys' | 'status',
  place: AgentPlace,
  keyFile: string,
): Promise<Answer | undefined> {
  if (!(await hasFolder(place))) return undefined;
  const text = await readFile(keyFile);
  if (text.length > MAX_KEY_FILE_BYTES) return undefined;
  const question: Question = { agent: VERSION, ask, key_file: hashOfKeyFile(text) };
  const answer = await exchange(place, question);
  return answer === undefined ? undefined : readAnswer(answer);
}

/** Has the agent forget; true when there was one. Settles when it has. */
export async function askToForget(place: AgentPlace): Promise<boolean> {
  if (!(await hasFolder(place))) return false;
  return (await exchange(place, { ask: 'forget' })) !== undefined;
}

/**
 * Sends a line and takes what comes until the other end closes. Undefined when nobody listens: a socket that a killed
 * agent left behind refuses.
 */
function exchange({ socket }: AgentPlace, question: Question): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let text = '';
    const connection = connect(socket);
    const failed = (error: NodeJS.ErrnoException): void => {
      connection.destroy();
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
      else reject(error);
    };
    const cancel = clock.timer(ANSWER_MS, () => failed(new Error('the agent does not answer')));
    connection.setEncoding('utf8');
    connection.on('connect', () => connection.write(`${JSON.stringify(question)}\n`));
    connection.on('data', (piece: string) => {
      text += piece;
      if (text.length > MAX_ANSWER_BYTES) failed(new Error('the agent answers too much'));
    });
    connection.on('end', () => resolve(text));
    connection.on('error', failed);
    connection.on('close', cancel);
  });
}
