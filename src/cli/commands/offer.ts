import type { Config } from '../../config/types.ts';
import { systemClock } from '../../core/clock.ts';
import { printableLine } from '../../core/remote-text.ts';
import { homePaths } from '../../vault/home.ts';
import { openVaultOf } from '../../vault/open-vault.ts';
import { heldSubkeys } from '../agent/client.ts';
import { configOf } from '../config-of.ts';
import type { CliContext } from '../flags.ts';
import { type Io, print } from '../io.ts';
import { givenPassphrase } from '../passphrase.ts';

/** A key press waits no longer. */
const WITHIN_MS = 1_500;
const AT_MOST = 100;

/**
 * What a shell may complete a word to, a line each: names, cut at the next slash, or ids of providers. It says nothing
 * else: where something fails, asks for a passphrase or takes too long, nothing is offered.
 * @param typed the words before, of which `--home` and `--config` count.
 */
export default async function offer(
  this: CliContext,
  _flags: Record<never, never>,
  what: string,
  start: string,
  ...typed: readonly string[]
): Promise<void> {
  const { io } = this;
  // Whatever still waits then, such as the state that another process holds, would keep the program.
  const cancel = systemClock.timer(WITHIN_MS, () => process.exit(0));
  const found = await offered(io, what, start, typed).catch(() => []);
  cancel();
  for (const text of found) print(io, text);
}

/** However long it takes. */
export async function offered(
  io: Pick<Io, 'env' | 'cwd'>,
  what: string,
  start: string,
  typed: readonly string[],
): Promise<string[]> {
  const given = (flag: 'home' | 'config'): { [name in typeof flag]?: string } => {
    const at = typed.lastIndexOf(`--${flag}`);
    const text = at < 0 ? undefined : typed[at + 1];
    return text === undefined ? {} : { [flag]: text.replace(/^~(?=\/)/, io.env.HOME ?? '~') };
  };
  const config = await configOf({ ...given('home'), ...given('config') }, io);
  if (what === 'objects') return names(io, config, start);
  return config.providers.map(({ id }) => id).filter((id) => id.startsWith(start));
}

async function names(io: Pick<Io, 'env'>, config: Config, start: string): Promise<string[]> {
  const { keyFile } = homePaths(config.home);
  const vault = await openVaultOf({
    config,
    env: io.env,
    keyFile,
    subkeys: await heldSubkeys(io.env, keyFile),
    passphrase: async () => (await givenPassphrase(io)) ?? Promise.reject(new Error('nobody is asked')),
    housekeeping: false,
    observers: { log: () => {} },
  });
  try {
    const all: string[] = [];
    const listing = vault.listObjects({ prefix: start, delimiter: '/', limit: AT_MOST, onDamaged: () => {} });
    for await (const item of listing) all.push('name' in item ? item.name : item.prefix);
    // What a terminal would not show as it is cannot be completed either.
    return all.filter((text) => printableLine(text) === text);
  } finally {
    await vault.close();
  }
}
