import { buildCommand, buildRouteMap, type RouteMap } from '@stricli/core';
import { type CliContext, commonFlags, configFlags } from '../flags.ts';
import { onOff, providerId } from './parameters.ts';

const providersModule = () => import('../commands/providers.ts');

export const providers: RouteMap<CliContext> = buildRouteMap({
  routes: {
    list: buildCommand({
      loader: async () => (await providersModule()).list,
      parameters: { flags: commonFlags },
      docs: { brief: 'Show what is known of each provider, and why' },
    }),
    probe: buildCommand({
      loader: async () => (await providersModule()).probe,
      parameters: { flags: commonFlags },
      docs: { brief: 'Ask every provider now' },
    }),
    maintenance: buildCommand({
      loader: async () => (await providersModule()).maintenance,
      parameters: {
        flags: commonFlags,
        positional: {
          kind: 'tuple',
          parameters: [providerId, { brief: 'on or off', parse: onOff, placeholder: 'on|off' }],
        },
      },
      docs: { brief: 'Keep new shards away from a provider' },
    }),
    validate: buildCommand({
      loader: async () => (await providersModule()).validate,
      parameters: { flags: configFlags, positional: { kind: 'tuple', parameters: [providerId] } },
      docs: { brief: 'Run the adapter contract against a live provider, and clean up' },
    }),
    init: buildCommand({
      loader: async () => (await providersModule()).init,
      parameters: { flags: configFlags, positional: { kind: 'tuple', parameters: [providerId] } },
      docs: { brief: 'Make the folder of a new or replaced local provider' },
    }),
  },
  defaultCommand: 'list',
  docs: { brief: 'Show, probe and manage providers' },
});
