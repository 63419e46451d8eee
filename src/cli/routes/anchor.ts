import { buildCommand, buildRouteMap, type RouteMap } from '@stricli/core';
import { anyText, type CliContext, configFlags, jsonFlag } from '../flags.ts';
import { optional } from './parameters.ts';

const anchorModule = () => import('../commands/anchor.ts');

export const anchor: RouteMap<CliContext> = buildRouteMap({
  routes: {
    status: buildCommand({
      loader: async () => (await anchorModule()).status,
      parameters: { flags: { ...configFlags, ...jsonFlag } },
      docs: { brief: 'Show the log of roots, or whether the contract on the chain is the right one' },
    }),
    verify: buildCommand({
      loader: async () => (await anchorModule()).verify,
      parameters: {
        flags: {
          key: {
            ...optional,
            parse: anyText,
            brief: 'Verifier key of the log, as in its file log.vkey',
            placeholder: 'KEY',
          },
          ...jsonFlag,
        },
        positional: {
          kind: 'tuple',
          parameters: [
            { brief: 'Folder of a log, or file that `prove` wrote', parse: anyText, placeholder: 'path' },
          ],
        },
      },
      docs: {
        brief: 'Check a log of roots, or a proof of it, with nothing but copied files',
        fullDescription:
          'Check a log of roots, or a proof of it, with nothing but copied files. Witnesses sign under the checkpoint; their ' +
          'signatures are not checked here.\n\nExit codes: 0 all is as the checkpoint says; 3 there is no log; 5 something differs.',
      },
    }),
    prove: buildCommand({
      loader: async () => (await anchorModule()).prove,
      parameters: {
        flags: {
          folder: {
            ...optional,
            parse: anyText,
            brief: 'Folder of the log. Default: the configured',
            placeholder: 'DIR',
          },
          out: {
            kind: 'parsed',
            parse: anyText,
            brief: 'File that the proof is written to',
            placeholder: 'FILE',
          },
          ...configFlags,
          ...jsonFlag,
        },
        positional: {
          kind: 'tuple',
          parameters: [
            {
              brief: "Address of an object's manifest, or GATEWAY/EPOCH",
              parse: anyText,
              placeholder: 'root',
            },
          ],
        },
      },
      docs: { brief: 'Write a proof that a root is in the log' },
    }),
    deploy: buildCommand({
      loader: async () => (await anchorModule()).deploy,
      parameters: { flags: { ...configFlags, ...jsonFlag } },
      docs: {
        brief: 'Make the contract on the chain that `anchor.url` leads to',
        fullDescription:
          'Make the contract on the chain that `anchor.url` leads to. The account whose key `anchor.key_env` or `anchor.key_file` ' +
          'names pays for it and owns it.',
      },
    }),
  },
  docs: { brief: 'Where roots of receipts and objects go: status, verify, prove, deploy' },
});
