import { expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { ROUTES } from '../../src/gateway/gateway.ts';
import type { ReceiptDesk } from '../../src/receipts/desk.ts';
import type { FakeClock } from '../helpers/fake-clock.ts';
import { openApiDocument } from '../helpers/openapi.ts';
import { requestText, sendRaw } from '../node/harness.ts';
import { grantOf } from '../receipts/world.ts';
import { ADMIN, bearer, startGateway, WRITER } from './harness.ts';
import { POSTED, receiptGateway } from './receipt-rig.ts';
import { BYTES, bodyOf, headersOf, NAME, ROWS, type Row, targetOf } from './route-table.ts';

const document = await openApiDocument('gateway.openapi.yaml', ROUTES);

it('the document is valid OpenAPI', () => document.validate());

it('the document has every path and method of the gateway, and no other', () => document.expectRoutes());

const rpc = { ...bearer(ADMIN), 'content-type': 'application/json' };
const SOME = `b3:${'0'.repeat(64)}`;
const PAGE = ['/', '/web/explorer.js'];
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
  ...[
    '/storage/manifests',
    '/storage/providers',
    '/storage/repair-history',
    '/storage/status',
    '/storage/overview',
    '/storage/objects',
    '/storage/object?manifest=M',
    '/storage/shard-map?manifest=M',
    '/storage/checks',
    '/storage/settings',
    '/metrics',
    '/version',
  ].flatMap((path): Row[] => [
    ['unknown', 'GET', path, bearer('not-a-token-of-ours'), 401],
    ['powerless', 'GET', path, bearer(WRITER), 403],
  ]),
  ...[
    '/storage/providers',
    '/storage/status',
    '/storage/overview',
    '/healthz',
    '/readyz',
    '/metrics',
    '/version',
  ].map((path): Row => ['a body', 'GET', path, { ...bearer(ADMIN), 'content-length': '1' }, 400]),
  ...PAGE.flatMap((path): Row[] => [
    ['the page', 'GET', path, {}, 200],
    ['the same', 'GET', path, { 'if-none-match': '*' }, 304],
    ['another', 'GET', path, { 'if-match': '"x"' }, 412],
    ['a part', 'GET', path, { range: 'bytes=0-9' }, 206],
    ['past the end', 'GET', path, { range: 'bytes=9000000-' }, 416],
    ['a body', 'GET', path, { 'content-length': '1' }, 400],
    ['unknown', 'GET', path, bearer('not-a-token-of-ours'), 401],
    ['from a page', 'GET', path, { origin: 'http://evil.example' }, 403],
  ]),
  ['no such file', 'GET', '/web/..%2f', {}, 400],
  ['no such file', 'GET', '/web/package.json', {}, 404],
  ['the overview', 'GET', '/storage/overview', bearer(ADMIN), 200],
  ['objects', 'GET', '/storage/objects?limit=2', bearer(ADMIN), 200],
  ['checks', 'GET', '/storage/checks', bearer(ADMIN), 200],
  ['settings', 'GET', '/storage/settings', bearer(ADMIN), 200],
  ['a body', 'GET', '/storage/settings', { ...bearer(ADMIN), 'content-length': '1' }, 400],
  ['a body', 'GET', '/storage/checks', { ...bearer(ADMIN), 'content-length': '1' }, 400],
  ['objects by name', 'GET', '/storage/objects?name=maps%2F', bearer(ADMIN), 200],
  ['no objects', 'GET', '/storage/objects?most=-2', bearer(ADMIN), 400],
  ['no objects', 'GET', '/storage/objects?before=x', bearer(ADMIN), 400],
  ['no objects', 'GET', '/storage/objects?name=x&most=1', bearer(ADMIN), 400],
  ...['/storage/object', '/storage/shard-map'].flatMap((path): Row[] => [
    ['it', 'GET', `${path}?manifest=M`, bearer(ADMIN), 200],
    ['absent', 'GET', `${path}?manifest=${SOME}`, bearer(ADMIN), 404],
    ['no address', 'GET', `${path}?manifest=b3:1`, bearer(ADMIN), 400],
  ]),
  ['without one', 'GET', '/storage/shard-map?manifest=M&without=p1', bearer(ADMIN), 200],
  ['without a stranger', 'GET', '/storage/shard-map?manifest=M&without=p99', bearer(ADMIN), 404],
  ['from a page', 'GET', '/storage/overview', { origin: 'http://evil.example' }, 401],
  ...['/healthz', '/readyz'].map(
    (path): Row => ['from a page', 'GET', path, { origin: 'http://evil.example' }, 403],
  ),
  ['acknowledged', 'POST', '/receipts/acks', { ...POSTED, 'content-length': '3' }, 200],
  ['too long', 'POST', '/receipts/acks', { ...POSTED, 'content-length': '1048577' }, 413],
  ['of no type', 'POST', '/receipts/acks', {}, 415],
  ['no length', 'POST', '/receipts/acks', { ...POSTED, 'transfer-encoding': 'gzip' }, 400],
  ['unknown', 'POST', '/receipts/acks', bearer('not-a-token-of-ours'), 401],
  ['powerless', 'POST', '/receipts/acks', bearer(WRITER), 403],
  ['by the hour', 'GET', '/storage/receipts', bearer(ADMIN), 200],
  ['no number', 'GET', '/storage/receipts?limit=0', bearer(ADMIN), 400],
  ['no id', 'GET', '/storage/receipts/proof?epoch=1', bearer(ADMIN), 400],
  ['no such receipt', 'GET', `/storage/receipts/proof?epoch=1&id=${'0'.repeat(64)}`, bearer(ADMIN), 404],
  ...['/storage/receipts', '/storage/receipts/proof'].flatMap((path): Row[] => [
    ['unknown', 'GET', path, bearer('not-a-token-of-ours'), 401],
    ['powerless', 'GET', path, bearer(WRITER), 403],
  ]),
  ['powerless', 'POST', '/rpc', { ...bearer(WRITER) }, 403],
  ...[
    '/storage/repair-run',
    `/storage/repair-chunk?manifest=${SOME}&chunk=0`,
    '/storage/evacuate?provider=p1',
    '/storage/replace?old=p1&by=p2&confirm=true',
    '/storage/rebalance',
    '/storage/recode?all=true&code=lrc',
  ].flatMap((path): Row[] => [
    ['asked for', 'POST', path, bearer(ADMIN), 200],
    ['unknown', 'POST', path, bearer('not-a-token-of-ours'), 401],
    ['powerless', 'POST', path, bearer(WRITER), 403],
    ['a body', 'POST', path, { ...bearer(ADMIN), 'content-length': '1' }, 400],
  ]),
  ...['evacuate?provider=absent', 'replace?old=absent&by=p1', 'recode?code=lrc&name=absent'].map(
    (path): Row => ['no such thing', 'POST', `/storage/${path}`, bearer(ADMIN), 404],
  ),
  ['no such chunk', 'POST', `/storage/repair-chunk?manifest=${SOME}&chunk=9`, bearer(ADMIN), 404],
];
const BODIES: readonly (readonly [body: string, status: number])[] = [
  ['{"jsonrpc":"2.0","method":"storage.manifests","id":1}', 200],
  ['{"jsonrpc":"2.0","method":"storage.repair_run","id":1}', 200],
  ['{"jsonrpc":"2.0","method":"storage.rebalance","id":1}', 200],
  ['{"jsonrpc":"2.0","method":"storage.repair_history","id":1}', 200],
  ['{"jsonrpc":"2.0","method":"storage.status","id":1}', 200],
  ['[{"jsonrpc":"2.0","method":"storage.providers","id":"a"},3]', 200],
  ['{"jsonrpc":"2.0","method":"storage.providers"}', 204],
  ['\u00ff', 400],
];

/** Seen where they are provoked: slow clients, overload, foreign hosts, damage and vanished providers. */
const ELSEWHERE: ReadonlySet<string> = new Set(['408', '409', '421', '429', '500', '503']);

async function provable(desk: ReceiptDesk, clock: FakeClock): Promise<readonly [epoch: number, id: string]> {
  const grant = grantOf(desk);
  await desk.unsigned(grant, 10);
  clock.jump += 3_600_000 + 10 * 60_000;
  const [root] = await desk.closeDue();
  return [root!.epoch, toHex(grant.readId)];
}

it('every answer of a running gateway is as documented, and every documented answer is given', async () => {
  const { port, put, desk, clock } = await receiptGateway();
  const { port: without } = await startGateway();
  const letters = {
    M: await put(BYTES, { name: NAME, contentType: 'image/png' }),
    U: await put(BYTES),
    E: await put(new Uint8Array(0), { name: 'empty' }),
  };
  const check = async (
    what: string,
    request: Parameters<typeof requestText>,
    status: number,
    at: number = port,
  ) => {
    const [method, target] = request;
    const route = document.routeOf(method, target);
    if (route === undefined) return;
    const answer = await sendRaw(at, requestText(...request));
    expect(answer.status, what).toBe(status);
    document.expectAnswer(what, method, route, answer);
  };

  for (const [what, method, target, headers, status] of [...ROWS, ...MORE]) {
    const path = targetOf(target, letters);
    const request = [method, path, { ...headersOf(headers, letters) }, bodyOf(headers)] as const;
    await check(`${what} ${target}`, [...request], status);
  }
  for (const [body, status] of BODIES) await check(body, ['POST', '/rpc', rpc, body], status);
  const [epoch, id] = await provable(desk, clock);
  await check('proof', ['GET', `/storage/receipts/proof?epoch=${epoch}&id=${id}`, bearer(ADMIN)], 200);
  await check('hours', ['GET', '/storage/receipts', bearer(ADMIN)], 200);
  await check('no receipts', ['GET', '/storage/receipts', bearer(ADMIN)], 404, without);
  await check('no receipts', ['POST', '/receipts/acks', POSTED], 404, without);
  document.expectAllSeen(ELSEWHERE);
});
