const SECRET_KEY =
  /secret|token|passw|passphrase|authorization|credential|cookie|signature|private|access.?key|api.?key/i;
const URL_CREDENTIALS = /([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi;
const QUERY_SECRET = /([?&](?:[^\s=&]*(?:signature|token|secret|credential|key)[^\s=&]*)=)[^\s&]+/gi;
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

export function redactText(text: string): string {
  return text
    .replace(URL_CREDENTIALS, `$1${GONE}@`)
    .replace(QUERY_SECRET, `$1${GONE}`)
    .replace(BEARER, `$1 ${GONE}`);
}
