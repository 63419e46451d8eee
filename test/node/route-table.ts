import { noise } from '../helpers/vault.ts';
import { addressFor, bearer } from './harness.ts';

export const BYTES = noise(200_000, 7);
export const A = addressFor(BYTES);
export const ABSENT = addressFor(noise(10, 8));
export const ETAG = `"${A}"`;
export const SLOT = '0123456789abcdef0123456789abcdef';
const JSON_TYPE = { 'content-type': 'application/json' };
const ALWAYS_BLOB = { etag: ETAG, 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream' };

export interface Row {
  readonly name: string;
  readonly send: readonly [method: string, target: string, headers?: Record<string, string>, body?: string];
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Name in the error body, where it is one. */
  readonly error?: string;
  readonly body?: string;
}

const w = { Authorization: bearer('writer') };
const k = { Authorization: bearer('keeper') };
const a = { Authorization: bearer('admin') };
export const hello = 'hello, world';
export const HELLO = addressFor(Buffer.from(hello));
export const OTHER = addressFor(Buffer.from('something else'));

/** In order: some rows build on those before them. */
export const ROWS: readonly Row[] = [
  // Blobs: reading.
  {
    name: 'GET',
    send: ['GET', `/o/${A}`],
    status: 200,
    headers: { ...ALWAYS_BLOB, 'content-length': '200000' },
  },
  { name: 'GET in absolute form', send: ['GET', `http://anyone/o/${A}`], status: 200 },
  { name: 'GET of nothing', send: ['GET', `/o/${ABSENT}`], status: 404, error: 'NotFound' },
  { name: 'GET of another scheme', send: ['GET', '/o/sha256:00'], status: 400, error: 'UnsupportedScheme' },
  { name: 'GET of a malformed address', send: ['GET', '/o/b3:zz'], status: 400, error: 'BadRequest' },
  {
    name: 'GET of an upper-case address',
    send: ['GET', `/o/${A.toUpperCase().replace('B3', 'b3')}`],
    status: 400,
  },
  {
    name: 'If-None-Match, same',
    send: ['GET', `/o/${A}`, { 'If-None-Match': ETAG }],
    status: 304,
    headers: { etag: ETAG },
  },
  {
    name: 'If-None-Match, weak same',
    send: ['GET', `/o/${A}`, { 'If-None-Match': `"x", W/${ETAG}` }],
    status: 304,
  },
  { name: 'If-None-Match, any', send: ['GET', `/o/${A}`, { 'If-None-Match': '*' }], status: 304 },
  { name: 'If-None-Match, other', send: ['GET', `/o/${A}`, { 'If-None-Match': '"x"' }], status: 200 },
  { name: 'If-None-Match, malformed', send: ['GET', `/o/${A}`, { 'If-None-Match': A }], status: 200 },
  { name: 'If-None-Match of nothing', send: ['GET', `/o/${ABSENT}`, { 'If-None-Match': '*' }], status: 404 },
  { name: 'If-Match, same', send: ['GET', `/o/${A}`, { 'If-Match': `"x", ${ETAG}` }], status: 200 },
  { name: 'If-Match, any', send: ['GET', `/o/${A}`, { 'If-Match': '*' }], status: 200 },
  {
    name: 'If-Match, weak same',
    send: ['GET', `/o/${A}`, { 'If-Match': `W/${ETAG}` }],
    status: 412,
    error: 'PreconditionFailed',
  },
  { name: 'If-Match, other', send: ['GET', `/o/${A}`, { 'If-Match': '"x"' }], status: 412 },
  {
    name: 'If-Match before If-None-Match',
    send: ['GET', `/o/${A}`, { 'If-Match': '"x"', 'If-None-Match': ETAG }],
    status: 412,
  },
  {
    name: '304 before a range',
    send: ['GET', `/o/${A}`, { 'If-None-Match': ETAG, Range: 'bytes=0-1' }],
    status: 304,
  },
  {
    name: 'a range',
    send: ['GET', `/o/${A}`, { Range: 'bytes=10-19' }],
    status: 206,
    headers: { ...ALWAYS_BLOB, 'content-range': 'bytes 10-19/200000', 'content-length': '10' },
  },
  {
    name: 'If-Range, strong same',
    send: ['GET', `/o/${A}`, { Range: 'bytes=0-1', 'If-Range': ETAG }],
    status: 206,
  },
  {
    name: 'If-Range, weak same',
    send: ['GET', `/o/${A}`, { Range: 'bytes=0-1', 'If-Range': `W/${ETAG}` }],
    status: 200,
  },
  {
    name: 'If-Range, other',
    send: ['GET', `/o/${A}`, { Range: 'bytes=0-1', 'If-Range': '"x"' }],
    status: 200,
  },
  {
    name: 'If-Range, a date',
    send: ['GET', `/o/${A}`, { Range: 'bytes=0-1', 'If-Range': 'Sat, 01 Jan 2028 00:00:00 GMT' }],
    status: 200,
  },
  {
    name: 'If-Range lets a bad range be ignored',
    send: ['GET', `/o/${A}`, { Range: 'bytes=900000-', 'If-Range': '"x"' }],
    status: 200,
  },
  {
    name: 'a range past the end',
    send: ['GET', `/o/${A}`, { Range: 'bytes=200000-' }],
    status: 416,
    headers: { 'content-range': 'bytes */200000' },
    error: 'RangeNotSatisfiable',
  },
  {
    name: 'ranges that touch are one',
    send: ['GET', `/o/${A}`, { Range: 'bytes=0-9, 10-19' }],
    status: 206,
    headers: { 'content-range': 'bytes 0-19/200000', 'content-length': '20' },
  },
  {
    name: 'ranges apart are ignored',
    send: ['GET', `/o/${A}`, { Range: 'bytes=0-9, 20-29' }],
    status: 200,
    headers: { ...ALWAYS_BLOB, 'content-length': '200000' },
  },
  {
    name: 'a thousand ranges are ignored',
    send: [
      'GET',
      `/o/${A}`,
      { Range: `bytes=${Array.from({ length: 1000 }, (_, i) => `${9 * i}-${9 * i}`)}` },
    ],
    status: 200,
    headers: { ...ALWAYS_BLOB, 'content-length': '200000' },
  },
  {
    name: 'HEAD ignores a range',
    send: ['HEAD', `/o/${A}`, { Range: 'bytes=0-1' }],
    status: 200,
    headers: { 'content-length': '200000' },
  },
  { name: 'HEAD of nothing', send: ['HEAD', `/o/${ABSENT}`], status: 404, body: '' },
  // Blobs: writing.
  {
    name: 'PUT without a token',
    send: ['PUT', `/o/${HELLO}`, {}, hello],
    status: 401,
    headers: { 'www-authenticate': 'Bearer' },
    error: 'Unauthorized',
  },
  {
    name: 'PUT with a wrong token',
    send: ['PUT', `/o/${HELLO}`, { Authorization: 'Bearer not-a-token-of-ours' }, hello],
    status: 401,
    error: 'Unauthorized',
  },
  {
    name: 'PUT with another kind of credentials',
    send: ['PUT', `/o/${HELLO}`, { Authorization: 'Basic YTpi' }, hello],
    status: 401,
  },
  {
    name: 'GET with a wrong token',
    send: ['GET', `/o/${A}`, { Authorization: 'Bearer not-a-token-of-ours' }],
    status: 401,
  },
  {
    name: 'PUT beyond the scopes',
    send: ['PUT', `/o/${HELLO}`, { Authorization: bearer('reader') }, hello],
    status: 403,
    error: 'Forbidden',
  },
  { name: 'PUT of other bytes', send: ['PUT', `/o/${OTHER}`, w, hello], status: 409, error: 'HashMismatch' },
  { name: 'what was refused is not there', send: ['GET', `/o/${OTHER}`], status: 404 },
  {
    name: 'PUT If-Match of nothing',
    send: ['PUT', `/o/${HELLO}`, { ...w, 'If-Match': '*' }, hello],
    status: 412,
    error: 'PreconditionFailed',
  },
  {
    name: 'PUT',
    send: ['PUT', `/o/${HELLO}`, { ...w, 'If-None-Match': '*' }, hello],
    status: 201,
    headers: { etag: `"${HELLO}"`, location: `/o/${HELLO}` },
  },
  { name: 'PUT again', send: ['PUT', `/o/${HELLO}`, w, hello], status: 200, headers: { etag: `"${HELLO}"` } },
  { name: 'PUT of other bytes over it', send: ['PUT', `/o/${HELLO}`, w, 'nonsense'], status: 409 },
  {
    name: 'PUT If-None-Match over it',
    send: ['PUT', `/o/${HELLO}`, { ...w, 'If-None-Match': '*' }, hello],
    status: 412,
  },
  { name: 'what was put is there', send: ['GET', `/o/${HELLO}`], status: 200, body: hello },
  { name: 'PUT to a malformed address', send: ['PUT', '/o/b3:12', w, hello], status: 400 },
  {
    name: 'PUT with an unknown coding',
    send: ['PUT', `/o/${HELLO}`, { ...w, 'Content-Encoding': 'br' }, hello],
    status: 415,
    headers: { 'accept-encoding': 'gzip, zstd' },
    error: 'UnsupportedMediaType',
  },
  {
    name: 'PUT of no gzip',
    send: ['PUT', `/o/${HELLO}`, { ...w, 'Content-Encoding': 'gzip' }, hello],
    status: 400,
    error: 'BadRequest',
  },
  {
    name: 'PUT of no zstd',
    send: ['PUT', `/o/${HELLO}`, { ...w, 'Content-Encoding': 'zstd' }, hello],
    status: 400,
    error: 'BadRequest',
  },
  {
    name: 'POST',
    send: ['POST', '/o', w, 'posted'],
    status: 201,
    headers: { ...JSON_TYPE, location: `/o/${addressFor(Buffer.from('posted'))}` },
  },
  { name: 'POST again', send: ['POST', '/o', w, 'posted'], status: 200 },
  { name: 'POST of nothing at all', send: ['POST', '/o', w], status: 201 },
  { name: 'POST without a token', send: ['POST', '/o', {}, 'posted'], status: 401 },
  { name: 'DELETE beyond the scopes', send: ['DELETE', `/o/${HELLO}`, w], status: 403 },
  {
    name: 'DELETE If-Match of other',
    send: ['DELETE', `/o/${HELLO}`, { ...k, 'If-Match': '"x"' }],
    status: 412,
  },
  { name: 'DELETE', send: ['DELETE', `/o/${HELLO}`, k], status: 204, body: '' },
  { name: 'DELETE again', send: ['DELETE', `/o/${HELLO}`, k], status: 204 },
  {
    name: 'DELETE If-Match of nothing',
    send: ['DELETE', `/o/${HELLO}`, { ...k, 'If-Match': '*' }],
    status: 412,
  },
  { name: 'what was deleted is gone', send: ['GET', `/o/${HELLO}`], status: 404 },
  { name: 'a GET with a body', send: ['GET', `/o/${A}`, {}, 'body'], status: 400, error: 'BadRequest' },
  // Listings.
  {
    name: 'list',
    send: ['GET', `/o?prefix=${A.slice(3, 11)}`],
    status: 200,
    headers: JSON_TYPE,
    body: `{"addresses":["${A}"]}\n`,
  },
  { name: 'list with a malformed prefix', send: ['GET', '/o?prefix=XY'], status: 400 },
  { name: 'list with a limit of none', send: ['GET', '/o?limit=0'], status: 400 },
  { name: 'list with a limit of too many', send: ['GET', '/o?limit=10001'], status: 400 },
  { name: 'list after nonsense', send: ['GET', '/o?after=b3:12'], status: 400 },
  // Slots.
  { name: 'GET of an unwritten slot', send: ['GET', `/slots/${SLOT}`], status: 404, error: 'NotFound' },
  { name: 'GET of what is no slot', send: ['GET', '/slots/abc'], status: 400 },
  {
    name: 'PUT of a slot unconditionally',
    send: ['PUT', `/slots/${SLOT}`, w, 'one'],
    status: 428,
    error: 'PreconditionRequired',
  },
  {
    name: 'PUT of a slot that should be there',
    send: ['PUT', `/slots/${SLOT}`, { ...w, 'If-Match': '"1.00"' }, 'one'],
    status: 412,
    error: 'Conflict',
  },
  {
    name: 'PUT of a slot without a token',
    send: ['PUT', `/slots/${SLOT}`, { 'If-None-Match': '*' }, 'one'],
    status: 401,
  },
  {
    name: 'PUT of a slot over 64 KiB',
    send: ['PUT', `/slots/${SLOT}`, { ...w, 'If-None-Match': '*' }, 'x'.repeat(65_537)],
    status: 413,
    error: 'PayloadTooLarge',
  },
  {
    name: 'PUT of a slot',
    send: ['PUT', `/slots/${SLOT}`, { ...w, 'If-None-Match': '*' }, 'one'],
    status: 201,
  },
  {
    name: 'PUT of a slot that is there',
    send: ['PUT', `/slots/${SLOT}`, { ...w, 'If-None-Match': '*' }, 'two'],
    status: 412,
  },
  {
    name: 'GET of a slot',
    send: ['GET', `/slots/${SLOT}`],
    status: 200,
    headers: { 'cache-control': 'no-cache' },
    body: 'one',
  },
  { name: 'list of slots', send: ['GET', '/slots'], status: 200, body: `{"names":["${SLOT}"]}\n` },
  { name: 'DELETE of a slot beyond the scopes', send: ['DELETE', `/slots/${SLOT}`, w], status: 403 },
  { name: 'DELETE of a slot', send: ['DELETE', `/slots/${SLOT}`, k], status: 204 },
  { name: 'the slot is gone', send: ['GET', `/slots/${SLOT}`], status: 404 },
  // The node itself.
  {
    name: 'healthz',
    send: ['GET', '/healthz'],
    status: 200,
    headers: { ...JSON_TYPE, 'cache-control': 'no-store' },
    body: '{"status":"ok"}\n',
  },
  {
    name: 'readyz',
    send: ['GET', '/readyz'],
    status: 200,
    body: `${JSON.stringify({
      ...{ reads: true, writes: true, reasons: [], shut: [] },
      gates: [
        { gate: 'engine', needs: [], reasons: [], open: true },
        { gate: 'backends', needs: ['engine'], reasons: [], open: true },
        { gate: 'room', needs: ['backends'], reasons: [], open: true },
        { gate: 'reads', needs: ['engine'], reasons: [], open: true },
        { gate: 'writes', needs: ['room', 'reads'], reasons: [], open: true },
      ],
    })}\n`,
  },
  { name: 'readyz of reads', send: ['GET', '/readyz?plane=read'], status: 200 },
  {
    name: 'metrics',
    send: ['GET', '/metrics'],
    status: 200,
    headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
  },
  { name: 'version', send: ['GET', '/version'], status: 200, headers: JSON_TYPE },
  { name: 'repair beyond the scopes', send: ['POST', '/admin/repair', k], status: 403 },
  { name: 'repair', send: ['POST', '/admin/repair', a], status: 200, headers: JSON_TYPE },
  { name: 'GET of repair', send: ['GET', '/admin/repair', a], status: 405, headers: { allow: 'POST' } },
  {
    name: 'a method that is not for blobs',
    send: ['PATCH', `/o/${A}`],
    status: 405,
    headers: { allow: 'GET, HEAD, PUT, DELETE' },
    error: 'MethodNotAllowed',
  },
  { name: 'OPTIONS', send: ['OPTIONS', '/o'], status: 405, headers: { allow: 'GET, HEAD, POST' } },
  { name: 'TRACE', send: ['TRACE', '/healthz'], status: 405 },
  { name: 'a path that is none', send: ['GET', '/nothing'], status: 404 },
  { name: 'a path below an address', send: ['GET', `/o/${A}/x`], status: 404 },
  { name: 'the root', send: ['GET', '/'], status: 404 },
];
