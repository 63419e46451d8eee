import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DEFAULT_PROVIDERS } from '../../config/providers.ts';
import { renderProvider, STARTER_HEAD, starterConfig } from '../../config/render.ts';
import { HoldfastError } from '../../core/errors.ts';
import { type FoundConfig, ownConfigOf } from '../../vault/load-config.ts';
import type { ConfigFlags } from '../flags.ts';
import type { Io } from '../io.ts';

/** The file that a provider is added to, and what it is added to. */
export interface Base {
  readonly file: string;
  /** What stands there now; undefined: nothing. */
  readonly before: string | undefined;
  /** What the new table goes behind. */
  readonly text: string;
}

/**
 * A file that was named, else the home's own. What holds now moves into the home's own with it: a file that merely lies
 * in the current folder may name no secrets.
 * @param first in place of the folders that a new vault starts with.
 */
export async function findBase(
  { config, text }: FoundConfig,
  flags: Pick<ConfigFlags, 'config'> & { readonly first: boolean },
  io: Io,
): Promise<Base> {
  const own = ownConfigOf(config.home);
  const named = flags.config || io.env.HOLDFAST_CONFIG;
  const file = named ? resolve(io.cwd, named) : own;
  const before = text !== undefined && config.file === file ? text : undefined;
  if (flags.first) {
    if (text !== undefined && text !== starterConfig()) throw notNew(config.file);
    await refuseHeld(config.home);
    return { file, before, text: `${STARTER_HEAD}\n` };
  }
  if (text === undefined) return { file, before, text: starterConfig() };
  if (/^[ \t]*\[\[[ \t]*providers[ \t]*\]\]/m.test(text)) return { file, before, text };
  if (/^[ \t]*providers[ \t]*=/m.test(text)) throw inline(config.file);
  // A file without providers means the nine of the home; they must not vanish with the first that is written down.
  return { file, before, text: `${text.trimEnd()}\n\n${DEFAULT_PROVIDERS.map(renderProvider).join('\n')}` };
}

/** Every file below the folders of a provider is a blob or a pointer; its marker lies beside them. */
async function refuseHeld(home: string): Promise<void> {
  for (const { root } of DEFAULT_PROVIDERS) {
    const folder = join(home, String(root));
    const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
    if (!entries.some((entry) => entry.isFile() && entry.parentPath !== folder)) continue;
    throw new HoldfastError('PermissionDenied', `${folder} holds blobs of this vault`, {
      code: 'not_new',
      hint: 'Add the provider without --first; the folders can go when nothing is stored there any more.',
    });
  }
}

function notNew(file: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', `${file} is not as a new vault has it`, {
    code: 'not_new',
    hint: 'Add the provider without --first, and take others out of the file by hand.',
  });
}

function inline(file: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', `${file} lists its providers in one array`, {
    code: 'inline_providers',
    hint: 'Write each of them as a [[providers]] table first: TOML lets nothing be added to such an array.',
  });
}
