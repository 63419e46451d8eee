import { expect, it } from 'vitest';
import type { Io } from '../../src/cli/io.ts';
import { type DefaultAccess, openTokens } from '../../src/cli/serving/access.ts';
import type { Listener } from '../../src/http/listener.ts';
import type { LineLog } from '../../src/http/log.ts';
import { startAsConfigured } from '../helpers/services.ts';
import { addressFor } from '../node/harness.ts';

const NODE: DefaultAccess = {
  variable: 'THE_TOKEN',
  local: ['read', 'write', 'delete'],
  open: ['read'],
  besideToken: ['read'],
};
const GATEWAY: DefaultAccess = { ...NODE, open: undefined, besideToken: [] };
const log = { event() {} } as unknown as LineLog;
const at = (host: string): Listener => ({ kind: 'tcp', host, port: 0 });
const socket: Listener = { kind: 'unix', path: '/x' };

const tableOf = async (
  listeners: readonly Listener[],
  access: DefaultAccess,
  flags: { readonly token?: string } = {},
  env: Record<string, string> = {},
) => {
  const io = { env, cwd: '/' } as unknown as Io;
  const { table } = await openTokens(
    { token: flags.token, tokenFile: undefined },
    io,
    listeners,
    log,
    access,
  );
  return table();
};

it.each<[string, Listener[]]>([
  ['this machine', [at('127.0.0.1'), at('127.9.9.9'), at('::1'), at('localhost')]],
  ['a socket', [socket]],
  ['a socket and this machine', [socket, at('127.0.0.1')]],
])('without tokens, listening on %s only, everyone may do all', async (_, listeners) => {
  for (const access of [NODE, GATEWAY])
    expect([...(await tableOf(listeners, access)).anonymous]).toEqual(['read', 'write', 'delete']);
});

it.each<[string, Listener[]]>([
  ['elsewhere', [at('0.0.0.0')]],
  ['an address of the network', [at('192.0.2.1')]],
  ['all of IPv6', [at('::')]],
  ['a name that only looks like this machine', [at('127.example.net')]],
  ['this machine and elsewhere', [at('127.0.0.1'), at('0.0.0.0')]],
  ['a socket and elsewhere', [socket, at('0.0.0.0')]],
])('without tokens, listening on %s, a node is only read and a gateway refuses', async (_, listeners) => {
  expect([...(await tableOf(listeners, NODE)).anonymous]).toEqual(['read']);
  await expect(tableOf(listeners, GATEWAY)).rejects.toMatchObject({ kind: 'ConfigInvalid', code: 'usage' });
});

it('with a token only what is said to be open beside it is, on this machine too', async () => {
  for (const [flags, env] of [
    [{ token: 'a-token-of-some-length' }, {}],
    [{}, { THE_TOKEN: 'a-token-of-some-length' }],
  ] as const) {
    const node = await tableOf([at('127.0.0.1')], NODE, flags, env);
    expect([...node.anonymous]).toEqual(['read']);
    expect(node.tokens.map(({ scopes }) => [...scopes])).toEqual([['read', 'write', 'delete', 'admin']]);
    expect((await tableOf([at('0.0.0.0')], GATEWAY, flags, env)).anonymous.size).toBe(0);
  }
});

it.each<[string, string, string[], number[]]>([
  ['on this machine', '127.0.0.1:0', [], [201, 200]],
  ['elsewhere', '0.0.0.0:0', [], [401, 404]],
  ['on this machine with a token', '127.0.0.1:0', ['--token', 'a-token-of-some-length'], [401, 404]],
])(
  'a node that listens %s answers so to who writes and reads without one',
  async (_, bind, flags, statuses) => {
    const node = await startAsConfigured([
      'node',
      '--amnesia',
      '--access-log',
      'off',
      '--bind',
      bind,
      ...flags,
    ]);
    const url = node.url.replace('0.0.0.0', '127.0.0.1');
    const body = 'a blob';
    const address = addressFor(Buffer.from(body));
    const written = await fetch(`${url}/o`, { method: 'POST', body });
    expect([written.status, (await fetch(`${url}/o/${address}`)).status]).toEqual(statuses);
  },
);
