import { gzipSync } from 'node:zlib';
import { type Case, raw, type Target } from './cases.ts';

export function ranges({ read }: Target): Case[] {
  const odd = [
    'bytes=0-',
    'bytes=-1',
    'bytes=-0',
    'bytes=0-0',
    'bytes=9999999999-',
    'bytes=5-1',
    'bytes=-',
    'bytes=',
    'bytes',
    '=0-1',
    'bytes =0-1',
    'bytes=0 - 1',
    'bytes=a-b',
    'bytes=0-1,',
    'bytes=,0-1',
    'bytes=,',
    'bytes=0-1,3-4',
    'bytes=0-1,1-2,2-3',
    'octets=0-1',
    'BYTES=0-1',
    'bytes=00000000000000000000-1',
    'bytes=0-99999999999999999999',
    'bytes=-99999999999999999999',
    'bytes=9007199254740993-',
    'bytes=1.5-2',
    'bytes=0x0-0x1',
    'bytes=--1',
    'bytes=1--1',
    'bytes=0-1-2',
    'bytes=٠-١',
    `bytes=${Array(1000).fill('0-0').join()}`,
    `bytes=${Array.from({ length: 60 }, (_, i) => `${4 * i}-${4 * i}`).join()}`,
    `bytes=${'0'.repeat(5000)}-`,
    `bytes=${'-'.repeat(5000)}`,
  ];
  return odd.map((range) => ({
    name: `range ${range.slice(0, 40)}`,
    bytes: Buffer.from(raw(`GET ${read}`, `Range: ${range}\r\n`), 'utf8'),
    status: [200, 206, 416],
  }));
}

export function hostsAndPages({ read }: Target): Case[] {
  const asks = (headers: string): string => `GET ${read} HTTP/1.1\r\n${headers}\r\n`;
  const foreign = [
    'evil.example',
    'evil.example:80',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'localhost@evil.example',
    'evil.example#localhost',
    '203.0.113.7',
    '0.0.0.0',
    '[::]',
    '2130706433',
    '0177.0.0.1',
    '127.1',
    'localhost/',
    'localhost:x',
    'localhost:',
    '*',
    'localhost evil.example',
    'xn--lcalhost-54a',
  ];
  const pages = [
    'Origin: http://evil.example',
    'Origin: null',
    'Origin: ',
    'Origin: http://localhost:1',
    'Origin: file://',
    'Origin: http://localhost@evil.example',
    'Sec-Fetch-Site: cross-site',
    'Sec-Fetch-Site: same-site',
    'Sec-Fetch-Site: x',
    'Sec-Fetch-Site: same-origin\r\nOrigin: http://evil.example',
  ];
  const own = [
    'localhost',
    'LOCALHOST:1',
    'localhost.',
    'a.localhost',
    '127.0.0.1',
    '127.9.9.9:65535',
    '[::1]',
  ];
  return [
    ...foreign.map((host) => ({ name: `host ${host}`, bytes: asks(`Host: ${host}\r\n`), status: [421] })),
    ...pages.map((field) => ({
      name: `page ${field.replace('\r\n', ', ')}`,
      bytes: asks(`Host: localhost\r\n${field}\r\n`),
      status: [403],
    })),
    ...own.map((host) => ({ name: `host ${host}`, bytes: asks(`Host: ${host}\r\n`), status: [200] })),
    { name: 'a foreign host in the target', bytes: raw(`GET http://evil.example${read}`, ''), status: [421] },
    { name: 'no host', bytes: asks(''), status: [400] },
    { name: 'two hosts', bytes: asks('Host: localhost\r\nHost: evil.example\r\n'), status: [400] },
    { name: 'an empty host', bytes: asks('Host:\r\n'), status: [421] },
  ];
}

export function methods({ read }: Target): Case[] {
  const known = [
    'OPTIONS',
    'TRACE',
    'PATCH',
    'PROPFIND',
    'PROPPATCH',
    'MKCOL',
    'COPY',
    'MOVE',
    'LOCK',
    'UNLOCK',
    'SEARCH',
    'PURGE',
    'LINK',
    'REPORT',
    'M-SEARCH',
    'QUERY',
  ];
  const none = ['get', 'Get', 'GETX', 'G', 'BREW', 'GET\t', 'G\x00T', '<script>', '-', 'GET GET'];
  const lines = [
    'GET',
    'GET ',
    'GET /healthz',
    'GET /healthz HTTP',
    'GET /healthz HTTP/',
    'GET /healthz HTTP/1',
    'GET /healthz HTTP/1.2.3',
    'GET /healthz HTTP/2.0',
    'GET /healthz HTTP/0.9',
    'GET /healthz HTTP/1.1 x',
    'GET /healthz HTTP/11.1',
    'GET /healthz http/1.1',
    'GET /healthz HTTPS/1.1',
  ];
  return [
    ...known.map((method) => ({ name: method, bytes: raw(`${method} ${read}`, ''), status: [400, 405] })),
    ...none.map((method) => ({
      name: `method ${JSON.stringify(method)}`,
      bytes: raw(`${method} ${read}`, ''),
      status: [400],
    })),
    // Lenient, and nothing hides in it.
    {
      name: 'two spaces before the target',
      bytes: 'GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n',
      status: [200],
    },
    ...lines.map((line) => ({
      name: `line ${line}`,
      bytes: `${line}\r\nHost: localhost\r\n\r\n`,
      status: [400, 505],
      end: true,
    })),
  ];
}

export function targets(): Case[] {
  const odd = [
    '/..',
    '/../..',
    '/./healthz',
    '//healthz',
    '/healthz/',
    '/healthz/..',
    '/healthz%00',
    '/%68ealthz',
    '/healthz;x',
    '/healthz\\',
    '/o/../../etc/passwd',
    '/o/%2e%2e/%2e%2e/etc/passwd',
    '/o/..%2f..%2fetc%2fpasswd',
    '/o/%c0%ae%c0%ae',
    '/o/b3:',
    '/o/b3:0',
    `/o/b3:${'g'.repeat(64)}`,
    `/o/b3:${'0'.repeat(65)}`,
    `/o/B3:${'0'.repeat(64)}`,
    '/o/sha256:0',
    '/slots/',
    '/slots/../o',
    '/slots/x',
    '/slots/__proto__',
    '/constructor',
    '/__proto__',
    '/toString',
    '/admin',
    '/admin/repair',
    '/metrics/x',
    '*',
    '?',
    '#',
    'healthz',
    'localhost:80',
    'file:///etc/passwd',
    'http://',
    'http:///healthz',
    'http://localhost',
    '/?a=%',
    '/o?limit=-1',
    '/o?limit=1e9',
    '/o?limit=NaN',
    '/o?after=../x',
    '/o?prefix=zz',
    `/o?${'a=b&'.repeat(600)}`,
    '/readyz?plane=__proto__',
    '/healthz?x=<script>',
    '/healthz\x7f',
    '/\xff\xfe',
  ];
  return odd.map((target) => ({
    name: `target ${JSON.stringify(target.slice(0, 40))}`,
    bytes: Buffer.from(raw(`GET ${target}`, ''), 'latin1'),
    status: [200, 400, 404, 405, 421],
  }));
}

export function fields({ read }: Target): Case[] {
  const asks = (headers: string): string => raw(`GET ${read}`, headers);
  const tags = Array.from({ length: 2000 }, (_, i) => `"${i}"`).join();
  return [
    ...[
      'Bearer',
      'Bearer ',
      'Bearer \x01',
      `Bearer ${'x'.repeat(8000)}`,
      'Basic Og==',
      'Bearer a b',
      'bearer x',
      'Negotiate x',
    ].map((value) => ({
      name: `authorization ${JSON.stringify(value.slice(0, 20))}`,
      bytes: asks(`Authorization: ${value}\r\n`),
      status: [400, 401],
    })),
    ...['200-ok', '100-continue, x', '', '100-continue'].map((value) => ({
      name: `expect ${value}`,
      bytes: asks(`Expect: ${value}\r\n`),
      status: [200, 400],
      answers: 2,
    })),
    ...['a\rb', 'a\x00b', 'x'.repeat(200), '../../x', '<script>', '"'].map((value) => ({
      name: `corr id ${JSON.stringify(value.slice(0, 20))}`,
      bytes: asks(`X-Corr-ID: ${value}\r\n`),
      status: [200, 400],
    })),
    { name: '2000 tags', bytes: asks(`If-None-Match: ${tags}\r\n`), status: [200] },
    { name: 'a tag without end', bytes: asks(`If-Match: "${'x'.repeat(8000)}\r\n`), status: [412] },
    { name: 'commas for tags', bytes: asks(`If-None-Match: ${','.repeat(8000)}\r\n`), status: [200] },
    {
      name: 'an upgrade',
      bytes: asks('Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n'),
      status: [200],
    },
    {
      name: 'an upgrade to HTTP/2',
      bytes: asks('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n'),
      status: [200],
    },
    {
      name: 'a connection of many words',
      bytes: asks(`Connection: ${'x,'.repeat(4000)}\r\n`),
      status: [200],
    },
    { name: 'TE', bytes: asks('TE: trailers, chunked\r\n'), status: [200] },
    {
      name: 'forwarded',
      bytes: asks('X-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\nX-Forwarded-Host: evil.example\r\n'),
      status: [200],
    },
    { name: 'another method by header', bytes: asks('X-HTTP-Method-Override: DELETE\r\n'), status: [200] },
  ];
}

/** Bodies in codings that are not what they say; for a node. */
export function encodings({ post }: Target): Case[] {
  const send = (coding: string, body: Buffer, stated = body.length): Buffer =>
    Buffer.concat([
      Buffer.from(raw(`POST ${post}`, `Content-Encoding: ${coding}\r\nContent-Length: ${stated}\r\n`)),
      body,
    ]);
  const gzip = gzipSync(Buffer.from('hello'));
  const zstd = Buffer.from('28b52ffd', 'hex');
  return [
    ...['br', 'deflate', 'compress', 'gzip, gzip', 'gzip,', 'x', 'GZIP2', 'identity, gzip', '*'].map(
      (coding) => ({
        name: `coding ${coding}`,
        bytes: send(coding, gzip),
        status: [415],
      }),
    ),
    { name: 'a bomb', bytes: send('gzip', gzipSync(Buffer.alloc(5_000_000))), status: [413] },
    { name: 'gzip cut short', bytes: send('gzip', gzip.subarray(0, 12)), status: [400] },
    {
      name: 'gzip with a wrong sum',
      bytes: send('gzip', Buffer.concat([gzip.subarray(0, -8), Buffer.alloc(8)])),
      status: [400],
    },
    { name: 'zeros for gzip', bytes: send('gzip', Buffer.alloc(1000)), status: [400] },
    { name: 'nothing for gzip', bytes: send('gzip', Buffer.alloc(0)), status: [400, 201, 200] },
    { name: 'zeros for zstd', bytes: send('zstd', Buffer.alloc(1000)), status: [400] },
    {
      name: 'a zstd frame that promises 2^62',
      bytes: send('zstd', Buffer.concat([zstd, Buffer.from('e0ffffffffffffff3f', 'hex')])),
      status: [400, 413],
    },
    {
      name: 'a zstd window of 2^41',
      bytes: send('zstd', Buffer.concat([zstd, Buffer.from('00f8010000', 'hex')])),
      status: [400, 413],
    },
    { name: 'a body over every cap', bytes: send('identity', Buffer.alloc(10), 2 ** 50), status: [413] },
  ];
}
