import { fromHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { errnoText } from '../core/errno.ts';
import { HoldfastError } from '../core/errors.ts';
import { readSmallFile } from '../core/files.ts';
import {
  BEARER_RULE,
  hashToken,
  isBearerToken,
  isScope,
  type Scope,
  type TokenEntry,
  type TokenTable,
} from './auth.ts';
import { followFiles } from './follow-files.ts';

const MAX_FILE_BYTES = 1024 * 1024;
const MAX_TOKENS = 4096;
const MIN_TOKEN_LENGTH = 16;
const ANONYMOUS = 'anonymous';

/**
 * Reads the text of a token file. A line is `name scopes token`: scopes joined by commas, the token as it is or as
 * `sha256:` and 64 hex digits. The line `anonymous scopes` says what needs no token; without it, nothing. `#` starts a
 * comment.
 * @throws HoldfastError `ConfigInvalid`, with the line; never with a token.
 */
function parseTokenFile(text: string): TokenTable {
  const tokens: TokenEntry[] = [];
  let anonymous: ReadonlySet<Scope> = new Set();
  text.split('\n').forEach((raw, index) => {
    const words = raw
      .split(/(?:^|\s)#/, 1)[0]!
      .trim()
      .split(/\s+/);
    const [name, scopeList, token, ...rest] = words;
    if (name === '' || name === undefined) return;
    const scopes = parseScopes(scopeList, index + 1);
    if (name === ANONYMOUS && token === undefined) {
      anonymous = scopes;
      return;
    }
    if (token === undefined || rest.length > 0 || name === ANONYMOUS)
      throw badLine(index + 1, 'expected `name scopes token`');
    if (tokens.length === MAX_TOKENS)
      throw badLine(index + 1, `a file may have at most ${MAX_TOKENS} tokens`);
    tokens.push({ name, scopes, sha256: digestOf(token, index + 1) });
  });
  return { tokens, anonymous };
}

function parseScopes(list: string | undefined, line: number): ReadonlySet<Scope> {
  const scopes = new Set<Scope>();
  for (const word of (list ?? '').split(',')) {
    if (!isScope(word)) throw badLine(line, 'scopes are read, write, delete and admin, joined by commas');
    scopes.add(word);
  }
  return scopes;
}

function digestOf(token: string, line: number): Uint8Array {
  if (!token.startsWith('sha256:')) {
    if (token.length < MIN_TOKEN_LENGTH)
      throw badLine(line, `a token has at least ${MIN_TOKEN_LENGTH} characters`);
    if (!isBearerToken(token)) throw badLine(line, `a token that clients can send is ${BEARER_RULE}`);
    return hashToken(token);
  }
  const hex = token.slice('sha256:'.length);
  if (!/^[0-9a-f]{64}$/.test(hex)) throw badLine(line, 'sha256: is followed by 64 lower-case hex digits');
  return fromHex(hex);
}

function badLine(line: number, what: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', `line ${line} of the token file: ${what}`, {
    code: 'bad_token_file',
    hint: 'A line is `name scopes token`, e.g. `backup read,write 6f1c…`.',
    context: { line },
  });
}

export interface WatchedTokens {
  /** The tokens of the last good reading. */
  table(): TokenTable;
  stop(): void;
}

interface WatchOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly intervalMs: number;
  /** A reading that failed leaves the tokens in force as they were. */
  readonly onReload: (outcome: { readonly tokens: number } | { readonly error: HoldfastError }) => void;
}

/** Follows a token file as it changes. @throws HoldfastError `ConfigInvalid` when the first reading fails. */
export async function watchTokenFile({
  path,
  clock,
  intervalMs,
  onReload,
}: WatchOptions): Promise<WatchedTokens> {
  const { current, stop } = await followFiles({
    paths: [path],
    read: () => read(path),
    clock,
    intervalMs,
    onReload: (outcome) => onReload('error' in outcome ? outcome : { tokens: outcome.value.tokens.length }),
  });
  return { table: current, stop };
}

async function read(path: string): Promise<TokenTable> {
  try {
    return parseTokenFile(await readSmallFile(path, MAX_FILE_BYTES));
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw new HoldfastError('ConfigInvalid', `cannot read the token file ${path}: ${errnoText(error)}`, {
      code: 'bad_token_file',
      hint: 'Check the path given with --token-file and its permissions.',
      cause: error,
    });
  }
}
