import { buildCommand, type Command } from '@stricli/core';
import { anyText, type CliContext, commonFlags, configFlags, profileFlag, wholeNumber } from '../flags.ts';
import { count, off, onePrefix, oneReference, optional } from './parameters.ts';

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
      prefix: { ...optional, brief: 'Put before the name of each file, e.g. photos/' },
      contentType: { ...optional, brief: 'Its media type, e.g. text/plain', placeholder: 'TYPE' },
      minTolerates: {
        kind: 'parsed',
        optional: true,
        parse: wholeNumber(0, 254),
        brief: 'Refuse unless any this many providers may vanish',
        placeholder: 'N',
      },
      noResume: { ...off, brief: 'Begin at the first byte; keep nothing when interrupted' },
    },
    positional: {
      kind: 'array',
      minimum: 1,
      parameter: {
        brief: 'Files to store, patterns (in quotes), or - for standard input',
        parse: anyText,
        placeholder: 'file|-',
      },
    },
    aliases: { n: 'name' },
  },
  docs: {
    brief: 'Store objects',
    fullDescription: `Store files, each as an object of its own.

A file is called by the last part of its path. Patterns in quotes are expanded here: * ? [a-z], and ** for any number of
folders; their files are called by the path below the folder where the wildcards start, so 'docs/**' gives guide.md and
api/node.md. Folders themselves are not stored. Nothing is stored when two files would get one name. With several files
each has its line of output (--json: one object a line, a summary last); one that fails does not stop the others, and
the exit code is that of the worst: 7, 1, 5, 6, 4, 3, 2, 0.

A put of a file that is cut off is taken up where it stopped by the same put of the same, unchanged file. What is stored is
only read again. Standard input can be read only once: such a put begins anew.`,
  },
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

const DAMAGED =
  'A name whose record in the local state is damaged is left out, with a warning, and the exit code is then 5.';

export const ls: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/ls.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      long: { ...off, brief: 'Sizes, times and versions too, and the total' },
      bytes: { ...off, brief: 'The same, with sizes in bytes' },
      delimiter: {
        ...optional,
        brief: 'List what has it after the prefix as one line, e.g. /',
        placeholder: 'TEXT',
      },
      after: { ...optional, brief: 'Only what comes after this in the order', placeholder: 'NAME' },
      limit: { ...count, brief: 'As many lines at the most', placeholder: 'N' },
    },
    positional: onePrefix,
    aliases: { l: 'long' },
  },
  docs: {
    brief: 'List names',
    fullDescription: `List names, in the order of their bytes.

${DAMAGED}`,
  },
});

export const du: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/du.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      depth: {
        kind: 'parsed',
        parse: wholeNumber(1, 1024),
        default: '1',
        brief: 'Sum up names as far as so many slashes',
        placeholder: 'N',
      },
      atProviders: {
        ...off,
        brief: 'List what each provider holds instead, and the shards known to be there',
      },
    },
    positional: onePrefix,
    aliases: { d: 'depth' },
  },
  docs: {
    brief: 'Sum up sizes, by the parts of names between slashes',
    fullDescription: `Sum up sizes, by the parts of names between slashes.

${DAMAGED}`,
  },
});

export const stat: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/stat.ts'),
  parameters: { flags: commonFlags, positional: oneReference },
  docs: { brief: 'Show what is known of an object, its certificate included' },
});

export const rm: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/rm.ts'),
  parameters: { flags: commonFlags, positional: oneReference },
  docs: {
    brief: 'Remove an object',
    fullDescription: `Remove an object: its name at once, then its blobs.

Blobs that cannot be deleted now are deleted by later commands; a warning says why. The exit code is 0 once the name is
removed.`,
  },
});

export const recode: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/recode.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      all: { ...off, brief: 'Every object that has a name' },
      code: {
        kind: 'parsed',
        parse: anyText,
        brief: 'lrc, lrc:16+5+3, reed-solomon:16+8, replica:4, …; see `holdfast plan`',
        placeholder: 'CODE',
      },
      minTolerates: {
        kind: 'parsed',
        optional: true,
        parse: wholeNumber(0, 254),
        brief: 'So many losses are enough, though it be fewer than now',
        placeholder: 'N',
      },
      dryRun: { ...off, brief: 'Only say what it would take' },
      yes: { ...off, brief: 'Do not ask' },
    },
    positional: {
      kind: 'tuple',
      parameters: [{ ...oneReference.parameters[0], optional: true }],
    },
  },
  docs: {
    brief: 'Code objects anew, with another erasure code',
    fullDescription: `Code an object, or with --all every one that has a name, anew with another erasure code.

Each becomes a new version with another ETag, and the old one goes as any that was replaced. It takes the key. It first says
what it will take, and asks on a terminal; elsewhere it needs --yes. What would survive fewer losses than was certified stays as
it is. A version that is put meanwhile stays. It can be stopped at any moment; run again it passes over what is done.

Exit codes: 0 all have the code; 4 some could not be read or stored; 6 some would survive fewer losses.`,
  },
});

export const verify: Command<CliContext> = buildCommand({
  loader: async () => import('../commands/verify.ts'),
  parameters: {
    flags: {
      ...commonFlags,
      all: { ...off, brief: 'Every name, or every one that starts with what is given' },
      deep: { ...off, brief: 'Also decrypt it all and compare it with what was put' },
    },
    positional: {
      kind: 'tuple',
      parameters: [{ ...oneReference.parameters[0], optional: true }],
    },
  },
  docs: {
    brief: 'Read back every shard, check it, and certify what is there now',
    fullDescription: `Read back every shard, check it against the manifest, and certify what is there now.

With --deep also check that the shards of each chunk belong together, and read, decrypt and compare the whole object: it
finds what a faulty machine put wrong. It reads the object twice.

With --all a line for each object and one for all of them at the end (--json: one object a line, a summary last); one
that is damaged does not stop the others, and the exit code is that of the worst: 7, 1, 5, 6, 4, 3, 2, 0.
${DAMAGED}`,
  },
});
