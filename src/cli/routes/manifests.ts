import { buildCommand, type Command } from '@stricli/core';
import { duration } from '../duration.ts';
import { type CliContext, commonFlags, configFlags, wholeNumber } from '../flags.ts';
import { off, oneReference, optional, partOf, share, size } from './parameters.ts';

const limit = {
  kind: 'parsed',
  parse: wholeNumber(1, 1_000_000),
  default: '100',
  brief: 'At most so many',
  placeholder: 'N',
} as const;

export const manifests: Command<CliContext> = buildCommand({
  loader: async () => (await import('../commands/manifests.ts')).list,
  parameters: {
    flags: { ...commonFlags, limit },
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

export const status: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/status.ts'),
  parameters: { flags: commonFlags },
  docs: {
    brief: 'Show what the objects survive, what is left to do, and what stands in its way',
    fullDescription: `Show what the objects survive, what is left to do, and what stands in its way. It answers though no provider does, and
counts segments: an object is one of them, a long one several.

Exit codes: 0 all is well and this state is the latest; 4 repair is due, something survives fewer losses than was certified, or
too few providers said whether this state is the latest; 5 something is lost, missing or corrupt, records of the state cannot be
read, or hours of receipts that were credited are not where they were anchored; 6 the providers know of changes that it has not seen: run \`holdfast recover\`.`,
  },
});

export const repairRun: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/repair-run.ts'),
  parameters: { flags: commonFlags },
  docs: {
    brief: 'Rebuild what was lost or found damaged, the most endangered objects first',
    fullDescription: `Rebuild what was lost or found damaged, the most endangered objects first.

What was lost: the shards at providers that are gone for good (\`holdfast providers lost\`, no longer configured, or silent for
longer than repair.lost_after_hours), and what scrub, audit and reads found missing or rotten. It can be stopped at any time
and goes on from there.

Exit codes: 0 nothing is left to be repaired; 4 some of it failed or has to wait, see \`holdfast repair-history\`; 5 too little
is left of some chunk.`,
  },
});

export const repairChunk: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/repair-chunk.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      force: { ...off, brief: 'Rewrite every shard of it, though nothing is wrong' },
    },
    positional: {
      kind: 'tuple',
      parameters: [
        ...oneReference.parameters,
        {
          brief: 'Number of a chunk, from 0',
          parse: wholeNumber(0, Number.MAX_SAFE_INTEGER),
          placeholder: 'chunk',
        },
      ],
    },
  },
  docs: {
    brief: 'Repair one chunk of an object now, though it has to wait',
    fullDescription: `Repair one chunk of an object now, though it has to wait after a failure. With --force every shard of it is written anew,
though nothing is known to be wrong with it, but for those at providers that take none now. A name takes the key; the address of
a manifest does not.

Exit codes: 0 nothing is left to be repaired of it; 3 there is no such object or chunk; 4 it failed, and is tried again later;
5 too little is left of it; 6 another repairs it at the moment.`,
  },
});

export const repairHistory: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/repair-history.ts'),
  parameters: { flags: { ...configFlags, limit } },
  docs: { brief: 'List what was repaired, newest first' },
});

const YEAR_MS = 366 * 86_400_000;

export const gc: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/gc.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      dryRun: { ...off, brief: 'Only say what nothing leads to' },
      minAge: {
        kind: 'parsed',
        parse: (input) => (input === '0' ? 0 : duration(YEAR_MS)(input)),
        default: '24h',
        brief: 'Leave blobs that are younger, e.g. 8h, 7d; 0: of any age',
        placeholder: 'TIME',
      },
      keepUnfinished: { ...off, brief: 'Leave interrupted puts that can go on' },
    },
  },
  docs: { brief: 'Delete what interrupted commands and restored providers left and nothing leads to' },
});

export const scrub: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/scrub.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      subset: {
        kind: 'parsed',
        optional: true,
        parse: partOf,
        brief: 'Only the Nth of M parts; all M together are everything, once',
        placeholder: 'N/M',
      },
      restart: { ...off, brief: 'Begin anew, though one was cut off' },
      bytesPerSecond: {
        kind: 'parsed',
        optional: true,
        parse: size(1, 2 ** 50),
        brief: 'Read at most so much a second, e.g. 5MiB (default: scrub.bytes_per_second)',
        placeholder: 'SIZE',
      },
    },
  },
  docs: {
    brief: 'Read back what should be at the providers, and note what is missing or rotten',
    fullDescription: `Read back whole packs and the copies of manifest nodes, of all objects, and note what is missing or rotten, for
\`holdfast repair-run\` to mend. It needs no key and asks for none.

One that is cut off goes on where it was when it is run again; --restart begins anew. With --subset a part is read at a time: 1/7
to 7/7 on the days of a week are everything once a week. A provider that gives no answer is told apart: nothing is noted of it.

Exit codes: 0 all is well; 4 not everything could be looked at; 5 something is missing or rotten.`,
  },
});

export const audit: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/audit.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      provider: { ...optional, brief: 'Only this one (default: all)', placeholder: 'ID' },
      share: {
        kind: 'parsed',
        parse: share,
        default: '1%',
        brief: 'Catch a provider that dropped so much of its shards',
        placeholder: 'P',
      },
      confidence: {
        kind: 'parsed',
        parse: share,
        default: '99.9%',
        brief: '… with this probability',
        placeholder: 'P',
      },
    },
  },
  docs: {
    brief: 'Ask providers for shards chosen at random, and tell who dropped some',
    fullDescription: `Ask providers for whole shards chosen at random among all that they should hold, and check them. It needs no key and asks
for none. With n challenges a provider that dropped a share p is caught with a probability of 1 - (1 - p)^n; n is printed.

A challenge that times out is asked again for the same shard, up to three times, and has failed then. A provider that leaves
three on end without an answer is asked for no more. What is wrong is noted for \`holdfast repair-run\`.

Exit codes: 0 all passed; 4 a challenge was not answered; 5 one was answered wrongly.`,
  },
});
