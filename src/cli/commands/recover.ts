import { starterConfig } from '../../config/render.ts';
import type { RecoverResult } from '../../upkeep/recover/recover.ts';
import { homePaths, installKeyFile, keepConfig } from '../../vault/home.ts';
import { findConfigText, homeOf, ownConfigOf } from '../../vault/load-config.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { counted } from '../format.ts';
import { type Io, note, output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { forkText } from '../warnings.ts';
import { withVault } from '../with-vault.ts';

interface RecoverFlags extends CommonFlags {
  readonly key?: string;
}

export default async function recover(this: CliContext, flags: RecoverFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const result = await withVault(io, { ...flags, keyFile: flags.key }, (vault) =>
      vault.recover({ signal: io.signal }),
    );
    await completeHome(io, flags);
    for (const line of warnings(result)) note(io, `warning: ${line}`);
    output(io, flags.json, result, () => summary(result));
    if (result.names === 0 && result.unconfirmed.providers.length > 0)
      note(io, '  Bring providers back, or correct the configuration, and run this again.');
    return exitOf(result);
  });
}

function* warnings(result: RecoverResult): Generator<string> {
  const { providers, names } = result.unconfirmed;
  for (const { id, why } of providers)
    yield `${id} was not heard to the end (${why}): what it knows of names is unconfirmed`;
  for (const name of names) yield `"${name}" can be read only once providers that did not answer are back`;
  for (const name of result.lost) yield `"${name}" cannot be read: too little of it is left at the providers`;
  for (const name of result.rolledBack)
    yield `every provider has gone back to an older version of "${name}", or has none; this state's was kept and copied to them again`;
  for (const fork of result.forks) yield forkText(fork);
  if (result.damagedSlots > 0)
    yield `${counted(result.damagedSlots, 'slot')} at the providers cannot be read`;
}

function summary({ names, deleted, manifests, lost, unconfirmed, advanced }: RecoverResult): string {
  const certain = names - lost.length - unconfirmed.names.length;
  return [
    `recovered ${counted(names, 'name')}, ${counted(manifests, 'manifest')}; ${counted(deleted, 'removed name')} not counted`,
    `  ${certain} can be read: their manifests were read, and enough packs are there by what the providers say`,
    ...(advanced === 0 ? [] : [`  this state was behind the providers in ${counted(advanced, 'name')}`]),
  ].join('\n');
}

function exitOf({ lost, unconfirmed, rolledBack }: RecoverResult): ExitCode {
  if (rolledBack.length > 0) return EXIT.integrity;
  const open = lost.length + unconfirmed.providers.length + unconfirmed.names.length;
  return open > 0 ? EXIT.notEnough : EXIT.done;
}

/** A home that was given its key for this command is whole for the next one. */
async function completeHome(io: Io, { key, home, config }: RecoverFlags): Promise<void> {
  if (key === undefined) return;
  const location = { file: config, home, env: io.env, cwd: io.cwd };
  const paths = homePaths(homeOf(location));
  if (await installKeyFile(paths, key)) note(io, `copied the key file to ${paths.keyFile}`);
  const { text = starterConfig() } = await findConfigText(location);
  await keepConfig(ownConfigOf(paths.home), text);
}
