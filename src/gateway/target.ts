import { MAX_TARGET_LENGTH, parseTarget, type Target } from '../http/message/target.ts';

const NAMES = '/n/';
/** Names have up to 1024 bytes, each of which may be escaped. */
const MAX_NAME_TARGET = 3 * 1024 + NAMES.length;
const ABSOLUTE = /^https?:\/\/[^/?#]*(?=\/)/i;
/** RFC 3986 `pchar` and slashes. */
const ESCAPED = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})+$/;
const NO_QUERY = new URLSearchParams();

/**
 * As `parseTarget`, and for `/n/…` a path whose rest is a name, percent-decoded once. Segments of the name as it was
 * sent are never empty, `.` or `..`: proxies rewrite those, so they would mean different names to different readers.
 */
export function parseGatewayTarget(target: string): Target | undefined {
  const origin = target.startsWith('/') ? target : target.replace(ABSOLUTE, '');
  if (!origin.startsWith(NAMES)) return target.length > MAX_TARGET_LENGTH ? undefined : parseTarget(target);
  if (origin.length > MAX_NAME_TARGET) return undefined;
  const name = decodeName(origin.slice(NAMES.length));
  return name === undefined ? undefined : { path: NAMES + name, query: NO_QUERY };
}

function decodeName(escaped: string): string | undefined {
  if (!ESCAPED.test(escaped)) return undefined;
  try {
    const segments = escaped.split('/').map(decodeURIComponent);
    const odd = segments.some((segment) => segment === '' || segment === '.' || segment === '..');
    return odd ? undefined : segments.join('/');
  } catch {
    return undefined; // escapes that are not UTF-8
  }
}

/** The name in a decoded path. */
export const nameIn = (path: string): readonly string[] | undefined =>
  path.startsWith(NAMES) && path.length > NAMES.length ? [path.slice(NAMES.length)] : undefined;
