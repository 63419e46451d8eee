import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isLoopback } from '../core/loopback.ts';
import { HttpProblem } from './problem.ts';

const SCOPES = ['read', 'write', 'delete', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** Who a request comes from, and what they may do. */
export interface Principal {
  /** For logs and limits; never a secret. */
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
  /** False for a request without credentials. */
  readonly authenticated: boolean;
}

/** How a connection came in. A private plane (a Unix socket, mutual TLS) proves its peer by itself. */
export interface Plane {
  readonly private: boolean;
  readonly kind: 'tcp' | 'tls' | 'unix';
  /** The host that the listener was given; empty for a Unix socket. */
  readonly host: string;
}

export interface Authenticator {
  /** @throws HttpProblem 401 for credentials that are unknown here. */
  authenticate(authorization: string | undefined, plane: Plane): Principal;
  /** Tells whether a request without credentials has the scope. */
  open(scope: Scope): boolean;
}

export const isScope = (text: string): text is Scope => (SCOPES as readonly string[]).includes(text);

/** The principal of a request that nobody has looked at yet. */
export const NOBODY: Principal = { name: 'unknown', scopes: new Set(), authenticated: false };

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

/** Tells whether a client could send the token behind `Bearer` (RFC 6750). */
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
      if (entry === undefined) throw unauthorized('this server does not know the token', 'invalid_token');
      return { name: entry.name, scopes: entry.scopes, authenticated: true };
    },
    open: (scope) => table().anonymous.has(scope),
  };
}

/** @throws HttpProblem 401 when credentials might help, 403 when those given do not. */
export function requireScope(principal: Principal, scope: Scope): void {
  if (principal.scopes.has(scope)) return;
  if (!principal.authenticated) throw unauthorized(`this needs a token with the scope "${scope}"`);
  throw new HttpProblem(403, 'Forbidden', `this token lacks the scope "${scope}"`, {
    headers: { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scope}"` },
  });
}

function withoutCredentials(anonymous: ReadonlySet<Scope>, plane: Plane): Principal {
  return plane.private ? PRIVATE : { name: 'anonymous', scopes: anonymous, authenticated: false };
}

/** Compares with every entry, so that the time does not tell which one came close. */
function findToken(tokens: readonly TokenEntry[], sha256: Uint8Array): TokenEntry | undefined {
  let found: TokenEntry | undefined;
  for (const entry of tokens) if (timingSafeEqual(entry.sha256, sha256)) found = entry;
  return found;
}

function unauthorized(message: string, error?: string): HttpProblem {
  const challenge = error === undefined ? 'Bearer' : `Bearer error="${error}"`;
  return new HttpProblem(401, 'Unauthorized', message, { headers: { 'www-authenticate': challenge } });
}

/**
 * Guards a service against the pages of other sites. Whoever reaches it without a token, such as everyone on this
 * machine, may have a browser open. A page in it can send any request; a page whose name was rebound to this address can
 * read the answers too. The first shows in `Origin` and `Sec-Fetch-Site`, the second in `Host`.
 */
export interface PageRules {
  /** Names by which clients may call this service, beside the loopback's and that of the address it listens at. */
  readonly allowedHosts: readonly string[];
  /** Everyone may read, from any page. */
  readonly publicReads: boolean;
}

export interface Asked {
  readonly request: IncomingMessage;
  readonly plane: Plane;
  readonly principal: Principal;
  /** The request changes nothing. */
  readonly reads: boolean;
  /** A request without a token may do it too. */
  readonly open: boolean;
}

const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+?)\.?(?::\d{1,5})?$/;
const OWN_SITE: ReadonlySet<string> = new Set(['same-origin', 'none']);
const DEFAULT_PORT = /:(?:80|443)$/;
const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::', '']);

/** @throws HttpProblem 421 for a host that is not this one, 403 for a request that another site's page made. */
export function checkPage(asked: Asked, rules: PageRules): void {
  const { request, plane, principal, reads, open } = asked;
  const local = plane.kind !== 'tls' && (plane.kind === 'unix' || isLoopback(plane.host));
  // A page can read nothing here that its site could not read itself.
  if (reads && (rules.publicReads || (open && !local))) return;
  // A page has no token, a certificate names its host already, and browsers do not reach Unix sockets.
  const mayBeRebound = plane.kind === 'tcp' && !principal.authenticated;
  if (mayBeRebound && !isOurs(request, plane, rules)) {
    throw new HttpProblem(421, 'MisdirectedRequest', 'the Host header names another host', {
      close: true,
    });
  }
  if (isForeign(request, rules)) {
    throw new HttpProblem(403, 'Forbidden', 'this server refuses requests from pages of other sites');
  }
}

function isOurs({ headers, socket, url = '' }: IncomingMessage, plane: Plane, rules: PageRules): boolean {
  // A client that names no host is older than browsers.
  if (headers.host === undefined) return true;
  const authority = /^https?:\/\/([^/?#]*)/i.exec(url)?.[1];
  return [headers.host, ...(authority === undefined ? [] : [authority])].every((named) => {
    const host = hostnameOf(named);
    if (host === undefined) return false;
    if (isLoopback(host) || isAllowed(host, rules)) return true;
    return !WILDCARDS.has(host) && (host === plane.host.toLowerCase() || host === plain(socket.localAddress));
  });
}

/** Reads what browsers say of the page: a page cannot make them leave it out. */
function isForeign({ headers }: IncomingMessage, rules: PageRules): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined && !OWN_SITE.has(String(site))) return true;
  const { origin, host = '' } = headers;
  if (origin === undefined) return false;
  const authority = /^https?:\/\/([^/?#@]+)$/i.exec(origin)?.[1]?.toLowerCase();
  if (authority === undefined) return true;
  const same = authority.replace(DEFAULT_PORT, '') === host.toLowerCase().replace(DEFAULT_PORT, '');
  return !same && !isAllowed(hostnameOf(authority) ?? '', rules);
}

/** The host without port, brackets and last dot; undefined when it is none. */
export function hostnameOf(authority: string): string | undefined {
  return HOST.exec(authority.toLowerCase())?.[1]?.replace(/^\[|\]$/g, '');
}

const plain = (address: string | undefined): string | undefined => address?.replace(/^::ffff:/, '');

function isAllowed(host: string, { allowedHosts }: PageRules): boolean {
  return allowedHosts.some((allowed) =>
    allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) : host === allowed,
  );
}
