import { buildCommand, type Command } from '@stricli/core';
import { anyText, type CliContext, commonFlags, configFlags, profileFlag, wholeNumber } from '../flags.ts';
import { oneReference, optional } from './parameters.ts';

export const init: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/init.ts'),
  parameters: {
    flags: {
      ...configFlags,
      unwrapped: {
        kind: 'boolean',
        default: false,
        withNegated: false,
        brief: 'Keep the key without a passphrase, in a file of mode 0600',
      },
    },
  },
  docs: { brief: 'Create a vault: its key, and the folders of local providers' },
});

export const put: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/put.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      ...profileFlag,
      name: { ...optional, brief: "What to call it (default: the file's name; none for -)" },
      contentType: { ...optional, brief: 'Its media type, e.g. text/plain', placeholder: 'TYPE' },
      minTolerates: {
        kind: 'parsed',
        optional: true,
        parse: wholeNumber(0, 254),
        brief: 'Refuse unless any this many providers may vanish',
        placeholder: 'N',
      },
    },
    positional: {
      kind: 'tuple',
      parameters: [{ brief: 'File to store, - for standard input', parse: anyText, placeholder: 'file|-' }],
    },
    aliases: { n: 'name' },
  },
  docs: { brief: 'Store an object' },
});

export const get: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/get.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      ...profileFlag,
      output: {
        ...optional,
        brief: 'Write there, whole or not at all (default: standard output)',
        placeholder: 'FILE',
      },
      range: { ...optional, brief: 'FIRST-LAST, FIRST- or -SUFFIX, in bytes', placeholder: 'RANGE' },
    },
    positional: oneReference,
    aliases: { o: 'output' },
  },
  docs: { brief: 'Read an object or a part of it' },
});

export const ls: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/ls.ts'),
  parameters: {
    flags: commonFlags,
    positional: {
      kind: 'tuple',
      parameters: [
        { brief: 'Only names that start so', parse: anyText, optional: true, placeholder: 'prefix' },
      ],
    },
  },
  docs: { brief: 'List names' },
});

export const stat: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/stat.ts'),
  parameters: { flags: commonFlags, positional: oneReference },
  docs: { brief: 'Show what is known of an object, its certificate included' },
});

export const rm: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/rm.ts'),
  parameters: { flags: commonFlags, positional: oneReference },
  docs: { brief: 'Remove an object' },
});

export const verify: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/verify.ts'),
  parameters: { flags: commonFlags, positional: oneReference },
  docs: { brief: 'Read back every shard, check it, and certify what is there now' },
});
