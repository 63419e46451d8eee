import type { IncomingMessage } from 'node:http';
import { isLoopback } from '../../core/loopback.ts';
import type { Plane, Principal } from '../auth/principal.ts';
import { HttpProblem } from '../message/problem.ts';

/**
 * Guards what a service gives to those who reach it without a token, such as everyone on this machine, from the pages
 * that a browser there shows. A page of another site may make it ask for anything; one whose name was rebound to this
 * address may even read the answers. The first shows in `Origin` and `Sec-Fetch-Site`, the second in `Host`.
 */
export interface PageRules {
  /** Names by which clients may call this service, beside those of the loopback and of the address it listens at. */
  readonly allowedHosts: readonly string[];
  /** Everyone may read, whatever page they are shown. */
  readonly publicReads: boolean;
}

export interface Asked {
  readonly request: IncomingMessage;
  readonly plane: Plane;
  readonly principal: Principal;
  /** Nothing is done but look. */
  readonly reads: boolean;
  /** What everyone may do: no token would be needed. */
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
  // Nothing is kept from anyone, wherever they come from.
  if (reads && (rules.publicReads || (open && !local))) return;
  // A page has no token; a certificate names its host already; browsers do not reach sockets.
  const mayBeRebound = plane.kind === 'tcp' && !principal.authenticated;
  if (mayBeRebound && !isOurs(request, plane, rules)) {
    throw new HttpProblem(421, 'MisdirectedRequest', 'the Host header names a host that this is not', {
      close: true,
    });
  }
  if (isForeign(request, rules)) {
    throw new HttpProblem(403, 'Forbidden', 'requests from pages of other sites are not taken here');
  }
}

function isOurs({ headers, socket, url = '' }: IncomingMessage, plane: Plane, rules: PageRules): boolean {
  // Only what is older than browsers names no host.
  if (headers.host === undefined) return true;
  const authority = /^https?:\/\/([^/?#]*)/i.exec(url)?.[1];
  return [headers.host, ...(authority === undefined ? [] : [authority])].every((named) => {
    const host = hostnameOf(named);
    if (host === undefined) return false;
    if (isLoopback(host) || isAllowed(host, rules)) return true;
    return !WILDCARDS.has(host) && (host === plane.host.toLowerCase() || host === plain(socket.localAddress));
  });
}

/** What browsers say of the page, and cannot be made to leave out. */
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

/** Without port, brackets and last dot; undefined for what is no host. */
function hostnameOf(authority: string): string | undefined {
  return HOST.exec(authority.toLowerCase())?.[1]?.replace(/^\[|\]$/g, '');
}

const plain = (address: string | undefined): string | undefined => address?.replace(/^::ffff:/, '');

function isAllowed(host: string, { allowedHosts }: PageRules): boolean {
  return allowedHosts.some((allowed) =>
    allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) : host === allowed,
  );
}
