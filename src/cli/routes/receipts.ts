import { buildCommand, buildRouteMap, type RouteMap } from '@stricli/core';
import type { GroupBy } from '../../receipts/inspect.ts';
import { anyText, type CliContext, commonFlags, configFlags, jsonFlag, wholeNumber } from '../flags.ts';
import { optional } from './parameters.ts';

const receiptsModule = () => import('../commands/receipts.ts');
const ledgerModule = () => import('../commands/ledger.ts');
const rebuildModule = () => import('../commands/rebuild-ledger.ts');

const folder = {
  folder: {
    kind: 'parsed',
    parse: anyText,
    brief: 'Folder of receipts, or a copy of it',
    placeholder: 'DIR',
  },
} as const;

const gateway = {
  gateway: {
    ...optional,
    parse: publicKey,
    brief: 'Public key that the gateway must have, 64 hex digits',
    placeholder: 'KEY',
  },
} as const;

function publicKey(input: string): string {
  if (/^[0-9a-f]{64}$/.test(input)) return input;
  throw new RangeError('expected 64 lower-case hex digits');
}

function groupBy(input: string): GroupBy {
  const known = (['provider', 'manifest', 'domain'] as const).find((one) => one === input);
  if (known !== undefined) return known;
  throw new RangeError('expected provider, manifest or domain');
}

const oneId = { brief: 'Id of a read or an execution, in hex', parse: anyText, placeholder: 'id' };

export const receipts: RouteMap<CliContext> = buildRouteMap({
  routes: {
    list: buildCommand({
      loader: async () => (await receiptsModule()).list,
      parameters: { flags: { ...folder, ...jsonFlag } },
      docs: { brief: 'Show the hours of which there are receipts' },
    }),
    show: buildCommand({
      loader: async () => (await receiptsModule()).show,
      parameters: {
        flags: {
          ...folder,
          by: {
            kind: 'parsed',
            parse: groupBy,
            default: 'provider',
            brief: 'What an epoch is summed up by: provider, manifest or domain',
            placeholder: 'WHAT',
          },
          records: {
            kind: 'boolean',
            default: false,
            withNegated: false,
            brief: 'List the receipts of an epoch, with the ids that `prove` takes',
          },
          skip: {
            kind: 'parsed',
            parse: wholeNumber(0, 1_000_000_000),
            default: '0',
            brief: 'Receipts left out before the first one listed',
            placeholder: 'N',
          },
          limit: {
            kind: 'parsed',
            parse: wholeNumber(1, 10_000),
            default: '100',
            brief: 'Receipts listed at most',
            placeholder: 'N',
          },
          ...jsonFlag,
        },
        positional: {
          kind: 'tuple',
          parameters: [
            { ...oneId, brief: 'Number of an epoch, or id of a receipt', placeholder: 'epoch|id' },
          ],
        },
      },
      docs: { brief: 'Show one receipt, those of an epoch, or what its reads come to' },
    }),
    prove: buildCommand({
      loader: async () => (await receiptsModule()).prove,
      parameters: {
        flags: {
          ...folder,
          out: {
            kind: 'parsed',
            parse: anyText,
            brief: 'File that the proof is written to',
            placeholder: 'FILE',
          },
          ...jsonFlag,
        },
        positional: { kind: 'tuple', parameters: [oneId] },
      },
      docs: { brief: "Write a proof that a receipt is in its epoch's root" },
    }),
    verify: buildCommand({
      loader: async () => (await receiptsModule()).verify,
      parameters: {
        flags: { ...gateway, ...jsonFlag },
        positional: {
          kind: 'tuple',
          parameters: [{ brief: 'File that `prove` wrote', parse: anyText, placeholder: 'proof' }],
        },
      },
      docs: {
        brief: 'Check such a proof, with nothing but the file',
        fullDescription:
          'Check such a proof, with nothing but the file. It says that the gateway with this key put this receipt down in this ' +
          'epoch.\n\nExit codes: 0 it is proven; 5 it is not.',
      },
    }),
    audit: buildCommand({
      loader: async () => (await receiptsModule()).audit,
      parameters: {
        flags: { ...folder, ...gateway, ...jsonFlag },
        positional: {
          kind: 'tuple',
          parameters: [
            { brief: 'Number of an epoch', parse: wholeNumber(0, 9_999_999_999), placeholder: 'epoch' },
          ],
        },
      },
      docs: {
        brief: 'Recompute an epoch from copied files alone, or name the first difference',
        fullDescription:
          'Recompute an epoch from copied files alone, or name the first difference. It needs no key, no server and no state.' +
          '\n\nExit codes: 0 all is as the root says; 3 there is no root; 5 something differs.',
      },
    }),
    settle: buildCommand({
      loader: async () => (await ledgerModule()).settle,
      parameters: { flags: commonFlags },
      docs: {
        brief: 'Anchor the hours that are closed, and credit providers for those that are anchored',
        fullDescription: `Anchor the hours that are closed, and credit providers for those that are anchored.

It looks in the folders of [settlement] in the configuration, goes as far as can be gone now, and says what waits and why. It can
be run at any time, by several at once: an hour is credited once. It takes no key.

Exit codes: 0 all that can be done is done; 2 nobody is credited, by the configuration; 4 something is to be tried again; 5
something is refused, was forgotten by the anchor, or the ledger is damaged.`,
      },
    }),
    balances: buildCommand({
      loader: async () => (await ledgerModule()).balances,
      parameters: { flags: configFlags },
      docs: {
        brief: 'Check the whole ledger, and show what every account has',
        fullDescription:
          'Check the whole ledger, and show what every account has. It takes no key.\n\nExit codes: 0 every entry is right ' +
          'and debits equal credits; 3 there is no state; 5 the ledger is damaged.',
      },
    }),
    ledger: buildCommand({
      loader: async () => (await ledgerModule()).ledger,
      parameters: {
        flags: {
          ...configFlags,
          limit: {
            kind: 'parsed',
            parse: wholeNumber(1, 100_000),
            default: '20',
            brief: 'So many of the newest',
            placeholder: 'N',
          },
        },
      },
      docs: { brief: 'Show the newest entries of the ledger' },
    }),
    rebuild: buildCommand({
      loader: async () => (await rebuildModule()).default,
      parameters: {
        flags: {
          ...commonFlags,
          dryRun: { kind: 'boolean', default: false, brief: 'Change nothing, and say what would come of it' },
        },
      },
      docs: {
        brief: 'Build a damaged ledger anew from what is whole of it, and from roots that are anchored',
        fullDescription: `Build a damaged ledger anew from what is whole of it, and from roots that are anchored.

What is whole stays as it is, byte for byte. What is lost follows exactly from the balances where those can be read; else hours are
booked again by their roots, by the configuration as it is, and rent is lost. A ledger that is whole is left alone. Daemons and
gateways may run: nothing is booked meanwhile, and they go on by themselves. Cut off, run it again. It takes no key.

Exit codes: 0 the ledger is whole; 4 hours are still to be booked: run \`holdfast receipts settle\`; 5 more was paid than was put
in, by all that is known, or something is refused.`,
      },
    }),
  },
  docs: {
    brief: 'Show, check and settle what a gateway wrote down of its reads',
  },
});
