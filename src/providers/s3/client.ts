import type { Clock } from '../../core/clock.ts';
import { type ErrorKind, HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { CredentialReader } from '../credentials.ts';
import type { WireAnswer } from '../wire/answer.ts';
import { sendAuthorised } from '../wire/auth.ts';
import { createWireClient, type TlsIdentity, type WireClient } from '../wire/client.ts';
import { statusError } from '../wire/errors.ts';
import { escapePath, queryString, type S3Credentials, sha256Hex, signedHeaders } from './sign.ts';
import { errorCodeOf } from './xml.ts';

export interface S3Place extends TlsIdentity {
  /** `https://s3.example.org`, or of any server that speaks S3. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** Bucket in the path (`true`, the default) or in the host name. */
  readonly pathStyle?: boolean | undefined;
  /** Asked before each request; the source keeps what it gave. */
  readonly credentials: CredentialReader<S3Credentials>;
}

interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Undefined: the bucket itself. */
  readonly key?: string | undefined;
  readonly query?: Readonly<Record<string, string>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: readonly Uint8Array[] | undefined;
  readonly bodyBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface S3Client {
  /** @throws HoldfastError for every status that is not 2xx. */
  call(request: S3Request): Promise<WireAnswer>;
  /** `/bucket/key`, escaped, as a copy source. */
  copySource(key: string): string;
  close(): Promise<void>;
}

const EMPTY_HASH = sha256Hex('');

/** What servers' own codes mean, where the status alone does not tell. */
const CODES: ReadonlyMap<string, ErrorKind> = new Map(
  Object.entries({
    NoSuchKey: 'NotFound',
    NoSuchUpload: 'NotFound',
    NoSuchBucket: 'ConfigInvalid',
    InvalidBucketName: 'ConfigInvalid',
    AuthorizationHeaderMalformed: 'ConfigInvalid',
    AccessDenied: 'PermissionDenied',
    InvalidAccessKeyId: 'PermissionDenied',
    SignatureDoesNotMatch: 'PermissionDenied',
    RequestTimeTooSkewed: 'PermissionDenied',
    ExpiredToken: 'PermissionDenied',
    InvalidToken: 'PermissionDenied',
    QuotaExceeded: 'QuotaExceeded',
    SlowDown: 'RateLimited',
    TooManyRequests: 'RateLimited',
    RequestTimeout: 'Timeout',
    EntityTooLarge: 'RangeNotSatisfiable',
    InvalidRange: 'RangeNotSatisfiable',
    PreconditionFailed: 'Conflict',
    XAmzContentSHA256Mismatch: 'Unavailable',
    BadDigest: 'Unavailable',
  } as const),
);

const HINTS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    NoSuchBucket: 'Create the bucket, or correct its name in the configuration of this provider.',
    RequestTimeTooSkewed: 'Set the clock of this machine.',
    SignatureDoesNotMatch: 'The secret key is wrong, or the region is.',
  }),
);

export function createS3Client(place: S3Place, clock: Clock): S3Client {
  const { host: endpointHost, origin, protocol, pathname } = new URL(place.endpoint);
  const inPath = place.pathStyle ?? true;
  const host = inPath ? endpointHost : `${place.bucket}.${endpointHost}`;
  const base = pathname.replace(/\/$/, '');
  const root = inPath ? `${base}/${escapePath(place.bucket)}` : base;
  const wire: WireClient = createWireClient({
    origin: inPath ? origin : `${protocol}//${host}`,
    tls: place,
  });

  return {
    async call({ method, key, query = {}, headers = {}, body, bodyBytes, signal }) {
      const path = key === undefined ? root || '/' : `${root}/${escapePath(key)}`;
      const payloadHash = body === undefined ? EMPTY_HASH : sha256Hex(...body);
      const search = queryString(query);
      const answer = await sendAuthorised(place.credentials, true, (secrets) => {
        const toSign = {
          method,
          host,
          path,
          query,
          headers,
          payloadHash,
          region: place.region,
          nowUnixMs: clock.now(),
        };
        const { host: _, ...signed } = signedHeaders(toSign, secrets);
        return wire.send({
          method,
          path: search === '' ? path : `${path}?${search}`,
          headers: body === undefined ? signed : { ...signed, 'content-length': String(bodyBytes ?? 0) },
          body,
          signal,
        });
      });
      if (answer.status >= 200 && answer.status < 300) return answer;
      throw await s3Error(answer, clock);
    },
    copySource: (key) => `/${escapePath(place.bucket)}/${escapePath(key)}`,
    close: () => wire.close(),
  };
}

/** For `catch`: what is not there is undefined, anything else stays an error. */
export function absent(error: unknown): undefined {
  if (!isHoldfastError(error, 'NotFound')) throw error;
}

/** Idempotent. @param query names an upload in parts in place of the object itself. */
export async function removeKey(
  client: S3Client,
  key: string,
  signal: AbortSignal | undefined,
  query: Readonly<Record<string, string>> = {},
): Promise<void> {
  await (await client.call({ method: 'DELETE', key, query, signal }).catch(absent))?.discard();
}

async function s3Error(answer: WireAnswer, clock: Clock): Promise<HoldfastError> {
  const code = errorCodeOf(await answer.text().catch(() => ''));
  const error = statusError(answer, clock, code === undefined ? undefined : CODES.get(code), code);
  const hint = code === undefined ? undefined : HINTS.get(code);
  return hint === undefined ? error : error.with({ hint });
}

/** Some requests fail with status 200 and an error in the body. */
export async function checkedBody(answer: WireAnswer, clock: Clock): Promise<string> {
  const text = await answer.text();
  const code = errorCodeOf(text);
  if (code === undefined) return text;
  throw new HoldfastError(CODES.get(code) ?? 'Unavailable', `the server answered ${code}`, {
    context: { serverCode: code, at: clock.now() },
  });
}
