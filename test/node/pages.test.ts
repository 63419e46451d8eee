import { describe, expect, it } from 'vitest';
import type { NodeOptions } from '../../src/node/node.ts';
import { addressFor, bearer, requestText, sendRaw, startNode } from './harness.ts';

const A = addressFor(Buffer.from('hello'));
type Headers = Readonly<Record<string, string>>;

async function asks(options: Partial<NodeOptions> = {}) {
  const node = await startNode({
    allowedHosts: ['files.lan', '*.example.org'],
    anonymous: ['read', 'write'],
    ...options,
  });
  await node.adapter.store(A, [Buffer.from('hello')]);
  return async (headers: Headers, method = 'GET', target = `/o/${A}`): Promise<number> => {
    const answer = await sendRaw(
      node.port,
      requestText(method, target, headers, method === 'POST' ? 'x' : ''),
    );
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
    if (answer.status >= 400) expect(Object.keys(JSON.parse(answer.body.toString()))).toContain('error');
    return answer.status;
  };
}

describe('a node that this machine alone reaches', () => {
  it.each([
    ['localhost', 200],
    ['localhost:7700', 200],
    ['LOCALHOST.', 200],
    ['api.localhost', 200],
    ['127.0.0.1', 200],
    ['127.1.2.3:80', 200],
    ['[::1]:7700', 200],
    ['files.lan', 200],
    ['files.lan:8443', 200],
    ['a.example.org', 200],
    ['example.org', 421],
    ['evil.example', 421],
    ['evil.example:7700', 421],
    ['localhost.evil.example', 421],
    ['127.0.0.1.evil.example', 421],
    ['notlocalhost', 421],
    ['evil.example#localhost', 421],
    ['localhost@evil.example', 421],
    ['203.0.113.7', 421],
    ['0.0.0.0', 421],
    ['[::]', 421],
    ['', 421],
    ['local host', 421],
    ['localhost,evil.example', 421],
  ])('is called %j: %d', async (Host, status) => {
    const ask = await asks();
    expect(await ask({ Host })).toBe(status);
    expect(await ask({ Host }, 'POST', '/o')).toBe(status === 200 ? 201 : status);
    expect(await ask({ Host }, 'GET', '/healthz')).toBe(status);
    // A page has no token.
    expect(await ask({ Host, Authorization: bearer('reader') })).toBe(200);
  });

  it('takes the host of a target in absolute form too', async () => {
    const ask = await asks();
    expect(await ask({ Host: 'localhost' }, 'GET', `http://evil.example/o/${A}`)).toBe(421);
    expect(await ask({ Host: 'localhost' }, 'GET', `http://localhost/o/${A}`)).toBe(200);
  });

  it.each<[Headers, number]>([
    [{ 'Sec-Fetch-Site': 'same-origin' }, 200],
    [{ 'Sec-Fetch-Site': 'none' }, 200],
    [{ 'Sec-Fetch-Site': 'cross-site' }, 403],
    [{ 'Sec-Fetch-Site': 'same-site' }, 403],
    [{ 'Sec-Fetch-Site': 'nonsense' }, 403],
    [{ Origin: 'http://localhost:7700' }, 200],
    [{ Origin: 'https://localhost:7700' }, 200],
    [{ Origin: 'https://files.lan' }, 200],
    [{ Origin: 'http://localhost:3000' }, 403],
    [{ Origin: 'http://evil.example' }, 403],
    [{ Origin: 'http://evil.example', 'Sec-Fetch-Site': 'same-origin' }, 403],
    [{ Origin: 'null' }, 403],
    [{ Origin: '' }, 403],
    [{ Origin: 'http://localhost:7700@evil.example' }, 403],
    [{ Origin: 'chrome-extension://abc' }, 403],
  ])('is asked by a page that says %j: %d', async (headers, status) => {
    const ask = await asks();
    const Host = 'localhost:7700';
    expect(await ask({ Host, ...headers })).toBe(status);
    expect(await ask({ Host, ...headers }, 'POST', '/o')).toBe(status === 200 ? 201 : status);
    // A browser shows certificates and passwords of itself.
    expect(await ask({ Host, Authorization: bearer('reader'), ...headers })).toBe(status);
  });

  it('sends what is stored as nothing that acts', async () => {
    const node = await startNode();
    await node.adapter.store(A, [Buffer.from('hello')]);
    const answer = await sendRaw(node.port, requestText('GET', `/o/${A}`));
    expect(answer.headers['content-security-policy']).toBe('sandbox');
  });
});
