import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bearer, requestText, sendRaw, startNode } from './harness.ts';

const AUTH = `Authorization: ${bearer('admin')}\r\n`;
const HIDDEN = 'GET /hidden-request HTTP/1.1\r\nHost: t\r\n\r\n';

/** Each must be answered with 400 and end the connection: whoever sent it may mean two things at once. */
const REQUESTS: Readonly<Record<string, string>> = {
  'a length and a transfer coding': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  'a transfer coding and a length': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${HIDDEN}`,
  'two equal lengths': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody${HIDDEN}`,
  'two lengths': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Content-Length: 4\r\nContent-Length: 40\r\n\r\nbody${HIDDEN}`,
  'a list of lengths': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Content-Length: 4, 4\r\n\r\nbody${HIDDEN}`,
  'a signed length': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Content-Length: +4\r\n\r\nbody`,
  'a negative length': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Content-Length: -4\r\n\r\nbody`,
  'a hexadecimal length': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Content-Length: 0x4\r\n\r\nbody`,
  'an empty length': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Content-Length: \r\n\r\nbody`,
  'chunked and more': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${HIDDEN}`,
  'gzip and chunked': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  'chunked twice': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  'an unknown transfer coding': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  'a transfer coding in HTTP/1.0': `POST /o HTTP/1.0\r\nHost: t\r\n${AUTH}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  'a chunk ended by a bare LF': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Transfer-Encoding: chunked\r\n\r\n4\nbody\r\n0\r\n\r\n${HIDDEN}`,
  'a chunk of negative length': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Transfer-Encoding: chunked\r\n\r\n-4\r\nbody\r\n0\r\n\r\n${HIDDEN}`,
  'a chunk longer than it says': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Transfer-Encoding: chunked\r\n\r\n2\r\nbody\r\n0\r\n\r\n${HIDDEN}`,
  'a chunk length beyond counting': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nbody\r\n0\r\n\r\n`,
  'lines ended by a bare LF': 'GET /healthz HTTP/1.1\nHost: t\n\n',
  'one line ended by a bare LF': 'GET /healthz HTTP/1.1\r\nHost: t\nX: y\r\n\r\n',
  'a header ended by a bare LF': 'GET /healthz HTTP/1.1\r\nHost: t\r\n\n',
  'a bare CR in a header': 'GET /healthz HTTP/1.1\r\nHost: t\r\nX: a\rb: c\r\n\r\n',
  'a space before the colon': 'GET /healthz HTTP/1.1\r\nHost : t\r\n\r\n',
  'a space before a length': 'POST /o HTTP/1.1\r\nHost: t\r\nContent-Length : 4\r\n\r\nbody',
  'a folded line': 'GET /healthz HTTP/1.1\r\nHost: t\r\nX: a\r\n b\r\n\r\n',
  'a folded first line': 'GET /healthz HTTP/1.1\r\n Host: t\r\n\r\n',
  'NUL in a header': 'GET /healthz HTTP/1.1\r\nHost: t\r\nX: a\0b\r\n\r\n',
  'NUL in the target': 'GET /health\0z HTTP/1.1\r\nHost: t\r\n\r\n',
  'a control character in a name': 'GET /healthz HTTP/1.1\r\nHost: t\r\nX\x01: a\r\n\r\n',
  'no Host': 'GET /healthz HTTP/1.1\r\n\r\n',
  'two Hosts': 'GET /healthz HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n',
  'two Authorizations': `GET /healthz HTTP/1.1\r\nHost: t\r\n${AUTH}${AUTH}\r\n`,
  'two Ranges': 'GET /healthz HTTP/1.1\r\nHost: t\r\nRange: bytes=0-1\r\nRange: bytes=2-3\r\n\r\n',
  'a method in lower case': 'get /healthz HTTP/1.1\r\nHost: t\r\n\r\n',
  'a method that is none': 'GE(T /healthz HTTP/1.1\r\nHost: t\r\n\r\n',
  'a TLS hello': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'an overlong target': `GET /o?after=${'a'.repeat(3000)} HTTP/1.1\r\nHost: t\r\n\r\n`,
  'a target longer than any header': `GET /${'a'.repeat(100_000)} HTTP/1.1\r\nHost: t\r\n\r\n`,
  'a header too long': `GET /healthz HTTP/1.1\r\nHost: t\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`,
  'too many headers': `GET /healthz HTTP/1.1\r\nHost: t\r\n${'X: y\r\n'.repeat(10_000)}\r\n`,
  'more headers than Node counts, and then a length': `POST /o HTTP/1.1\r\nHost: t\r\n${AUTH}${'a:\r\n'.repeat(1100)}Content-Length: 5\r\n\r\nhello`,
  'a few headers too many': `GET /healthz HTTP/1.1\r\nHost: t\r\n${'a:\r\n'.repeat(128)}\r\n`,
  'an overlong UTF-8 dot': 'GET /o/\xc0\xae\xc0\xae/secret HTTP/1.1\r\nHost: t\r\n\r\n',
  'raw UTF-8': 'GET /o/\xc3\xa4 HTTP/1.1\r\nHost: t\r\n\r\n',
  CONNECT: 'CONNECT t:80 HTTP/1.1\r\nHost: t\r\n\r\n',
  'a target of nothing': 'GET  HTTP/1.1\r\nHost: t\r\n\r\n',
};

const TARGETS = [
  '/o/../secret',
  '/o/./secret',
  '/../secret',
  '//secret',
  '/o//secret',
  '/o/%2e%2e/secret',
  '/o/%2E%2E%2Fsecret',
  '/o/..%2fsecret',
  '/o/%252e%252e/secret',
  '/o/%00',
  '/o/b3:%30',
  '/o/%c0%ae%c0%ae/secret',
  '/o/..;/secret',
  '/o/..\\secret',
  '/o/\\..\\secret',
  '*',
  'secret',
  '../secret',
  '/o/b3:../../secret',
  'file:///etc/passwd',
  '/o#frag',
];

describe('a request that is not well formed', () => {
  it('is answered with 400 and ends the connection; what follows it is never served', async () => {
    const node = await startNode();
    for (const [name, request] of Object.entries(REQUESTS)) {
      const answer = await sendRaw(node.port, request);
      expect(answer.status, name).toBe(400);
      expect(answer.closed, name).toBe(true);
      expect(answer.headers.connection, name).toBe('close');
      expect(JSON.parse(answer.body.toString()), name).toMatchObject({ error: 'BadRequest' });
      expect(answer.raw.match(/HTTP\/1\.1 \d/g), name).toHaveLength(1);
    }
    expect(node.access.some(({ target }) => target.includes('hidden'))).toBe(false);
    expect((await sendRaw(node.port, requestText('GET', '/healthz'))).status).toBe(200);
  });

  it('never reaches a file outside the blobs', async () => {
    const node = await startNode();
    await writeFile(join(node.root, 'secret'), 'the secret');
    await writeFile(join(node.root, 'blobs', 'secret'), 'the secret');
    await mkdir(join(node.root, 'blobs', 'aa'), { recursive: true });
    await writeFile(join(node.root, 'blobs', 'aa', 'secret'), 'the secret');
    for (const target of TARGETS) {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const body = method === 'PUT' ? 'x' : '';
        const answer = await sendRaw(
          node.port,
          requestText(method, target, { Authorization: bearer('admin') }, body),
        );
        expect(answer.status, `${method} ${target}`).toBe(400);
        expect(answer.closed, target).toBe(true);
        expect(answer.raw).not.toContain('the secret');
      }
    }
  });

  it('of another version of HTTP is refused by its name', async () => {
    const node = await startNode();
    for (const line of ['GET /healthz HTTP/2.0', 'GET /healthz']) {
      const answer = await sendRaw(node.port, `${line}\r\nHost: t\r\n\r\n`);
      expect([400, 505], line).toContain(answer.status);
      expect(answer.closed).toBe(true);
    }
    const preface = await sendRaw(node.port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    expect([400, 505]).toContain(preface.status);
    expect(preface.closed).toBe(true);
  });

  it('counts, without the text of what was sent', async () => {
    const node = await startNode();
    await sendRaw(node.port, 'nonsense\r\n\r\n');
    expect(await node.metric('rejected_total')).toBe(1);
  });
});

describe('requests sent one behind the other', () => {
  it('are answered in order, each for itself', async () => {
    const node = await startNode();
    const answer = await sendRaw(
      node.port,
      requestText('GET', '/healthz') +
        requestText('GET', '/none') +
        requestText('GET', '/version', { Connection: 'close' }),
    );
    expect(answer.raw.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 404', 'HTTP/1.1 200']);
  });
});
