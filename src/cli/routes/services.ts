import { buildCommand, type Command } from '@stricli/core';
import { type CliContext, configFlags, wholeNumber } from '../flags.ts';
import { count, off, optional } from './parameters.ts';

/** As the configuration says, unless it is given. */
const either = { kind: 'boolean', optional: true } as const;
const size = {
  kind: 'parsed',
  optional: true,
  parse: wholeNumber(0, 2 ** 40),
  placeholder: 'BYTES',
} as const;
const severally = { ...optional, variadic: true } as const;

const { home, config, json } = configFlags;

/** Where to listen, and how much to take. */
const serving = {
  bind: { ...optional, brief: 'Listen there', placeholder: 'HOST:PORT' },
  unix: { ...optional, brief: 'Listen on a Unix socket, open to this user only', placeholder: 'PATH' },
  tokenFile: { ...optional, brief: 'Tokens with scopes; read again when it changes', placeholder: 'FILE' },
  tlsCert: { ...optional, brief: 'Certificate chain, PEM', placeholder: 'FILE' },
  tlsKey: { ...optional, brief: 'Its key, PEM', placeholder: 'FILE' },
  clientCa: { ...optional, brief: 'Let in only clients whose certificate it signed', placeholder: 'FILE' },
  maxRps: { ...count, brief: 'Requests a second', placeholder: 'N' },
  maxClientRps: { ...count, brief: 'Requests a second from one address', placeholder: 'N' },
  allowedHost: {
    ...severally,
    brief: 'A host name that clients without a token may call it by, such as files.lan',
    placeholder: 'NAME',
  },
  accessLog: { ...optional, brief: 'A file, - for standard error (default), or off', placeholder: 'FILE' },
  json,
  home,
  config,
};

export const node: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/node.ts'),
  parameters: {
    flags: {
      ...serving,
      root: { ...optional, brief: 'Folder to serve', placeholder: 'DIR' },
      backend: {
        ...severally,
        brief: 'Serve this provider of the configuration; several mirror each other',
        placeholder: 'ID',
      },
      init: { ...off, brief: 'Make the folder if it is new' },
      id: { ...optional, brief: "Provider id of the folder (default: the folder's own, else node)" },
      token: {
        ...optional,
        brief: 'Bearer token of all scopes (default: $HOLDFAST_NODE_TOKEN); reads stay open',
        placeholder: 'TOKEN',
      },
      amnesia: { ...off, brief: 'Keep blobs in memory only' },
      amnesiaBytes: { ...count, brief: 'Memory for them (default: 256 MiB)', placeholder: 'BYTES' },
      maxInflight: { ...count, brief: 'Requests at once (default: 512)', placeholder: 'N' },
      maxBody: {
        ...count,
        brief: 'Longest body (default: 64 MiB with a token, 1 MiB without)',
        placeholder: 'BYTES',
      },
      cacheBytes: { ...size, brief: 'Memory for blobs that were read (default: 64 MiB)' },
    },
  },
  docs: { brief: 'Serve a folder to others over HTTP' },
});

export const gateway: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/gateway.ts'),
  parameters: {
    flags: {
      ...serving,
      token: {
        ...optional,
        brief: 'Bearer token of all scopes (default: $HOLDFAST_GATEWAY_TOKEN)',
        placeholder: 'TOKEN',
      },
      public: { ...either, brief: 'Let everyone read objects, whatever tokens there are' },
      static: { ...either, brief: 'It serves a site from an origin of its own: let its pages run scripts' },
      sealed: { ...either, brief: 'Ask for no key: serve public parts only' },
      withRepair: { ...either, brief: 'Repair what is due, as the daemon does' },
      maxPathRps: { ...count, brief: 'Reads a second of one path', placeholder: 'N' },
      receipts: {
        ...optional,
        brief: 'Write down there what is read and who acknowledged it',
        placeholder: 'DIR',
      },
      manifestCacheBytes: { ...size, brief: 'Memory for opened manifests (default: 16 MiB)' },
      chunkCacheBytes: { ...size, brief: 'Memory for decoded chunks (default: 64 MiB)' },
      nameMaxAge: {
        kind: 'parsed',
        optional: true,
        parse: wholeNumber(0, 31_536_000),
        brief: 'How long caches need not ask what a name stands for (default: 0)',
        placeholder: 'SECONDS',
      },
      maxInflight: { ...count, brief: 'Requests at once (default: 256)', placeholder: 'N' },
    },
  },
  docs: { brief: 'Serve objects over HTTP, read only' },
});

export const daemon: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/daemon.ts'),
  parameters: {
    flags: {
      ...serving,
      bind: { ...serving.bind, brief: 'Listen there (default: 127.0.0.1:7790)' },
      token: {
        ...optional,
        brief: 'Bearer token of all scopes (default: $HOLDFAST_DAEMON_TOKEN)',
        placeholder: 'TOKEN',
      },
      sealed: { ...either, brief: 'Ask for no key: do only what needs none' },
      maxInflight: { ...count, brief: 'Requests at once (default: 64)', placeholder: 'N' },
    },
  },
  docs: { brief: 'Look after the vault: probe providers, tidy up, show how it is' },
});
