import { HoldfastError } from '../core/errors.ts';
import { isLoopback } from '../core/loopback.ts';
import {
  type Authenticator,
  BEARER_RULE,
  createAuthenticator,
  hashToken,
  isBearerToken,
  type Scope,
} from '../http/auth.ts';
import type { ListenerTlsFiles } from '../http/listener.ts';
import type { Service } from '../http/service.ts';

/** Where a service listens, and who may call it. */
export interface ServeOptions {
  /** Default: 127.0.0.1. */
  readonly host?: string | undefined;
  /** Default: 0, any that is free. */
  readonly port?: number | undefined;
  /** Path of a Unix socket to listen at in place of host and port. Only this user can open it, and may do everything. */
  readonly unix?: string | undefined;
  /** Certificate and key as PEM files; a renewed certificate is taken without a restart. */
  readonly tls?: ListenerTlsFiles | undefined;
  /** Whoever sends it as `Authorization: Bearer …` may do everything. */
  readonly token?: string | undefined;
  /** Host names by which clients may call it, beside those of where it listens. */
  readonly allowedHosts?: readonly string[] | undefined;
}

/** A service that is listening. */
export interface RunningService {
  /** Where, e.g. `http://127.0.0.1:41234`; the path of the socket for one that listens at a Unix socket. */
  readonly url: string;
  /** Takes no new connections, and lets requests finish for a while. Idempotent. */
  close(): Promise<void>;
  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** What callers may do without the token: beside it, and where there is none. */
export interface Access {
  readonly besideToken: readonly Scope[];
  readonly local: readonly Scope[];
  /** Where others than this machine can reach the service. */
  readonly open: readonly Scope[];
}

/** @throws HoldfastError `ConfigInvalid` (`bad_option`) for a token that no client can send. */
export function authenticatorFor(
  call: string,
  { token, unix, host = LOCALHOST }: ServeOptions,
  access: Access,
): Authenticator {
  if (token === undefined) {
    const anonymous = unix !== undefined || isLoopback(host) ? access.local : access.open;
    return createAuthenticator(() => ({ tokens: [], anonymous: new Set(anonymous) }));
  }
  if (!isBearerToken(token)) {
    throw new HoldfastError('ConfigInvalid', `the option "token" of ${call} is ${BEARER_RULE}`, {
      code: 'bad_option',
    });
  }
  const scopes = new Set<Scope>(['read', 'write', 'delete', 'admin']);
  const table = {
    tokens: [{ name: 'token', scopes, sha256: hashToken(token) }],
    anonymous: new Set(access.besideToken),
  };
  return createAuthenticator(() => table);
}

const LOCALHOST = '127.0.0.1';

/** @throws HoldfastError `ConfigInvalid` (`listen_failed`, `bad_tls_files`): then the service is closed. */
export async function listening(
  service: Service,
  { host = LOCALHOST, port = 0, unix, tls }: ServeOptions,
): Promise<RunningService> {
  const at =
    unix === undefined
      ? ({ kind: 'tcp', host, port, tls } as const)
      : ({ kind: 'unix', path: unix } as const);
  const bound = await service.listen(at).catch(async (error: unknown) => {
    await service.close();
    throw error;
  });
  const close = async (): Promise<void> => {
    await service.drain();
    await service.close();
  };
  return { url: bound.kind === 'tcp' ? bound.url : bound.path, close, [Symbol.asyncDispose]: close };
}

/** Names of the options, for `checkOptions`. */
export const SERVE_OPTIONS = {
  host: true,
  port: true,
  unix: true,
  tls: true,
  token: true,
  allowedHosts: true,
} as const;
