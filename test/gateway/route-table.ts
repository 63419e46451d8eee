import { noise } from '../helpers/vault.ts';
import { ADMIN, bearer, READER, WRITER } from './harness.ts';

/** The object that the rows are about, 300,000 bytes in two chunks. */
export const BYTES: Uint8Array = noise(300_000, 3);
export const NAME = 'maps/über 1.png';
const URL_NAME = '/n/maps/%C3%BCber%201.png';
const ABSENT = `b3:${'0'.repeat(64)}`;

/** Manifests that the letters M, U and E in the rows stand for. */
export interface Letters {
  /** {@link BYTES} as {@link NAME}, an image. */
  readonly M: string;
  /** The same with a type that is none. */
  readonly U: string;
  /** No bytes, under the name `empty`. */
  readonly E: string;
}

const spell = (text: string, pattern: RegExp, letters: Letters): string =>
  text.replace(
    pattern,
    (_all, before: string, letter: keyof Letters, after: string) => before + letters[letter] + after,
  );

export const spelled = (text: string, letters: Letters): string => spell(text, /(")([MUE])(")/, letters);
/** As long as the headers say. */
export const bodyOf = (headers: Row[3]): string => 'x'.repeat(Number(headers['content-length'] ?? 0));
export const targetOf = (text: string, letters: Letters): string =>
  spell(text, /(\/|manifest=)([MUE])(?=$|&)()/, letters);
/** Without the length, which goes with the body. */
export const headersOf = (headers: Row[3], letters: Letters): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers)
      .filter(([key]) => key !== 'content-length')
      .map(([key, value]) => [key, spelled(value, letters)]),
  );

export type Row = readonly [
  what: string,
  method: string,
  /** `M`, `U` and `E` stand for manifests. */
  target: string,
  headers: Readonly<Record<string, string>>,
  status: number,
  expected?: Readonly<Record<string, string | undefined>>,
  /** Window of the object that the body is, or the `error` of a JSON body. */
  body?: readonly [number, number] | string,
];

const all: readonly [number, number] = [0, 300_000];
const admin = bearer(ADMIN);
const rpcHeaders = { ...admin, 'content-type': 'application/json' };
const OK = { 'accept-ranges': 'bytes', etag: '"M"', 'x-content-type-options': 'nosniff' };

export const ROWS: readonly Row[] = [
  [
    'by manifest',
    'GET',
    '/m/M',
    {},
    200,
    {
      ...OK,
      'content-type': 'image/png',
      'content-length': '300000',
      'cache-control': 'public, max-age=31536000, immutable',
    },
    all,
  ],
  [
    'by name',
    'GET',
    URL_NAME,
    {},
    200,
    { ...OK, 'content-type': 'image/png', 'cache-control': 'public, no-cache' },
    all,
  ],
  ['by name, slash escaped', 'GET', '/n/maps%2F%C3%BCber%201.png', {}, 200, OK, all],
  ['in absolute form', 'GET', `http://test${URL_NAME}`, {}, 200, OK, all],
  [
    'with a token',
    'GET',
    '/m/M',
    bearer(READER),
    200,
    { 'cache-control': 'private, max-age=31536000, immutable' },
    all,
  ],
  [
    'a type that is none',
    'GET',
    '/m/U',
    {},
    200,
    { 'content-type': 'application/octet-stream', x: undefined },
    all,
  ],
  ['as bytes', 'GET', '/blob/M', {}, 200, { ...OK, 'content-type': 'application/octet-stream' }, all],
  ['as a module', 'GET', '/wasm/M', {}, 200, { ...OK, 'content-type': 'application/wasm' }, all],
  ['nothing', 'GET', '/n/empty', {}, 200, { 'content-length': '0', etag: '"E"' }, [0, 0]],
  ['a range of nothing', 'GET', '/m/E', { range: 'bytes=0-' }, 416, { 'content-range': 'bytes */0' }],
  [
    'a range',
    'GET',
    '/m/M',
    { range: 'bytes=10-19' },
    206,
    { ...OK, 'content-range': 'bytes 10-19/300000', 'content-length': '10' },
    [10, 20],
  ],
  ['a range across chunks', 'GET', URL_NAME, { range: 'bytes=262000-262300' }, 206, {}, [262_000, 262_301]],
  [
    'an open range',
    'GET',
    '/m/M',
    { range: 'bytes=299990-' },
    206,
    { 'content-range': 'bytes 299990-299999/300000' },
    [299_990, 300_000],
  ],
  [
    'a suffix',
    'GET',
    '/m/M',
    { range: 'bytes=-5' },
    206,
    { 'content-range': 'bytes 299995-299999/300000' },
    [299_995, 300_000],
  ],
  [
    'a suffix over the size',
    'GET',
    '/m/M',
    { range: 'bytes=-900000' },
    206,
    { 'content-range': 'bytes 0-299999/300000' },
    all,
  ],
  [
    'a range past the end',
    'GET',
    '/m/M',
    { range: 'bytes=300000-' },
    416,
    { 'content-range': 'bytes */300000', etag: '"M"' },
    'RangeNotSatisfiable',
  ],
  ['an empty suffix', 'GET', '/m/M', { range: 'bytes=-0' }, 416],
  ['an inverted range', 'GET', '/m/M', { range: 'bytes=9-8' }, 200, {}, all],
  ['another unit', 'GET', '/m/M', { range: 'lines=1-2' }, 200, {}, all],
  [
    'overlapping ranges',
    'GET',
    '/m/M',
    { range: 'bytes=0-9,5-19' },
    206,
    { 'content-range': 'bytes 0-19/300000' },
    [0, 20],
  ],
  ['ranges apart', 'GET', '/m/M', { range: 'bytes=0-1,9-10' }, 200, { 'content-range': undefined }, all],
  [
    'a thousand ranges',
    'GET',
    '/m/M',
    { range: `bytes=${Array.from({ length: 1000 }, (_, i) => `${2 * i}-${2 * i}`).join(',')}` },
    200,
    {},
    all,
  ],
  ['If-Range, strong and right', 'GET', '/m/M', { range: 'bytes=0-9', 'if-range': '"M"' }, 206, {}, [0, 10]],
  ['If-Range, weak', 'GET', '/m/M', { range: 'bytes=0-9', 'if-range': 'W/"M"' }, 200, {}, all],
  ['If-Range, another', 'GET', '/m/M', { range: 'bytes=0-9', 'if-range': '"x"' }, 200, {}, all],
  [
    'If-Range, a date',
    'GET',
    '/m/M',
    { range: 'bytes=0-9', 'if-range': 'Sat, 29 Oct 1994 19:43:31 GMT' },
    200,
    {},
    all,
  ],
  [
    'If-None-Match, the same',
    'GET',
    URL_NAME,
    { 'if-none-match': '"M"' },
    304,
    {
      etag: '"M"',
      'cache-control': 'public, no-cache',
      'content-length': undefined,
      'content-type': undefined,
    },
    [0, 0],
  ],
  [
    'If-None-Match, weak and the same',
    'GET',
    '/m/M',
    { 'if-none-match': '"a", W/"M"' },
    304,
    { etag: '"M"' },
    [0, 0],
  ],
  ['If-None-Match, any', 'HEAD', '/m/M', { 'if-none-match': '*' }, 304, {}, [0, 0]],
  ['If-None-Match, another', 'GET', '/m/M', { 'if-none-match': '"x"' }, 200, {}, all],
  ['If-None-Match before a range', 'GET', '/m/M', { 'if-none-match': '"M"', range: 'bytes=900000-' }, 304],
  ['If-Match, the same', 'GET', '/m/M', { 'if-match': '"M"' }, 200, {}, all],
  ['If-Match, weak', 'GET', '/m/M', { 'if-match': 'W/"M"' }, 412, {}, 'PreconditionFailed'],
  ['If-Match, another', 'GET', '/m/M', { 'if-match': '"x"' }, 412, {}, 'PreconditionFailed'],
  [
    'a HEAD with a range',
    'HEAD',
    '/m/M',
    { range: 'bytes=0-9' },
    200,
    { 'content-length': '300000', 'content-range': undefined },
    [0, 0],
  ],
  ['an absent manifest', 'GET', `/m/${ABSENT}`, {}, 404, {}, 'NotFound'],
  ['an absent name', 'GET', '/n/nobody', {}, 404, {}, 'NotFound'],
  ['no name', 'GET', '/n/', {}, 400],
  ['a malformed address', 'GET', '/m/b3:xyz', {}, 400, {}, 'BadRequest'],
  ['another scheme', 'GET', `/m/sha256:${'0'.repeat(64)}`, {}, 400, {}, 'UnsupportedScheme'],
  ['an address as a name', 'GET', '/n/b3:1', {}, 400, {}, 'BadRequest'],
  ['a name with NUL', 'GET', '/n/a%00b', {}, 400],
  ['a name in overlong UTF-8', 'GET', '/n/%c0%ae%c0%ae', {}, 400],
  ['a name with dots', 'GET', '/n/../etc/passwd', {}, 400],
  ['a name with escaped dots', 'GET', '/n/a/%2e%2e/b', {}, 400],
  ['a name with an empty segment', 'GET', '/n/a//b', {}, 400],
  ['a name with a stray percent sign', 'GET', '/n/100%', {}, 400],
  ['a name with a query', 'GET', '/n/empty?x=1', {}, 400],
  ['a name that is too long', 'GET', `/n/${'a'.repeat(1025)}`, {}, 400, {}, 'ConfigInvalid'],
  ['an over-long target', 'GET', `/n/${'a'.repeat(4000)}`, {}, 400],
  ['escaped dots elsewhere', 'GET', '/%2e%2e/etc/passwd', {}, 400],
  ['an unknown path', 'GET', '/x', {}, 404, {}, 'NotFound'],
  ['a PUT', 'PUT', '/m/M', {}, 405, { allow: 'GET, HEAD' }, 'MethodNotAllowed'],
  ['a DELETE by name', 'DELETE', URL_NAME, {}, 405, { allow: 'GET, HEAD' }, 'MethodNotAllowed'],
  ['a GET of /rpc', 'GET', '/rpc', admin, 405, { allow: 'POST' }, 'MethodNotAllowed'],
  [
    'a bad token',
    'GET',
    '/m/M',
    bearer('not-a-token-of-ours'),
    401,
    { 'www-authenticate': 'Bearer error="invalid_token"' },
    'Unauthorized',
  ],
  ['a token that may not read', 'GET', '/m/M', bearer(WRITER), 403, {}, 'Forbidden'],
  [
    'a manifest block',
    'GET',
    '/manifests/M',
    {},
    200,
    { ...OK, 'content-type': 'application/vnd.ipld.dag-cbor' },
  ],
  ['an absent manifest block', 'GET', `/manifests/${ABSENT}`, {}, 404, {}, 'NotFound'],
  [
    'a manifest node as a blob',
    'GET',
    '/o/M',
    {},
    200,
    { ...OK, 'content-type': 'application/octet-stream' },
  ],
  ['a part of a blob', 'GET', '/o/M', { range: 'bytes=0-9' }, 206, { 'content-length': '10' }],
  ['an absent blob', 'GET', `/o/${ABSENT}`, {}, 404, {}, 'NotFound'],
  ['the manifests, without a token', 'GET', '/storage/manifests', {}, 401, {}, 'Unauthorized'],
  ['the manifests, as a reader', 'GET', '/storage/manifests', bearer(READER), 403, {}, 'Forbidden'],
  [
    'the manifests',
    'GET',
    '/storage/manifests',
    admin,
    200,
    { 'content-type': 'application/json', 'cache-control': 'no-store' },
  ],
  ['no manifests', 'GET', '/storage/manifests?limit=0', admin, 400],
  ['too many manifests', 'GET', '/storage/manifests?limit=1001', admin, 400],
  ['the status, without a token', 'GET', '/storage/status', {}, 401, {}, 'Unauthorized'],
  ['the status', 'GET', '/storage/status', admin, 200, { 'content-type': 'application/json' }],
  ['the repairs, without a token', 'GET', '/storage/repair-history', {}, 401, {}, 'Unauthorized'],
  ['the repairs', 'GET', '/storage/repair-history', admin, 200, { 'content-type': 'application/json' }],
  ['no repairs', 'GET', '/storage/repair-history?limit=0', admin, 400],
  ['the providers, without a token', 'GET', '/storage/providers', {}, 401, {}, 'Unauthorized'],
  ['the providers, as a reader', 'GET', '/storage/providers', bearer(READER), 403, {}, 'Forbidden'],
  ['the providers', 'GET', '/storage/providers', admin, 200, { 'content-type': 'application/json' }],
  ['a call without a type', 'POST', '/rpc', admin, 415, {}, 'UnsupportedMediaType'],
  ['a call with a content coding', 'POST', '/rpc', { ...rpcHeaders, 'content-encoding': 'gzip' }, 415],
  ['a call, as a reader', 'POST', '/rpc', { ...rpcHeaders, ...bearer(READER) }, 403, {}, 'Forbidden'],
  ['a call without a token', 'POST', '/rpc', { 'content-type': 'application/json' }, 401],
  [
    'a call that is too long',
    'POST',
    '/rpc',
    { ...rpcHeaders, 'content-length': '65537' },
    413,
    {},
    'PayloadTooLarge',
  ],
  ['health', 'GET', '/healthz', {}, 200],
  ['readiness', 'GET', '/readyz', {}, 200],
  ['metrics', 'GET', '/metrics', bearer(READER), 200],
  ['metrics, as a stranger', 'GET', '/metrics', {}, 401, {}, 'Unauthorized'],
  ['the version', 'GET', '/version', {}, 200],
];
