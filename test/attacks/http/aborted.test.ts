import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { SLOW } from '../../helpers/cli.ts';
import { raw } from './cases.ts';
import { gatewayUnderAttack, nodeUnderAttack, type UnderAttack } from './services.ts';

/** Of each service. */
const CONNECTIONS = SLOW ? 20_000 : 1_000;
/** After these a program has what it keeps: compiled code, caches, buffers it uses again. */
const WARM_UP = SLOW ? 8_000 : 700;
/** V8 collects early instead of growing first, so that what is kept shows sooner. */
const SMALL_HEAP = { NODE_OPTIONS: '--max-semi-space-size=2' };
const AT_ONCE = 32;
/** In the short run memory has not settled by then. */
const MAY_GROW = SLOW ? 1.2 : 1.5;
const BODY = randomBytes(200_000).toString('latin1');

/** What is sent before the connection is reset or ended. */
function beginnings({ target: { read, post, postHeaders } }: UnderAttack): readonly string[] {
  const get = raw(`GET ${read}`, '');
  const body = raw(`POST ${post}`, `${postHeaders}Content-Length: 200000\r\n`);
  const chunks = raw(`POST ${post}`, `${postHeaders}Transfer-Encoding: chunked\r\n`);
  return [
    '',
    'GET',
    'GET / HTTP/1.1\r\nHost: loc',
    get,
    get + get,
    get.repeat(12),
    raw('GET /readyz', '') + get.repeat(60),
    raw('GET /readyz', '') + get.repeat(10) + body,
    raw('GET /metrics', ''),
    raw('GET /nothing', ''),
    body,
    body + BODY.slice(0, 1000),
    body + BODY.slice(0, 199_999),
    body + BODY,
    get + body + BODY.slice(0, 100),
    `${chunks}ff\r\nhalf`,
    `${chunks}fffff\r\n${BODY}`,
    raw(`POST ${post}`, `${postHeaders}Content-Length: 5\r\nExpect: 100-continue\r\n`),
    'nonsense\r\n\r\n',
    `${get}nonsense\r\n\r\n`,
    'CONNECT x:1 HTTP/1.1\r\nHost: localhost\r\n\r\n',
    `${get}CONNECT x:1 HTTP/1.1\r\nHost: localhost\r\n\r\n${BODY}`,
    raw('GET /healthz', 'Connection: Upgrade\r\nUpgrade: websocket\r\n') + BODY,
  ];
}

/** Each lasts some milliseconds at most; one in five reads a little, one in seven ends in order. */
async function abortedConnection(port: number, beginning: string, turn: number): Promise<void> {
  const socket: Socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.once('connect', () => {
    socket.write(beginning, 'latin1');
    const leave = (): void => {
      if (turn % 7 === 0) socket.destroy();
      else socket.resetAndDestroy();
    };
    if (turn % 5 === 0) socket.once('data', leave);
    const timer = setTimeout(leave, turn % 11);
    socket.once('close', () => clearTimeout(timer));
  });
  await closed;
}

async function abort(service: UnderAttack, count: number): Promise<void> {
  const kinds = beginnings(service);
  let turn = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (turn < count) {
        const mine = turn++;
        await abortedConnection(service.port, kinds[mine % kinds.length]!, mine);
      }
    }),
  );
}

async function survives(name: string, service: UnderAttack): Promise<void> {
  await abort(service, WARM_UP);
  await expect.poll(() => service.metric('inflight')).toBe(0);
  const idle = await service.rssBytes();
  await abort(service, CONNECTIONS);
  await expect.poll(() => service.metric('inflight')).toBe(0);
  await expect.poll(() => service.rssBytes(), { interval: 500 }).toBeLessThan(idle * MAY_GROW);
  const now = await service.rssBytes();
  expect(service.running()).toBe(true);
  const mib = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
  console.log(
    `ATTACKS: ${WARM_UP + CONNECTIONS} aborted connections at a ${name}: 0 places held, ${mib(idle)} idle, ${mib(now)} after`,
  );
  await expect.poll(() => service.openBlobs()).toBe(0);
  const answer = await fetch(`${service.url}${service.target.read}`);
  expect([answer.status, (await answer.arrayBuffer()).byteLength]).toEqual([200, 300_000]);
  expect(await service.stop()).toBe(0);
  expect(service.said()).not.toContain('DEP0137');
}

it('connections that end anywhere leave nothing behind at a node', async () => {
  await survives('node', await nodeUnderAttack(SMALL_HEAP));
});

it('nor at a gateway', async () => {
  await survives('gateway', await gatewayUnderAttack(SMALL_HEAP));
});
