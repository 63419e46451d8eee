import { resolve } from 'node:path';
import { systemClock as clock } from '../../core/clock.ts';
import { isLoopback } from '../../core/loopback.ts';
import type { Scope } from '../../http/auth.ts';
import { BEARER_RULE, hashToken, isBearerToken, type TokenTable } from '../../http/auth.ts';
import type { Listener } from '../../http/listener.ts';
import type { LineLog } from '../../http/log.ts';
import { type WatchedTokens, watchTokenFile } from '../../http/token-file.ts';
import type { Io } from '../io.ts';
import { type ServingSettings, usage } from './settings.ts';

/** Who may do what when no token file says so. */
export interface DefaultAccess {
  /** Environment variable of the one token. */
  readonly variable: string;
  /** Without credentials, where there is a token. */
  readonly besideToken: readonly Scope[];
  /** Without tokens, where only this machine can reach the service. */
  readonly local: readonly Scope[];
  /** Without tokens, where others can; undefined: refused. */
  readonly open: readonly Scope[] | undefined;
}

const TOKEN_FILE_MS = 1_000;

/** @throws HoldfastError `ConfigInvalid` (`usage`, `bad_token_file`) */
export async function openTokens(
  settings: Pick<ServingSettings, 'token' | 'tokenFile'>,
  io: Io,
  listeners: readonly Listener[],
  log: LineLog,
  access: DefaultAccess,
): Promise<WatchedTokens> {
  const token = settings.token ?? io.env[access.variable];
  if (token !== undefined && settings.tokenFile !== undefined) {
    throw usage('--token and --token-file exclude each other', 'A token file holds any number of tokens.');
  }
  // A variable that was meant to hold it is empty, say.
  if (token !== undefined && !isBearerToken(token)) {
    throw usage(
      `the token is ${token === '' ? 'empty' : 'none that a client can send'}`,
      `Look at --token and ${access.variable}: ${BEARER_RULE}`,
    );
  }
  if (settings.tokenFile !== undefined) {
    return watchTokenFile({
      path: resolve(io.cwd, settings.tokenFile),
      clock,
      intervalMs: TOKEN_FILE_MS,
      onReload: (outcome) =>
        'error' in outcome
          ? log.event('warn', 'token_file_refused', { message: outcome.error.message })
          : log.event('info', 'token_file_read', outcome),
    });
  }
  const table = token === undefined ? withoutTokens(listeners, log, access) : withToken(token, access);
  return { table: () => table, stop() {} };
}

function withToken(token: string, { besideToken }: DefaultAccess): TokenTable {
  const scopes = new Set<Scope>(['read', 'write', 'delete', 'admin']);
  return { tokens: [{ name: 'token', scopes, sha256: hashToken(token) }], anonymous: new Set(besideToken) };
}

function withoutTokens(listeners: readonly Listener[], log: LineLog, access: DefaultAccess): TokenTable {
  const local = listeners.every((listener) => listener.kind === 'unix' || isLoopback(listener.host));
  const anonymous = local ? access.local : access.open;
  if (anonymous === undefined) {
    throw usage(
      'without tokens, whoever reaches this address could read everything',
      'Pass --token or --token-file, --public to let everyone read, or bind to 127.0.0.1.',
    );
  }
  log.event('warn', 'no_tokens', { anonymous });
  return { tokens: [], anonymous: new Set(anonymous) };
}
