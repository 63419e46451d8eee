import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { ROUTES } from '../../src/gateway/routes/index.ts';
import { requestText, sendRaw } from '../node/harness.ts';
import { ADMIN, bearer, startGateway, WRITER } from './harness.ts';
import { BYTES, bodyOf, headersOf, NAME, ROWS, type Row, targetOf } from './route-table.ts';

interface Json {
  readonly [key: string]: Json;
}

const FILE = fileURLToPath(new URL('../../docs/api/gateway.openapi.yaml', import.meta.url));
const document = parse(await readFile(FILE, 'utf8')) as Json;
const ajv = new Ajv2020({ strict: false, schemas: [{ $id: 'doc', ...document }] });

/** The part of the document that a reference names, and where it stands. */
function resolve(value: Json, pointer: string): [Json, string] {
  const target: unknown = value.$ref;
  if (typeof target !== 'string') return [value, pointer];
  const part = target
    .slice(2)
    .split('/')
    .reduce((inner, step) => inner[step]!, document);
  return resolve(part, target);
}

const escaped = (step: string): string => step.replaceAll('~', '~0').replaceAll('/', '~1');

it('the document is valid OpenAPI', async () => {
  expect(await new Validator().validate(structuredClone(document) as never)).toMatchObject({ valid: true });
});

it('the document has every path and method of the gateway, and no other', () => {
  const documented = Object.entries(document.paths!).flatMap(([path, item]) =>
    ['get', 'put', 'post', 'delete']
      .filter((method) => method in item)
      .map((method) => `${method.toUpperCase()} ${path}`),
  );
  const served = ROUTES.flatMap(({ pattern, methods }) =>
    Object.keys(methods)
      .filter((method) => method !== 'HEAD')
      .map((method) => `${method} ${pattern}`),
  );
  expect(documented.sort()).toEqual(served.sort());
});

const rpc = { ...bearer(ADMIN), 'content-type': 'application/json' };
const READ = ['/m/M', '/n/empty', '/blob/M', '/wasm/M', '/o/M', '/manifests/M'];
/** What the table of routes leaves out, so that every operation is seen with its usual answers. */
const MORE: readonly Row[] = [
  ...READ.flatMap((path): Row[] => [
    ['unknown', 'GET', path, bearer('not-a-token-of-ours'), 401],
    ['powerless', 'GET', path, bearer(WRITER), 403],
    ['the same', 'GET', path, { 'if-none-match': '*' }, 304],
    ['another', 'GET', path, { 'if-match': '"x"' }, 412],
    ['past the end', 'GET', path, { range: 'bytes=9000000-' }, 416],
  ]),
  ...READ.filter((path) => path.endsWith('/M')).flatMap((path): Row[] => [
    ['a part', 'GET', path, { range: 'bytes=0-9' }, 206],
    ['absent', 'GET', path.replace('M', `b3:${'0'.repeat(64)}`), {}, 404],
    ['no address', 'GET', path.replace('M', 'b3:1'), {}, 400],
  ]),
  ...['/storage/manifests', '/storage/providers', '/metrics', '/version'].flatMap((path): Row[] => [
    ['unknown', 'GET', path, bearer('not-a-token-of-ours'), 401],
    ['powerless', 'GET', path, bearer(WRITER), 403],
  ]),
  ...['/storage/providers', '/healthz', '/readyz', '/metrics', '/version'].map(
    (path): Row => ['a body', 'GET', path, { ...bearer(ADMIN), 'content-length': '1' }, 400],
  ),
  ['powerless', 'POST', '/rpc', { ...bearer(WRITER) }, 403],
];
const BODIES: readonly (readonly [body: string, status: number])[] = [
  ['{"jsonrpc":"2.0","method":"storage.manifests","id":1}', 200],
  ['{"jsonrpc":"2.0","method":"storage.repair_run","id":1}', 200],
  ['[{"jsonrpc":"2.0","method":"storage.providers","id":"a"},3]', 200],
  ['{"jsonrpc":"2.0","method":"storage.providers"}', 204],
  ['\u00ff', 400],
];

/** Seen where they are provoked: slow clients, overload, damage and vanished providers. */
const ELSEWHERE: ReadonlySet<string> = new Set(['408', '429', '500', '503']);

it('every answer of a running gateway is as documented, and every documented answer is given', async () => {
  const { port, put } = await startGateway();
  const letters = {
    M: await put(BYTES, { name: NAME, contentType: 'image/png' }),
    U: await put(BYTES),
    E: await put(new Uint8Array(0), { name: 'empty' }),
  };
  const seen = new Set<string>();
  const check = async (what: string, request: [string, string, object, string], status: number) => {
    const [method, target, headers, body] = request;
    const path = target.replace(/^http:\/\/[^/]*/, '').replace(/\?.*/, '');
    const route = ROUTES.find(({ match }) => match(path) !== undefined);
    if (route === undefined || !(method in route.methods)) return;
    const answer = await sendRaw(port, requestText(method, target, { ...headers }, body));
    expect(answer.status, what).toBe(status);
    const verb = method === 'HEAD' ? 'get' : method.toLowerCase();
    const at = `#/paths/${escaped(route.pattern)}/${verb}/responses/${answer.status}`;
    const described = document.paths![route.pattern]![verb]!.responses![answer.status];
    expect(described, `${what}: ${at} is not documented`).toBeDefined();
    seen.add(at);
    const [response, pointer] = resolve(described!, at);
    for (const [name, header] of Object.entries(response.headers ?? {})) {
      const [, where] = resolve(header, `${pointer}/headers/${escaped(name)}`);
      const value = answer.headers[name.toLowerCase()];
      expect(ajv.validate({ $ref: `doc${where}/schema` }, value), `${what}: ${name}: ${value}`).toBe(true);
    }
    if (method === 'HEAD' || response.content === undefined) {
      expect(answer.body.length, what).toBe(0);
      return;
    }
    const type = answer.headers['content-type']!.split(';')[0]!;
    const types = Object.keys(response.content);
    if (!types.includes('*/*')) expect(types, what).toContain(type);
    if (!types.includes('application/json')) return;
    const schema = { $ref: `doc${pointer}/content/${escaped(type)}/schema` };
    expect(ajv.validate(schema, JSON.parse(answer.body.toString())), `${what}: ${ajv.errorsText()}`).toBe(
      true,
    );
  };

  for (const [what, method, target, headers, status] of [...ROWS, ...MORE]) {
    const request = [
      method,
      targetOf(target, letters),
      headersOf(headers, letters),
      bodyOf(headers),
    ] as const;
    await check(`${what} ${target}`, [...request], status);
  }
  for (const [body, status] of BODIES) await check(body, ['POST', '/rpc', rpc, body], status);
  const documented = Object.entries(document.paths!).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([verb, operation]) =>
      Object.keys(operation.responses ?? {}).map(
        (status) => `#/paths/${escaped(path)}/${verb}/responses/${status}`,
      ),
    ),
  );
  expect(documented.filter((at) => !seen.has(at) && !ELSEWHERE.has(at.slice(-3)))).toEqual([]);
});
