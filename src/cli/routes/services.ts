import { buildCommand, type Command } from '@stricli/core';
import type { CliContext } from '../flags.ts';
import { count, optional } from './parameters.ts';

export const node: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/node.ts'),
  parameters: {
    flags: {
      bind: { ...optional, brief: 'Listen there', placeholder: 'HOST:PORT' },
      unix: { ...optional, brief: 'Listen on a Unix socket, open to this user only', placeholder: 'PATH' },
      root: { ...optional, brief: 'Folder to serve', placeholder: 'DIR' },
      init: { kind: 'boolean', default: false, withNegated: false, brief: 'Make the folder if it is new' },
      id: { ...optional, brief: "Provider id of the folder (default: the folder's own, else node)" },
      token: {
        ...optional,
        brief: 'Bearer token of all scopes (default: $HOLDFAST_NODE_TOKEN); reads stay open',
        placeholder: 'TOKEN',
      },
      tokenFile: {
        ...optional,
        brief: 'Tokens with scopes; read again when it changes',
        placeholder: 'FILE',
      },
      tlsCert: { ...optional, brief: 'Certificate chain, PEM', placeholder: 'FILE' },
      tlsKey: { ...optional, brief: 'Its key, PEM', placeholder: 'FILE' },
      clientCa: {
        ...optional,
        brief: 'Let in only clients whose certificate it signed',
        placeholder: 'FILE',
      },
      amnesia: { kind: 'boolean', default: false, withNegated: false, brief: 'Keep blobs in memory only' },
      amnesiaBytes: { ...count, brief: 'Memory for them (default: 256 MiB)', placeholder: 'BYTES' },
      maxInflight: { ...count, brief: 'Requests at once (default: 512)', placeholder: 'N' },
      maxRps: { ...count, brief: 'Requests a second', placeholder: 'N' },
      maxClientRps: { ...count, brief: 'Requests a second from one address', placeholder: 'N' },
      maxBody: {
        ...count,
        brief: 'Longest body (default: 64 MiB with a token, 1 MiB without)',
        placeholder: 'BYTES',
      },
      accessLog: {
        ...optional,
        brief: 'A file, - for standard error (default), or off',
        placeholder: 'FILE',
      },
      json: { kind: 'boolean', default: false, withNegated: false, brief: 'Print JSON' },
    },
  },
  docs: { brief: 'Serve a folder to others over HTTP' },
});
