import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../src/core/clock.ts';
import type { TokenTable } from '../../src/http/auth.ts';
import { createAuthenticator } from '../../src/http/auth.ts';
import { watchTokenFile } from '../../src/http/token-file.ts';
import { createAuthority, hasOpenssl } from '../helpers/authority.ts';
import { addressFor, startNode, tokenOf } from './harness.ts';

const dir = await mkdtemp(join(tmpdir(), 'holdfast-planes-'));
afterAll(() => rm(dir, { recursive: true, force: true }));

function statusOf(send: typeof httpRequest, options: RequestOptions, body?: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = send({ agent: false, ...options }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer.statusCode ?? 0));
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

describe('a Unix socket', () => {
  const blob = 'over a socket';
  const put = (socketPath: string): Promise<number> =>
    statusOf(httpRequest, { socketPath, method: 'PUT', path: `/o/${addressFor(Buffer.from(blob))}` }, blob);

  it('is open to this user alone, who needs no token', async () => {
    const node = await startNode({ anonymous: [] });
    const path = join(dir, 'a.sock');
    await node.node.listen({ kind: 'unix', path });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await put(path)).toBe(201);
    expect((await fetch(`${node.url}/o`)).status).toBe(401);
    await node.node.close();
    expect(existsSync(path)).toBe(false);
  });

  it('left behind by a killed process is taken over', async () => {
    const path = join(dir, 'b.sock');
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script]);
    expect(existsSync(path)).toBe(true);
    const node = await startNode();
    await node.node.listen({ kind: 'unix', path });
    expect(await put(path)).toBe(201);
  });

  it('in use by another is left alone', async () => {
    const path = join(dir, 'c.sock');
    const other = createServer().listen(path);
    const node = await startNode();
    await expect(node.node.listen({ kind: 'unix', path })).rejects.toMatchObject({ code: 'listen_failed' });
    other.close();
  });
});

describe.skipIf(!hasOpenssl())('TLS', () => {
  it('serves over it; with a client authority only those that it signed get in, and need no token', async () => {
    const { ca, issue } = createAuthority(dir);
    const { cert, key } = issue('server');
    const own = issue('client');
    const node = await startNode({ anonymous: [] });
    const open = await node.node.listen({ kind: 'tcp', host: '127.0.0.1', port: 0, tls: { cert, key } });
    const mutual = await node.node.listen({
      kind: 'tcp',
      host: '127.0.0.1',
      port: 0,
      tls: { cert, key, clientCa: ca },
    });
    if (open.kind !== 'tcp' || mutual.kind !== 'tcp') throw new Error('not TCP');
    expect(open.url).toMatch(/^https:/);
    const at = (port: number, more: RequestOptions = {}): RequestOptions => ({
      host: '127.0.0.1',
      port,
      ca,
      path: '/o',
      ...more,
    });
    expect(await statusOf(httpsRequest, at(open.port, { path: '/healthz' }))).toBe(200);
    expect(await statusOf(httpsRequest, at(open.port))).toBe(401);
    expect(await statusOf(httpsRequest, at(mutual.port, { cert: own.cert, key: own.key }))).toBe(200);
    await expect(statusOf(httpsRequest, at(mutual.port, { path: '/healthz' }))).rejects.toThrow();
    await expect(
      statusOf(
        httpsRequest,
        at(open.port, { path: '/healthz', maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' }),
      ),
    ).rejects.toThrow();
    const plain = connect(open.port, '127.0.0.1');
    plain.write('GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n');
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      plain
        .on('data', (piece) => {
          text += piece;
        })
        .once('close', () => resolve(text))
        .on('error', () => {});
    });
    expect(answer).not.toContain('200');
  });
});

describe('a token file', () => {
  const parsed = async (text: string): Promise<TokenTable> => {
    const path = join(dir, 'read-once');
    await writeFile(path, text);
    const { table, stop } = await watchTokenFile({ path, clock, intervalMs: 60_000, onReload() {} });
    stop();
    return table();
  };

  it('says who may do what', async () => {
    const { tokens, anonymous } = await parsed(
      '# who\nwriter read,write a-token-of-some-length # trailing\n\nhashed admin sha256:' +
        'ab'.repeat(32) +
        '\nanonymous read\n',
    );
    expect(tokens.map(({ name, scopes }) => [name, [...scopes]])).toEqual([
      ['writer', ['read', 'write']],
      ['hashed', ['admin']],
    ]);
    expect([...anonymous]).toEqual(['read']);
    expect([...(await parsed('')).anonymous]).toEqual([]);
  });

  it.each([
    ['writer read,fly a-token-of-some-length', 'scopes'],
    ['writer read', 'expected'],
    ['writer read short', 'at least'],
    ['writer read a-token-of-söme-length', 'can send'],
    ['writer read sha256:xyz', '64'],
    ['a read a-token-of-some-length more', 'expected'],
    ['anonymous read a-token-of-some-length', 'expected'],
  ])('is refused with its line, never its token: %s', async (line, words) => {
    const error: unknown = await parsed(`# one\n${line}\n`).catch((reason) => reason);
    expect(error).toMatchObject({ kind: 'ConfigInvalid', context: { line: 2 } });
    expect(String(error)).toContain(words);
    expect(String(error)).not.toContain('a-token');
  });

  it('is followed as it changes, and a bad one changes nothing', async () => {
    const path = join(dir, 'tokens');
    /** At once: whoever looked between the emptying and the writing of a file would find one without tokens. */
    const replace = async (text: string): Promise<void> => {
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
    };
    await replace(`one read ${tokenOf('one')}\n`);
    const reloads: string[] = [];
    const waiting: (() => void)[] = [];
    const watched = await watchTokenFile({
      path,
      clock,
      intervalMs: 5,
      onReload: (outcome) => {
        reloads.push('error' in outcome ? outcome.error.code : `${outcome.tokens}`);
        waiting.shift()?.();
      },
    });
    const reloaded = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
    const auth = createAuthenticator(watched.table);
    const who = (name: string): string =>
      auth.authenticate(`Bearer ${tokenOf(name)}`, { private: false, kind: 'tcp', host: 'localhost' }).name;
    expect(who('one')).toBe('one');
    expect(() => who('two')).toThrow();
    let next = reloaded();
    await replace(`two read ${tokenOf('two')}\nthree read ${tokenOf('three')}\n`);
    await next;
    expect(who('two')).toBe('two');
    expect(() => who('one')).toThrow();
    next = reloaded();
    await replace('rubbish\n');
    await next;
    expect(who('two')).toBe('two');
    next = reloaded();
    await replace(`one read ${tokenOf('one')}\n`);
    await next;
    expect(who('one')).toBe('one');
    watched.stop();
    expect(reloads).toEqual(['2', 'bad_token_file', '1']);
  });

  it('that cannot be read at first is an error', async () => {
    await expect(
      watchTokenFile({ path: join(dir, 'none'), clock, intervalMs: 5, onReload() {} }),
    ).rejects.toMatchObject({ code: 'bad_token_file' });
  });
});
