import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { createAuthenticator, hashToken } from '../../src/http/auth/tokens.ts';
import { ROUTES } from '../../src/node/routes/index.ts';
import { bearer, requestText, sendRaw, startNode, tableOf, tokenOf } from './harness.ts';
import { A, BYTES, ROWS, type Row, SLOT } from './route-table.ts';

interface Json {
  readonly [key: string]: Json;
}

const FILE = fileURLToPath(new URL('../../docs/api/node.openapi.yaml', import.meta.url));
const document = parse(await readFile(FILE, 'utf8')) as Json;
const ajv = new Ajv2020({ strict: false, schemas: [{ $id: 'doc', ...document }] });

/** The part of the document that a reference names, and where it stands. */
function resolve(value: Json, pointer: string): [Json, string] {
  const target: unknown = value.$ref;
  if (typeof target !== 'string') return [value, pointer];
  const steps = target.slice(2).split('/');
  return resolve(
    steps.reduce((part, step) => part[step]!, document),
    target,
  );
}

const escaped = (step: string): string => step.replaceAll('~', '~0').replaceAll('/', '~1');

it('the document is valid OpenAPI', async () => {
  expect(await new Validator().validate(structuredClone(document) as never)).toMatchObject({ valid: true });
});

it('the document has every path and method of the node, and no other', () => {
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

/** What the table of routes leaves out, so that every operation is seen with its usual refusals. */
const a = { Authorization: bearer('admin') };
/** Stands for the entity tag of the answer before. */
const LAST_TAG = 'last-tag';
const none = { Authorization: `Bearer ${tokenOf('powerless')}` };
const wrong = { Authorization: 'Bearer not-a-token-of-ours' };
const MORE: readonly Row[] = [
  ...['/o', '/slots', '/metrics', '/version', `/o/${A}`, `/slots/${SLOT}`].flatMap((path): Row[] => [
    { name: `${path}, unknown`, send: ['GET', path, wrong], status: 401 },
    { name: `${path}, powerless`, send: ['GET', path, none], status: 403 },
  ]),
  ...(['PUT', 'DELETE'] as const).flatMap((method): Row[] => [
    { name: `${method}, unknown`, send: [method, `/o/${A}`, wrong], status: 401 },
    { name: `${method} slot, unknown`, send: [method, `/slots/${SLOT}`, wrong], status: 401 },
    { name: `${method} slot, powerless`, send: [method, `/slots/${SLOT}`, none], status: 403 },
    { name: `${method} of no address`, send: [method, '/o/b3:1', a], status: 400 },
    { name: `${method} of no slot`, send: [method, '/slots/1', a], status: 400 },
  ]),
  { name: 'POST, powerless', send: ['POST', '/o', none, 'x'], status: 403 },
  { name: 'POST of no gzip', send: ['POST', '/o', { ...a, 'Content-Encoding': 'gzip' }, 'x'], status: 400 },
  {
    name: 'POST, unknown coding',
    send: ['POST', '/o', { ...a, 'Content-Encoding': 'br' }, 'x'],
    status: 415,
  },
  {
    name: 'POST, too long',
    send: ['POST', '/o', { ...a, 'Content-Length': '99999999999', Expect: '100-continue' }],
    status: 413,
  },
  {
    name: 'PUT, too long',
    send: ['PUT', `/o/${A}`, { ...a, 'Content-Length': '99999999999', Expect: '100-continue' }],
    status: 413,
  },
  { name: 'HEAD, unknown', send: ['HEAD', `/o/${A}`, wrong], status: 401 },
  { name: 'HEAD, powerless', send: ['HEAD', `/o/${A}`, none], status: 403 },
  { name: 'HEAD of no address', send: ['HEAD', '/o/b3:1'], status: 400 },
  { name: 'HEAD, same', send: ['HEAD', `/o/${A}`, { 'If-None-Match': '*' }], status: 304 },
  { name: 'HEAD, other', send: ['HEAD', `/o/${A}`, { 'If-Match': '"x"' }], status: 412 },
  { name: 'slots, bad limit', send: ['GET', '/slots?limit=x'], status: 400 },
  { name: 'slot, made', send: ['PUT', `/slots/${SLOT}`, { ...a, 'If-None-Match': '*' }, 'one'], status: 201 },
  {
    name: 'slot, replaced',
    send: ['PUT', `/slots/${SLOT}`, { ...a, 'If-Match': LAST_TAG }, 'two'],
    status: 204,
  },
  { name: 'slot, same', send: ['GET', `/slots/${SLOT}`, { 'If-None-Match': '*' }], status: 304 },
  { name: 'slot, other', send: ['GET', `/slots/${SLOT}`, { 'If-Match': '"x"' }], status: 412 },
  {
    name: 'slot, unknown coding',
    send: ['PUT', `/slots/${SLOT}`, { ...a, 'If-Match': '"x"', 'Content-Encoding': 'br' }, 'x'],
    status: 415,
  },
  { name: 'repair, unknown', send: ['POST', '/admin/repair', wrong], status: 401 },
  { name: 'repair, bad limit', send: ['POST', '/admin/repair?limit=0', a], status: 400 },
  ...['/healthz', '/readyz', '/metrics', '/version'].map(
    (path): Row => ({ name: `${path} with a body`, send: ['GET', path, {}, 'x'], status: 400 }),
  ),
];

/** Seen where they are provoked: slow clients, overload, rot, full and closed storage. */
const ELSEWHERE: ReadonlySet<string> = new Set(['408', '429', '500', '501', '503', '507']);

it('every answer of a running node is as documented, and every documented answer is given', async () => {
  const { tokens, anonymous } = tableOf();
  const powerless = { name: 'powerless', scopes: new Set<never>(), sha256: hashToken(tokenOf('powerless')) };
  const table = { anonymous, tokens: [...tokens, powerless] };
  const node = await startNode({ auth: createAuthenticator(() => table) });
  await node.adapter.store(A, [BYTES]);
  const seen = new Set<string>();
  let lastTag = '';
  for (const row of [...ROWS, ...MORE]) {
    const [method, target, given, body] = row.send;
    const headers = given?.['If-Match'] === LAST_TAG ? { ...given, 'If-Match': lastTag } : given;
    const route = ROUTES.find(
      ({ match }) => match(target.replace(/^http:\/\/[^/]*/, '').replace(/\?.*/, '')) !== undefined,
    );
    if (route === undefined || !(method in route.methods)) continue;
    const answer = await sendRaw(node.port, requestText(method, target, headers, body));
    expect(answer.status, row.name).toBe(row.status);
    lastTag = answer.headers.etag ?? lastTag;
    const item = document.paths![route.pattern]!;
    const verb = method === 'HEAD' && !('head' in item) ? 'get' : method.toLowerCase();
    const at = `#/paths/${escaped(route.pattern)}/${verb}/responses/${answer.status}`;
    const described = item[verb]!.responses![answer.status];
    expect(described, `${row.name}: ${at} is not documented`).toBeDefined();
    seen.add(at);
    const [response, pointer] = resolve(described!, at);
    for (const [name, header] of Object.entries(response.headers ?? {})) {
      const [{ schema }, where] = resolve(header, `${pointer}/headers/${escaped(name)}`);
      expect(schema, where).toBeDefined();
      const value = answer.headers[name.toLowerCase()];
      expect(ajv.validate({ $ref: `doc${where}/schema` }, value), `${row.name}: ${name}: ${value}`).toBe(
        true,
      );
    }
    if (method === 'HEAD' || response.content === undefined) {
      expect(answer.body.length, row.name).toBe(0);
      continue;
    }
    const type = answer.headers['content-type']!.split(';')[0]!;
    expect(Object.keys(response.content), row.name).toContain(type);
    if (type !== 'application/json') continue;
    const schema = { $ref: `doc${pointer}/content/${escaped(type)}/schema` };
    expect(ajv.validate(schema, JSON.parse(answer.body.toString())), `${row.name}: ${ajv.errorsText()}`).toBe(
      true,
    );
  }
  const documented = Object.entries(document.paths!).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([verb, operation]) =>
      Object.keys(operation.responses ?? {}).map(
        (status) => `#/paths/${escaped(path)}/${verb}/responses/${status}`,
      ),
    ),
  );
  const unseen = documented.filter((at) => !seen.has(at) && !ELSEWHERE.has(at.slice(-3)));
  expect(unseen).toEqual([]);
});
