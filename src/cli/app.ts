import { type Application, buildApplication, buildRouteMap, type Command, run } from '@stricli/core';
import type { CliContext } from './flags.ts';
import { manifest, manifests, recover } from './routes/manifests.ts';
import { get, init, ls, put, rm, stat, verify } from './routes/objects.ts';
import { providers } from './routes/providers.ts';
import { gateway, node } from './routes/services.ts';
import { bench, config, demo, plan } from './routes/tools.ts';

const app: Application<CliContext> = buildApplication(
  buildRouteMap({
    routes: {
      init,
      put,
      get,
      ls,
      stat,
      rm,
      verify,
      providers,
      manifests,
      manifest,
      recover,
      plan,
      config,
      bench,
      demo,
      node,
      gateway,
    } satisfies Record<string, Command<CliContext> | typeof providers | typeof bench>,
    docs: { brief: 'Objects on many storage providers, with a computed statement of how many may vanish' },
  }),
  {
    name: 'holdfast',
    scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
    documentation: { caseStyle: 'convert-camel-to-kebab', disableAnsiColor: true },
  },
);

/** Runs the command that `args` name; its exit code is left in `context`. */
export const runApp = (args: readonly string[], context: CliContext): Promise<void> =>
  run(app, args, context);
