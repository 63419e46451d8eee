import type { Config } from '../../config/types.ts';
import { HoldfastError } from '../../core/errors.ts';
import { deriveSubkeys, type VaultSubkeys } from '../../keys/derivation.ts';
import { decodeKeyFile, needsPassphrase } from '../../keys/key-file.ts';
import { homePaths, readKeyText } from '../../vault/home.ts';
import { agentOff, askAbout, askToForget, hashOfKeyFile } from '../agent/client.ts';
import { agentPlace, makeFolder } from '../agent/place.ts';
import { startAgent } from '../agent/start.ts';
import { configOf } from '../config-of.ts';
import { forPeople } from '../duration.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import type { CliContext, ConfigFlags } from '../flags.ts';
import { isoTime } from '../format.ts';
import { type Io, output } from '../io.ts';
import { readPassphrase } from '../passphrase.ts';
import { runCommand } from '../run-command.ts';

export interface UnlockFlags extends ConfigFlags {
  readonly for: number;
  readonly status: boolean;
}

/** What `unlock`, `unlock --status` and `lock` print with `--json`. */
interface State {
  readonly home: string;
  readonly unlocked: boolean;
  readonly vault?: string;
  readonly secondsLeft?: number;
  readonly until?: string;
  readonly pid?: number;
}

export async function unlock(this: CliContext, flags: UnlockFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const config = await configOf(flags, io);
    return flags.status ? status(config, io, flags.json) : keep(config, io, flags);
  });
}

export async function lock(this: CliContext, flags: ConfigFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const { home } = await configOf(flags, io);
    const was = await askToForget(await agentPlace(io.env, homePaths(home).keyFile));
    output(io, flags.json, { home, unlocked: false, was } satisfies State & { was: boolean }, () =>
      was ? `Locked ${home}: its keys are forgotten.` : `${home} was not unlocked.`,
    );
    return undefined;
  });
}

async function keep({ home }: Config, io: Io, flags: UnlockFlags): Promise<undefined> {
  if (agentOff(io.env)) throw switchedOff();
  const { keyFile } = homePaths(home);
  const text = await readKeyText(keyFile);
  if (!needsPassphrase(text)) throw notWrapped(keyFile);
  const place = await agentPlace(io.env, keyFile);
  await makeFolder(place);
  const subkeys = await open(text, keyFile, io);
  await askToForget(place);
  await startAgent(place, hashOfKeyFile(text), subkeys, flags.for, io.signal);
  const state: State = {
    home,
    unlocked: true,
    vault: subkeys.id,
    secondsLeft: Math.floor(flags.for / 1000),
    until: isoTime(Date.now() + flags.for),
  };
  output(
    io,
    flags.json,
    state,
    () =>
      `Unlocked ${home} for ${forPeople(flags.for)}, until the machine sleeps, or until \`holdfast lock\`.`,
  );
  return undefined;
}

async function open(text: string, keyFile: string, io: Io): Promise<VaultSubkeys> {
  const root = await decodeKeyFile(text, () => readPassphrase(io, keyFile));
  try {
    return deriveSubkeys(root);
  } finally {
    root.fill(0);
  }
}

async function status({ home }: Config, io: Io, json: boolean): Promise<ExitCode> {
  const { keyFile } = homePaths(home);
  const answer = agentOff(io.env) ? undefined : await found(io, keyFile);
  const state: State = {
    home,
    unlocked: answer?.unlocked ?? false,
    ...(answer?.id === undefined ? {} : { vault: answer.id }),
    ...(answer?.leftMs === undefined
      ? {}
      : { secondsLeft: Math.floor(answer.leftMs / 1000), until: isoTime(Date.now() + answer.leftMs) }),
    ...(answer === undefined ? {} : { pid: answer.pid }),
  };
  output(io, json, state, () => {
    if (state.unlocked) return `${home} is unlocked for another ${forPeople(answer!.leftMs!)}.`;
    if (answer !== undefined) return `${home} is locked: its key file was changed since it was unlocked.`;
    return `${home} is locked.`;
  });
  return state.unlocked ? EXIT.done : EXIT.notFound;
}

async function found(io: Io, keyFile: string): ReturnType<typeof askAbout> {
  await readKeyText(keyFile); // says so when there is no vault
  const place = await agentPlace(io.env, keyFile);
  return askAbout('status', place, keyFile);
}

function switchedOff(): HoldfastError {
  return new HoldfastError('ConfigInvalid', 'HOLDFAST_AGENT is "off": no command would ask the agent', {
    code: 'agent_off',
    hint: 'Unset it first.',
  });
}

function notWrapped(keyFile: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', `${keyFile} has no passphrase: there is nothing to unlock`, {
    code: 'nothing_to_unlock',
    hint: 'Every command can use it as it is.',
  });
}
