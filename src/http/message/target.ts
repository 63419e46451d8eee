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
 * Parses a request target (RFC 9112, 3.2). Every path served here is plain, so whatever needs escapes, dots or
 * doubled slashes is an attempt at something else and is undefined.
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
