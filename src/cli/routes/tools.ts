import { buildCommand, buildRouteMap, type Command, type RouteMap } from '@stricli/core';
import { anyText, type CliContext, configFlags, jsonFlag, wholeNumber } from '../flags.ts';
import { decimal, engineName, off, optional, shell } from './parameters.ts';

export const plan: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/plan.ts'),
  parameters: {
    flags: {
      ...configFlags,
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
      detectHours: { ...decimal(0, 87_660), brief: 'Mean hours until you notice a loss', placeholder: 'H' },
      repairHours: {
        ...decimal(0, 87_660),
        brief: 'Mean hours until you have put what was lost anew (default: nothing is repaired)',
        placeholder: 'H',
      },
    },
  },
  docs: { brief: 'Show what codes survive on N providers, and for how long' },
});

export const config: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/config.ts'),
  parameters: { flags: configFlags },
  docs: { brief: 'Show the configuration in force, and what in it is not the default' },
});

export const doctor: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/doctor.ts'),
  parameters: {
    flags: {
      ...configFlags,
      noWrites: { ...off, brief: 'Write nothing at providers: only ask whether they answer' },
    },
  },
  docs: {
    brief: 'Look at all that a vault stands on, and say what to do',
    fullDescription: `Look at all that a vault stands on, and say what to do: versions, configuration, permissions, the clock by those of
the providers, who computes what, disks, the engines of the state, and the providers. A line each: ok, warn or fail, and below it
what to do. A small blob and a pointer are written at every provider, read and deleted again.

It needs no key and asks for none, shows no secret, and works though the configuration is broken or another process has the
vault open. Nothing is waited for without end.

Exit codes: 0 nothing failed; 1 something did.`,
  },
});

export const demo: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/demo.ts'),
  parameters: {
    flags: {
      ...jsonFlag,
      file: { ...optional, brief: 'File to use (default: the Node executable)', placeholder: 'FILE' },
      keep: { kind: 'boolean', default: false, withNegated: false, brief: 'Leave the folder there' },
    },
  },
  docs: { brief: 'Put a file on nine providers, destroy three, get it back' },
});

export const completion: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/completion.ts'),
  parameters: {
    positional: {
      kind: 'tuple',
      parameters: [{ brief: 'bash, zsh or fish', parse: shell, placeholder: 'bash|zsh|fish' }],
    },
  },
  docs: {
    brief: 'Print a script that completes command lines, for bash, zsh or fish',
    fullDescription: `Print a script that completes command lines: commands, flags, names of objects, ids of providers. Names are
offered where the vault opens without asking (\`holdfast unlock\`), up to the next slash, 100 at most, within 1.5 seconds.

  bash: source <(holdfast completion bash)
  zsh:  holdfast completion zsh > a folder of $fpath, as _holdfast
  fish: holdfast completion fish > ~/.config/fish/completions/holdfast.fish`,
  },
});

/** Only for what `completion` prints; no help lists it. */
export const offer: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/offer.ts'),
  parameters: {
    positional: {
      kind: 'array',
      minimum: 2,
      parameter: { brief: 'objects or providers, the word so far, and those before', parse: anyText },
    },
  },
  docs: { brief: 'Print what a word may be completed to' },
});

const compareCoders = buildCommand({
  loader: async () => (await import('../commands/bench.ts')).compare,
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
      ...jsonFlag,
    },
  },
  docs: { brief: 'Time the default code and codec against Reed-Solomon and the fallbacks, on each kernel' },
});

export const bench: RouteMap<CliContext> = buildRouteMap({
  routes: { compareCoders },
  docs: { brief: 'Measure parts on this machine' },
});

const PLACE = 'The home of a vault, or postgres:SCHEMA';

export const migrate: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/migrate.ts'),
  parameters: {
    flags: configFlags,
    positional: {
      kind: 'tuple',
      parameters: [
        { brief: `${PLACE}, where the records are`, parse: anyText, placeholder: 'old' },
        { brief: `${PLACE}, where they go`, parse: anyText, placeholder: 'new' },
        { brief: 'level, postgres or memory', parse: engineName, placeholder: 'engine' },
      ],
    },
  },
  docs: {
    brief: 'Move the records of a vault to another engine',
    fullDescription: `Move the records of a vault to another engine, and check the copy against the original. Objects stay where they are.

Nobody may work on the vault meanwhile: it is refused while somebody does, and nobody gets in until it is done. Ended in the
middle, it goes on where it was when it is run again. In the end the old place says where the records went, and is opened no
more. To memory it is a rehearsal, which leaves no trace. The database is the one of the configuration (--home, --config).

Exit codes: 0 done; 3 there are no records; 5 a record is damaged, or the copy differs; 6 somebody works on the vault, there are
other records in the new place, or these were moved already; 7 interrupted.`,
  },
});
