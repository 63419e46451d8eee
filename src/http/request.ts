import type { IncomingMessage } from 'node:http';
import { type BlobAddress, parseAddress } from '../core/address.ts';
import { isHoldfastError } from '../core/errors.ts';
import { badRequest, HttpProblem } from './problem.ts';

/** Two of one of these fields would let two readers of the request disagree about it. */
const ONCE: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'content-length',
  'content-type',
  'content-encoding',
  'expect',
  'if-range',
  'range',
  'transfer-encoding',
]);

/** The pattern by which Node looks for it. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;

/** Node could count them too, but it would leave out those beyond. */
const MAX_HEADERS = 128;

/**
 * Checks what Node's strict parser leaves to us. The parser already refuses a length beside a transfer coding, unequal or
 * repeated lengths, bare line feeds, folded lines, NUL, and space before a colon.
 * @throws HttpProblem 400 or 505, which close the connection.
 */
export function checkStrict(request: IncomingMessage): void {
  const { httpVersion, headers, rawHeaders } = request;
  if (rawHeaders.length > 2 * MAX_HEADERS)
    throw badRequest(`a request may have at most ${MAX_HEADERS} headers`);
  if (httpVersion !== '1.1' && httpVersion !== '1.0') {
    throw new HttpProblem(505, 'VersionNotSupported', 'this server speaks HTTP/1.1', { close: true });
  }
  if (httpVersion === '1.1' && headers.host === undefined)
    throw badRequest('the request needs a Host header');
  const coding = headers['transfer-encoding'];
  if (coding !== undefined) {
    if (httpVersion === '1.0') throw badRequest('HTTP/1.0 has no transfer codings');
    if (coding.toLowerCase() !== 'chunked')
      throw badRequest('chunked is the only transfer coding known here');
  }
  if (headers.expect !== undefined && !CONTINUE.test(headers.expect)) {
    throw badRequest('100-continue is the only expectation known here');
  }
  let seen: Set<string> | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (!ONCE.has(name)) continue;
    seen ??= new Set();
    if (seen.has(name)) throw badRequest(`the ${name} header is given twice`);
    seen.add(name);
  }
}

/** A request target that has been found harmless. */
export interface Target {
  /** Starts with `/`; printable ASCII without percent signs, empty segments or dot segments. */
  readonly path: string;
  readonly query: URLSearchParams;
}

export const MAX_TARGET_LENGTH = 2048;
const ABSOLUTE = /^https?:\/\/[^/?#]*/i;
const PATH = /^\/[A-Za-z0-9:._~/-]*$/;
const DOTS = /\/\.\.?(?:\/|$)/;
const QUERY = /^[A-Za-z0-9:._~=&%+-]*$/;
const NO_QUERY = new URLSearchParams();

/**
 * Parses a request target (RFC 9112, 3.2). Every path served here is plain. A target with escapes, dots or doubled slashes
 * is an attempt at something else: undefined.
 */
export function parseTarget(target: string): Target | undefined {
  if (target.length > MAX_TARGET_LENGTH) return undefined;
  const origin = target.startsWith('/') ? target : target.replace(ABSOLUTE, '');
  const mark = origin.indexOf('?');
  const path = mark < 0 ? origin || '/' : origin.slice(0, mark) || '/';
  const query = mark < 0 ? '' : origin.slice(mark + 1);
  if (!PATH.test(path) || path.includes('//') || DOTS.test(path)) return undefined;
  if (query === '') return { path, query: NO_QUERY };
  return QUERY.test(query) ? { path, query: new URLSearchParams(query) } : undefined;
}

/** @throws HttpProblem 400 when the text is no address of ours. */
export function addressFrom(text: string | undefined): BlobAddress {
  try {
    return parseAddress(text ?? '');
  } catch (error) {
    const name = isHoldfastError(error, 'UnsupportedScheme') ? 'UnsupportedScheme' : 'BadRequest';
    throw new HttpProblem(400, name, 'an address is b3: and 64 lower-case hex digits', { cause: error });
  }
}

/** Bytes under an address never change, so their address is their strong entity tag. */
export const etagOf = (address: BlobAddress): string => `"${address}"`;
