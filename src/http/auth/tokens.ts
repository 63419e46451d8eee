import { createHash, timingSafeEqual } from 'node:crypto';
import { HttpProblem } from '../message/problem.ts';
import type { Authenticator, Plane, Principal, Scope } from './principal.ts';
import { SCOPES } from './principal.ts';

/** One bearer token. Only its SHA-256 is kept: tokens are random, so it needs no slow hash. */
export interface TokenEntry {
  readonly name: string;
  /** 32 bytes. */
  readonly sha256: Uint8Array;
  readonly scopes: ReadonlySet<Scope>;
}

export interface TokenTable {
  readonly tokens: readonly TokenEntry[];
  /** What a request without credentials may do. */
  readonly anonymous: ReadonlySet<Scope>;
}

const PRIVATE: Principal = { name: 'private', scopes: new Set(SCOPES), authenticated: true };
const BEARER = /^Bearer +([A-Za-z0-9._~+/=-]{1,512})$/i;

/** Whether it may stand behind `Bearer` (RFC 6750): nobody could send another. */
export const isBearerToken = (token: string): boolean => /^[A-Za-z0-9._~+/=-]{1,512}$/.test(token);
export const BEARER_RULE = '1 to 512 of A-Z, a-z, 0-9 and . _ ~ + / = -';

export const hashToken = (token: string): Uint8Array => createHash('sha256').update(token, 'utf8').digest();

/** @param table asked anew for every request, so that it may change at any time. */
export function createAuthenticator(table: () => TokenTable): Authenticator {
  return {
    authenticate(authorization, plane) {
      const { tokens, anonymous } = table();
      if (authorization === undefined) return withoutCredentials(anonymous, plane);
      const token = BEARER.exec(authorization)?.[1];
      const entry = token === undefined ? undefined : findToken(tokens, hashToken(token));
      if (entry === undefined) throw unauthorized('the token is not known here', 'invalid_token');
      return { name: entry.name, scopes: entry.scopes, authenticated: true };
    },
    open: (scope) => table().anonymous.has(scope),
  };
}

/** @throws HttpProblem 401 when credentials might help, 403 when those given do not. */
export function requireScope(principal: Principal, scope: Scope): void {
  if (principal.scopes.has(scope)) return;
  if (!principal.authenticated) throw unauthorized(`a token with scope "${scope}" is needed`);
  throw new HttpProblem(403, 'Forbidden', `this token lacks the scope "${scope}"`, {
    headers: { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scope}"` },
  });
}

function withoutCredentials(anonymous: ReadonlySet<Scope>, plane: Plane): Principal {
  return plane.private ? PRIVATE : { name: 'anonymous', scopes: anonymous, authenticated: false };
}

/** Looks at every entry, so that the time does not tell which one came close. */
function findToken(tokens: readonly TokenEntry[], sha256: Uint8Array): TokenEntry | undefined {
  let found: TokenEntry | undefined;
  for (const entry of tokens) if (timingSafeEqual(entry.sha256, sha256)) found = entry;
  return found;
}

function unauthorized(message: string, error?: string): HttpProblem {
  const challenge = error === undefined ? 'Bearer' : `Bearer error="${error}"`;
  return new HttpProblem(401, 'Unauthorized', message, { headers: { 'www-authenticate': challenge } });
}
