import { expect, it } from 'vitest';
import { createAuthenticator, hashToken } from '../../src/http/auth.ts';
import { ROUTES } from '../../src/node/node.ts';
import { openApiDocument } from '../helpers/openapi.ts';
import { bearer, requestText, sendRaw, startNode, tableOf, tokenOf } from './harness.ts';
import { A, BYTES, ROWS, type Row, SLOT } from './route-table.ts';

const document = await openApiDocument('node.openapi.yaml', ROUTES);

it('the document is valid OpenAPI', () => document.validate());

it('the document has every path and method of the node, and no other', () => document.expectRoutes());

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
  ...(['PUT', 'POST'] as const).flatMap((method): Row[] => {
    const name = `${method} /put`;
    const gzip = { ...a, 'Content-Encoding': 'gzip' };
    const long = { ...a, 'Content-Length': '99999999999', Expect: '100-continue' };
    return [
      { name: `${name}, unknown`, send: [method, '/put', wrong, 'x'], status: 401 },
      { name: `${name}, powerless`, send: [method, '/put', none, 'x'], status: 403 },
      { name, send: [method, '/put', a, `by ${method}`], status: 201 },
      { name: `${name} again`, send: [method, '/put', a, `by ${method}`], status: 200 },
      { name: `${name} of no gzip`, send: [method, '/put', gzip, 'x'], status: 400 },
      {
        name: `${name}, unknown coding`,
        send: [method, '/put', { ...a, 'Content-Encoding': 'br' }, 'x'],
        status: 415,
      },
      { name: `${name}, too long`, send: [method, '/put', long], status: 413 },
    ];
  }),
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
  ...['/healthz', '/readyz'].map(
    (path): Row => ({
      name: `${path}, from a page`,
      send: ['GET', path, { 'Sec-Fetch-Site': 'cross-site' }],
      status: 403,
    }),
  ),
  ...['/healthz', '/readyz', '/metrics', '/version'].map(
    (path): Row => ({ name: `${path} with a body`, send: ['GET', path, {}, 'x'], status: 400 }),
  ),
];

/** Seen where they are provoked: slow clients, overload, foreign hosts, rot, full and closed storage. */
const ELSEWHERE: ReadonlySet<string> = new Set(['408', '421', '429', '500', '501', '503', '507']);

it('every answer of a running node is as documented, and every documented answer is given', async () => {
  const { tokens, anonymous } = tableOf();
  const powerless = { name: 'powerless', scopes: new Set<never>(), sha256: hashToken(tokenOf('powerless')) };
  const table = { anonymous, tokens: [...tokens, powerless] };
  const node = await startNode({ auth: createAuthenticator(() => table) });
  await node.adapter.store(A, [BYTES]);
  let lastTag = '';
  for (const row of [...ROWS, ...MORE]) {
    const [method, target, given, body] = row.send;
    const headers = given?.['If-Match'] === LAST_TAG ? { ...given, 'If-Match': lastTag } : given;
    const route = document.routeOf(method, target);
    if (route === undefined) continue;
    const answer = await sendRaw(node.port, requestText(method, target, headers, body));
    expect(answer.status, row.name).toBe(row.status);
    lastTag = answer.headers.etag ?? lastTag;
    document.expectAnswer(row.name, method, route, answer);
  }
  document.expectAllSeen(ELSEWHERE);
});
