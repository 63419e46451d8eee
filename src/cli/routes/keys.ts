import { buildCommand, type Command } from '@stricli/core';
import { duration } from '../duration.ts';
import { type CliContext, configFlags } from '../flags.ts';

const unlockModule = () => import('../commands/unlock.ts');
const MAX_UNLOCK_MS = 7 * 86_400_000;

export const unlock: Command<CliContext> = buildCommand({
  loader: async () => (await unlockModule()).unlock,
  parameters: {
    flags: {
      ...configFlags,
      for: {
        kind: 'parsed',
        parse: duration(MAX_UNLOCK_MS),
        default: '1h',
        brief: 'How long, e.g. 15m, 8h, 1d',
        placeholder: 'TIME',
      },
      status: {
        kind: 'boolean',
        default: false,
        withNegated: false,
        brief: 'Only say whether it is unlocked; exit code 3 when it is not',
      },
    },
  },
  docs: {
    brief: 'Ask for the passphrase once, and let other commands use the keys for a while',
    fullDescription: `Ask for the passphrase once, and let other commands use the keys for a while.

A process of its own keeps the vault's subkeys in memory and gives them to commands of the same user, over a Unix
socket in a folder that only this user can enter. It forgets them after the time, when the machine has slept, and with
\`holdfast lock\`. Nothing is written to a disk. HOLDFAST_AGENT=off: commands do not ask it.`,
  },
});

export const lock: Command<CliContext> = buildCommand({
  loader: async () => (await unlockModule()).lock,
  parameters: { flags: configFlags },
  docs: { brief: 'Forget the keys that `unlock` keeps' },
});
