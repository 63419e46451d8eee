const SECRET_KEY =
  /secret|token|passw|passphrase|authorization|credential|cookie|signature|private|access.?key|api.?key/i;
const QUERY_NAME = /[?&][^\s=&?]*=/g;
const SECRET_NAME = /signature|token|secret|credential|key/i;
const QUERY_VALUE = /[^\s&]*/y;
const AUTHORITY = /[^\s/]*/y;
const BEARER = /\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}/gi;
const GONE = '[redacted]';
const MAX_DEPTH = 6;

/** A copy of plain data without what must not be logged: secret fields, credentials in URLs and headers. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '[…]';
  if (value instanceof Uint8Array) return `[${value.length} bytes]`;
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  const out: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value))
    out[key] = SECRET_KEY.test(key) ? GONE : redact(item, depth + 1);
  return out;
}

/** In time that grows with the text and no faster: some of it was written by servers. */
const redactText = (text: string): string =>
  withoutQuerySecrets(withoutUserInfo(text)).replace(BEARER, `$1 ${GONE}`);

/** `scheme://user:password@host` without what stands before the host. */
function withoutUserInfo(text: string): string {
  let out = '';
  let kept = 0;
  for (let at = text.indexOf('://'); at !== -1; at = text.indexOf('://', at + 3)) {
    const start = at + 3;
    const authority = matchAt(AUTHORITY, text, start);
    const end = authority.lastIndexOf('@');
    if (end < 1 || start < kept) continue;
    out += text.slice(kept, start) + GONE;
    kept = start + end;
  }
  return out + text.slice(kept);
}

/** `?signature=…&x=…` without the values of names that sound secret. */
function withoutQuerySecrets(text: string): string {
  let out = '';
  let kept = 0;
  for (const { index, 0: name } of text.matchAll(QUERY_NAME)) {
    const start = index + name.length;
    if (start < kept || !SECRET_NAME.test(name)) continue;
    const { length } = matchAt(QUERY_VALUE, text, start);
    if (length === 0) continue;
    out += text.slice(kept, start) + GONE;
    kept = start + length;
  }
  return out + text.slice(kept);
}

function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}
