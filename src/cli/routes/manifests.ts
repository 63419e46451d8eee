import { buildCommand, type Command } from '@stricli/core';
import { type CliContext, commonFlags, wholeNumber } from '../flags.ts';
import { oneReference, optional } from './parameters.ts';

export const manifests: Command<CliContext> = buildCommand({
  loader: async () => (await import('../commands/manifests.ts')).list,
  parameters: {
    flags: {
      ...commonFlags,
      limit: {
        kind: 'parsed',
        parse: wholeNumber(1, 1_000_000),
        default: '100',
        brief: 'At most so many',
        placeholder: 'N',
      },
    },
  },
  docs: { brief: 'List manifests, newest first' },
});

export const manifest: Command<CliContext> = buildCommand({
  loader: async () => (await import('../commands/manifests.ts')).show,
  parameters: { flags: commonFlags, positional: oneReference },
  docs: { brief: "Show a manifest's public part" },
});

export const recover: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/recover.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      key: { ...optional, brief: 'Key file (default: the one in the home)', placeholder: 'FILE' },
    },
  },
  docs: { brief: 'Rebuild names and manifests from the providers and the key' },
});
