import { type Application, buildApplication, buildCommand, buildRouteMap, type Command } from '@stricli/core';
import { anyText, type CliContext, commonFlags, wholeNumber } from './flags.ts';

const reference = {
  brief: 'A name, or the address of a manifest (b3:…)',
  parse: anyText,
  placeholder: 'name|manifest',
};
const oneReference = { kind: 'tuple', parameters: [reference] } as const;
const optional = { kind: 'parsed', optional: true, parse: anyText } as const;
const count = { kind: 'parsed', optional: true, parse: wholeNumber(1, Number.MAX_SAFE_INTEGER) } as const;

const init = buildCommand({
  loader: async () => import('./commands/init.ts'),
  parameters: {
    flags: {
      ...commonFlags,
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

const put = buildCommand({
  loader: async () => import('./commands/put.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      name: { ...optional, brief: "What to call it (default: the file's name; none for -)" },
      contentType: { ...optional, brief: 'Its media type', placeholder: 'TYPE' },
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

const get = buildCommand({
  loader: async () => import('./commands/get.ts'),
  parameters: {
    flags: {
      ...commonFlags,
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

const ls = buildCommand({
  loader: async () => import('./commands/ls.ts'),
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

const stat = buildCommand({
  loader: async () => import('./commands/stat.ts'),
  parameters: { flags: commonFlags, positional: oneReference },
  docs: { brief: 'Show what is known of an object, its certificate included' },
});

const rm = buildCommand({
  loader: async () => import('./commands/rm.ts'),
  parameters: { flags: commonFlags, positional: oneReference },
  docs: { brief: 'Remove an object' },
});

const verify = buildCommand({
  loader: async () => import('./commands/verify.ts'),
  parameters: { flags: commonFlags, positional: oneReference },
  docs: { brief: 'Read back every shard, check it, and certify what is there now' },
});

const providersModule = () => import('./commands/providers.ts');
const providerId = { brief: 'Id of a provider', parse: anyText, placeholder: 'id' };

const providers = buildRouteMap({
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
      parameters: { flags: commonFlags, positional: { kind: 'tuple', parameters: [providerId] } },
      docs: { brief: 'Run the adapter contract against a live provider, and clean up' },
    }),
    init: buildCommand({
      loader: async () => (await providersModule()).init,
      parameters: { flags: commonFlags, positional: { kind: 'tuple', parameters: [providerId] } },
      docs: { brief: 'Make the folder of a new or replaced local provider' },
    }),
  },
  defaultCommand: 'list',
  docs: { brief: 'Show, probe and manage providers' },
});

const manifests = buildCommand({
  loader: async () => (await import('./commands/manifests.ts')).list,
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

const manifest = buildCommand({
  loader: async () => (await import('./commands/manifests.ts')).show,
  parameters: { flags: commonFlags, positional: oneReference },
  docs: { brief: "Show a manifest's public part" },
});

const recover = buildCommand({
  loader: async () => import('./commands/recover.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      key: { ...optional, brief: 'Key file (default: the one in the home)', placeholder: 'FILE' },
    },
  },
  docs: { brief: 'Rebuild names and manifests from the providers and the key' },
});

const plan = buildCommand({
  loader: async () => import('./commands/plan.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      providers: {
        kind: 'parsed',
        parse: wholeNumber(1, 53),
        variadic: ',',
        brief: 'Numbers of providers to plan for',
        placeholder: 'N,…',
      },
      code: {
        kind: 'parsed',
        parse: anyText,
        optional: true,
        variadic: ',',
        brief: 'Codes to compare (default: the configured one), e.g. lrc,reed-solomon:16+8',
        placeholder: 'CODE,…',
      },
      annualLoss: {
        ...decimal(0, 1),
        brief: 'Probability that a provider is lost for good in a year',
        placeholder: 'P',
      },
      detectHours: { ...decimal(0, 87_660), brief: 'Mean hours until a loss is noticed', placeholder: 'H' },
      repairHours: { ...decimal(0, 87_660), brief: 'Mean hours until it is repaired', placeholder: 'H' },
    },
  },
  docs: { brief: 'Show what codes survive on N providers, and for how long' },
});

const demo = buildCommand({
  loader: async () => import('./commands/demo.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      file: { ...optional, brief: 'File to use (default: the Node executable)', placeholder: 'FILE' },
      keep: { kind: 'boolean', default: false, withNegated: false, brief: 'Leave the folder there' },
    },
  },
  docs: { brief: 'Put a file on nine providers, destroy three, get it back' },
});

const compareCoders = buildCommand({
  loader: async () => (await import('./commands/bench.ts')).compare,
  parameters: {
    flags: {
      bytes: {
        kind: 'parsed',
        parse: wholeNumber(1, 64 * 1024 ** 2),
        default: '1048576',
        brief: 'Bytes of the chunk',
        placeholder: 'N',
      },
      data: {
        kind: 'parsed',
        parse: wholeNumber(1, 254),
        default: '16',
        brief: 'Data shards of Reed-Solomon and XOR',
        placeholder: 'K',
      },
      parity: {
        kind: 'parsed',
        parse: wholeNumber(1, 254),
        default: '1',
        brief: 'Their parity shards, and how many data shards are lost',
        placeholder: 'M',
      },
      iterations: {
        kind: 'parsed',
        parse: wholeNumber(1, 1_000_000),
        default: '64',
        brief: 'How often each is done',
        placeholder: 'N',
      },
      json: commonFlags.json,
    },
  },
  docs: { brief: 'Time the default code and codec against Reed-Solomon and the fallbacks, on each kernel' },
});

const bench = buildRouteMap({
  routes: { compareCoders },
  docs: { brief: 'Measure parts on this machine' },
});

const node = buildCommand({
  loader: async () => import('./commands/node.ts'),
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

function decimal(
  min: number,
  max: number,
): { kind: 'parsed'; optional: true; parse: (input: string) => number } {
  const parse = (input: string): number => {
    const value = Number(input);
    if (input === '' || !(value > min && value < max)) {
      throw new RangeError(`expected a number over ${min} and under ${max}`);
    }
    return value;
  };
  return { kind: 'parsed', optional: true, parse };
}

function onOff(input: string): 'on' | 'off' {
  if (input === 'on' || input === 'off') return input;
  throw new RangeError('expected on or off');
}

export const app: Application<CliContext> = buildApplication(
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
      bench,
      demo,
      node,
    } satisfies Record<string, Command<CliContext> | typeof providers | typeof bench>,
    docs: { brief: 'Objects on many storage providers, with a computed statement of how many may vanish' },
  }),
  {
    name: 'holdfast',
    scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
    documentation: { caseStyle: 'convert-camel-to-kebab', disableAnsiColor: true },
  },
);
