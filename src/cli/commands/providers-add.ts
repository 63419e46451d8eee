import { rm, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { loadConfig } from '../../config/load.ts';
import { renderProvider } from '../../config/render.ts';
import type { Config } from '../../config/types.ts';
import { HoldfastError } from '../../core/errors.ts';
import { makeFolders } from '../../core/files.ts';
import { initFsProvider } from '../../providers/fs/layout.ts';
import { findConfigText } from '../../vault/load-config.ts';
import { findBase } from '../add/base.ts';
import { type AddFlags, collect, type GivenCredentials } from '../add/collect.ts';
import { ADD_KINDS } from '../add/kinds.ts';
import { type Trial, tryProvider } from '../add/try.ts';
import { keepCredentials, replaceConfig } from '../add/write.ts';
import type { CliContext, ConfigFlags } from '../flags.ts';
import { counted } from '../format.ts';
import { type Io, note, output } from '../io.ts';
import { runCommand } from '../run-command.ts';

/** Asks, tries, and only then writes: a configuration never names a provider that has not worked once. */
export default async function add(
  this: CliContext,
  flags: AddFlags & ConfigFlags,
  kindName: string,
): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const kind = ADD_KINDS.get(kindName);
    if (kind === undefined) throw unknownKind(kindName);
    const found = await findConfigText({ home: flags.home, file: flags.config, env: io.env, cwd: io.cwd });
    const { home } = found.config;
    const base = await findBase(found, flags, io);
    const terminal = io.stdin.isTTY === true && !flags.json;
    const taken = new Set(flags.first ? [] : found.config.providers.map(({ id }) => id));
    const { id, answers, credentials } = await collect(io, kindName, kind, flags, terminal, taken);
    const undo: (() => Promise<void>)[] = [];
    try {
      await makeFolders(home, 0o700);
      const entry = {
        id,
        adapter: kind.adapter,
        ...kind.table(answers),
        ...(flags.caFile === undefined ? {} : { ca_file: resolve(io.cwd, flags.caFile) }),
        ...(flags.noSlots ? { slots: false } : {}),
        ...(await credentialsEntry(credentials, home, id, io, undo)),
      };
      const after = `${base.text.trimEnd()}\n\n${renderProvider(entry)}`;
      const config = loadConfig({ text: after, file: base.file, env: io.env, home, trusted: true });
      await prepareFolder(config, id, undo);
      const trial = flags.untried ? undefined : await tryProvider(config, id, io);
      await replaceConfig(base.file, base.before, after);
      undo.length = 0;
      report(io, flags.json, config, id, trial);
    } finally {
      // Best effort: why it failed is what there is to say.
      for (const step of undo) await step().catch(() => {});
    }
    return undefined;
  });
}

async function credentialsEntry(
  credentials: GivenCredentials | undefined,
  home: string,
  id: string,
  io: Io,
  undo: (() => Promise<void>)[],
): Promise<Record<string, unknown>> {
  if (credentials === undefined) return {};
  if ('env' in credentials) return { credentials };
  if ('file' in credentials) return { credentials: { file: resolve(io.cwd, credentials.file) } };
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/.test(id)) return {}; // refused with the rest of the configuration
  const file = await keepCredentials(home, id, credentials.typed);
  undo.push(() => rm(file, { force: true }));
  return { credentials: { file } };
}

/** A folder is made as `init` makes it; one that was not there goes again when it is not written down. */
async function prepareFolder(config: Config, id: string, undo: (() => Promise<void>)[]): Promise<void> {
  const provider = config.providers.find((candidate) => candidate.id === id);
  if (provider?.adapter !== 'fs') return;
  const { root } = provider;
  const there = await stat(root).catch(() => undefined);
  if (there === undefined) undo.push(() => rm(root, { recursive: true, force: true }));
  await initFsProvider(root, id);
}

function report(io: Io, json: boolean, config: Config, id: string, trial: Trial | undefined): void {
  const { file, providers } = config;
  const { adapter } = providers.find((provider) => provider.id === id)!;
  const ms = (time: number): string => `${time.toFixed(time < 10 ? 1 : 0)} ms`;
  output(io, json, { provider: id, adapter, file, trial }, () =>
    [
      trial === undefined
        ? `${id} was not tried.`
        : `${id} works: it answers in ${ms(trial.probeMs)}, and wrote 4 KiB in ${ms(trial.writeMs)} and read them in ${ms(trial.readMs)}.`,
      `It is in ${file} now, which has ${counted(providers.length, 'provider')}. New objects may use it; what is stored stays where it is.`,
    ].join('\n'),
  );
  if (trial?.slots === false && !json) {
    note(
      io,
      'It keeps no pointers of names, from which `recover` rebuilds a lost state: some others should.',
    );
  }
}

function unknownKind(kind: string): HoldfastError {
  const kinds = [...ADD_KINDS.values()].map(({ name, brief }) => `${name} (${brief})`);
  return new HoldfastError('ConfigInvalid', `"${kind}" is no kind of provider`, {
    code: 'unknown_kind',
    hint: `There are ${kinds.join(', ')}.`,
  });
}
