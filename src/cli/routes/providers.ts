import { buildCommand, buildRouteMap, type Command, type RouteMap } from '@stricli/core';
import { ADD_KINDS, QUESTIONS } from '../add/kinds.ts';
import {
  anyText,
  type CliContext,
  type CommonFlags,
  commonFlags,
  configFlags,
  wholeNumber,
} from '../flags.ts';
import { off, onOff, optional, providerId } from './parameters.ts';

/** One for all that some kind of provider asks. */
const questionFlags = (): Readonly<Record<string, typeof optional & { readonly brief: string }>> =>
  Object.fromEntries(
    QUESTIONS.map(({ flag, brief, placeholder, several }) => [
      flag,
      {
        ...optional,
        brief,
        ...(placeholder === undefined ? {} : { placeholder }),
        ...(several ? { variadic: true } : {}),
      },
    ]),
  );

const providersModule = () => import('../commands/providers.ts');

type Switch = (this: CliContext, flags: CommonFlags, id: string, state: 'on' | 'off') => Promise<void>;

/** What an operator says of one provider, or takes back. */
const onOffCommand = (loader: () => Promise<Switch>, brief: string): Command<CliContext> =>
  buildCommand({
    loader,
    parameters: {
      flags: commonFlags,
      positional: {
        kind: 'tuple',
        parameters: [providerId, { brief: 'on or off', parse: onOff, placeholder: 'on|off' }],
      },
    },
    docs: { brief },
  });

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
    add: buildCommand({
      loader: async () => import('../commands/providers-add.ts'),
      parameters: {
        flags: {
          ...configFlags,
          id: { ...optional, brief: 'Its id, for good (default: the kind)' },
          ...questionFlags(),
          env: {
            ...optional,
            variadic: true,
            brief: 'A field of the credentials is in this variable',
            placeholder: 'FIELD=VARIABLE',
          },
          credentialsFile: { ...optional, brief: 'Credentials: JSON, mode 0600', placeholder: 'FILE' },
          caFile: { ...optional, brief: 'Authorities to trust, PEM', placeholder: 'FILE' },
          noSlots: { ...off, brief: 'It keeps no pointers of names: slots = false' },
          untried: { ...off, brief: 'Write it without trying it' },
          first: { ...off, brief: 'In place of the nine folders that a new vault starts with' },
        },
        positional: {
          kind: 'tuple',
          parameters: [
            {
              brief: `One of ${[...ADD_KINDS.keys()].join(', ')}`,
              parse: anyText,
              placeholder: 'kind',
            },
          ],
        },
      },
      docs: {
        brief: 'Add a provider to the configuration, once it has worked',
        fullDescription: `Add a provider to the configuration, once it has worked.

Kinds:
${[...ADD_KINDS.values()].map(({ name, brief }) => `  ${name}: ${brief}`).join('\n')}

What no option says is asked for on a terminal. A blob and a pointer are written, read and deleted; only then the table is
put behind the others in the configuration, which stays as it is otherwise. Secrets never stand there: name variables
(--env) or a file (--credentials-file), or type them, and they are kept in credentials/<id>.json of the home, mode 0600.`,
      },
    }),
    maintenance: onOffCommand(
      async () => (await providersModule()).maintenance,
      'Keep new shards away from a provider',
    ),
    lost: onOffCommand(
      async () => (await providersModule()).lost,
      'Take a provider for gone for good, so that repair rebuilds what it held',
    ),
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

const evacuateModule = () => import('../commands/evacuate.ts');

const moveFlags = {
  dryRun: { ...off, brief: 'Only say what it would take' },
  yes: { ...off, brief: 'Do not ask' },
} as const;

const evacuateFlags = {
  ...commonFlags,
  minTolerates: {
    kind: 'parsed',
    parse: wholeNumber(0, 254),
    optional: true,
    brief: 'So many losses are enough, though it be fewer than now',
    placeholder: 'N',
  },
  ...moveFlags,
} as const;

const EVACUATE_TEXT = `It first says what it will take, and asks on a terminal; elsewhere it needs --yes. Nothing is moved that would survive
fewer losses then: that stays and is told of. It needs no key and asks for none. It can be stopped at any moment, and goes on
where it was when it is run again. What was moved stays where it was until nobody reads it, and is deleted by what has the key.

Exit codes: 0 nothing is left there; 4 something is, and why is said; 6 something would survive fewer losses.`;

export const evacuate: Command<CliContext> = buildCommand({
  loader: async () => (await evacuateModule()).evacuate,
  parameters: { flags: evacuateFlags, positional: { kind: 'tuple', parameters: [providerId] } },
  docs: {
    brief: 'Move all that a provider holds to the others',
    fullDescription: `Move all that a provider holds of objects to others, where it survives most, and let nothing new go there.

${EVACUATE_TEXT}`,
  },
});

export const replace: Command<CliContext> = buildCommand({
  loader: async () => (await evacuateModule()).replace,
  parameters: {
    flags: evacuateFlags,
    positional: {
      kind: 'tuple',
      parameters: [
        { ...providerId, placeholder: 'old' },
        { ...providerId, placeholder: 'new' },
      ],
    },
  },
  docs: {
    brief: 'Move all that a provider holds to another',
    fullDescription: `Move all shards that a provider holds to another one, and let nothing new go to the first.

${EVACUATE_TEXT}`,
  },
});

export const rebalance: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/rebalance.ts'),
  parameters: { flags: { ...commonFlags, ...moveFlags } },
  docs: {
    brief: 'Even out what the providers hold',
    fullDescription: `Move packs from the fullest providers to the emptiest, of those that take new shards, until all are within a tenth of the
mean. No object survives fewer losses then. It first says what it will take, and asks on a terminal; elsewhere it needs --yes.
It needs no key and asks for none. It can be stopped at any moment, and run again.

Exit codes: 0 all are within a tenth of the mean; 4 they are not, or something could not be moved.`,
  },
});
