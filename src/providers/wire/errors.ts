import { errors } from 'undici';
import type { Clock } from '../../core/clock.ts';
import { type ErrorKind, HoldfastError } from '../../core/errors.ts';
import { remoteText } from '../../core/remote-text.ts';
import type { WireAnswer } from './answer.ts';

/** What a server says that does not like our certificate, or the lack of one. */
const TLS_ALERT = /^ERR_SSL_.*_ALERT_/;
const TLS = /^(ERR_TLS_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_SSL_)/;
const TIMEOUTS: ReadonlySet<string> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
]);

/** The typed error for a connection that could not be made or did not last. @param overTls for what it may mean then. */
export function networkError(error: unknown, overTls = false): unknown {
  if (error instanceof HoldfastError) return error;
  const code = codeOf(error);
  if (code === undefined) return error;
  if (TLS_ALERT.test(code)) {
    return new HoldfastError('ConfigInvalid', `the server refused us in the TLS handshake (${code})`, {
      code: 'tls_refused',
      hint: 'If it asks for a certificate, name one that it accepts as client_cert_file, with its client_key_file.',
      cause: error,
    });
  }
  if (TLS.test(code)) {
    return new HoldfastError('ConfigInvalid', `the server's certificate is not trusted (${code})`, {
      code: 'tls_untrusted',
      hint: 'Name the authority that signed it in the configuration of this provider.',
      cause: error,
    });
  }
  const kind: ErrorKind = TIMEOUTS.has(code) ? 'Timeout' : 'Unavailable';
  return new HoldfastError(kind, `the connection failed (${code})`, {
    context: { code },
    cause: error,
    ...(overTls && closedUnheard(error) ? { hint: UNHEARD_HINT } : {}),
  });
}

/** Some servers refuse a client certificate, or the lack of one, without a word: also our own node. */
const UNHEARD_HINT =
  'It closed before it said anything. If it asks for client certificates, check client_cert_file and client_key_file.';

/** The connection ended with its first request unanswered. */
const closedUnheard = (error: unknown): boolean =>
  error instanceof errors.SocketError && error.socket?.bytesRead === 0;

/** Happy-eyeballs failures carry theirs inside. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return error instanceof AggregateError ? codeOf(error.errors[0]) : codeOf(error.cause);
}

const KINDS: Readonly<Record<number, ErrorKind>> = {
  400: 'Unexpected',
  401: 'PermissionDenied',
  402: 'QuotaExceeded',
  403: 'PermissionDenied',
  404: 'NotFound',
  405: 'PermissionDenied',
  408: 'Timeout',
  409: 'Conflict',
  410: 'NotFound',
  412: 'Conflict',
  413: 'RangeNotSatisfiable',
  416: 'RangeNotSatisfiable',
  423: 'Unavailable',
  429: 'RateLimited',
  501: 'PermissionDenied',
  507: 'QuotaExceeded',
};

/** The typed error for a status that is not success. @param kind what the server's own code means, if it has one. */
export function statusError(
  answer: WireAnswer,
  clock: Clock,
  kind?: ErrorKind,
  saidCode?: string,
): HoldfastError {
  const { status } = answer;
  const serverCode = saidCode === undefined ? undefined : remoteText(saidCode);
  const waitMs = retryAfterMs(answer.header('retry-after'), clock);
  const context = {
    status,
    ...(serverCode === undefined ? {} : { serverCode }),
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
  };
  if (status >= 300 && status < 400) {
    return new HoldfastError(
      'ConfigInvalid',
      'the server sends us elsewhere, and redirects are not followed',
      {
        code: 'redirected',
        hint: 'Give the address (and region) that the server names as the endpoint.',
        context,
      },
    );
  }
  // 503 with a time to come back is a server protecting itself, not one that is gone.
  const byStatus = status === 503 && waitMs !== undefined ? 'RateLimited' : KINDS[status];
  const meant = kind ?? byStatus ?? (status >= 500 ? 'Unavailable' : 'Unexpected');
  return new HoldfastError(
    meant,
    `the server answered ${status}${serverCode === undefined ? '' : ` ${serverCode}`}`,
    {
      context,
      ...(status === 501 || status === 405 ? { code: 'unsupported' } : {}),
    },
  );
}

/** Seconds or a date (RFC 9110, 10.2.3). */
function retryAfterMs(value: string | undefined, clock: Clock): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - clock.now());
}
