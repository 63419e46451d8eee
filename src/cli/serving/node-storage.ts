import { resolve } from 'node:path';
import type { Config } from '../../config/types.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { LineLog } from '../../http/log.ts';
import type { NodeOptions } from '../../node/node.ts';
import type { AdapterDeps } from '../../providers/driver.ts';
import { mirrorOf } from '../../providers/layers/index.ts';
import type { Provider } from '../../providers/provider.ts';
import { createProvider } from '../../providers/provider.ts';
import type { Io } from '../io.ts';
import { warningsTo } from './log.ts';
import { usage } from './settings.ts';

/** What a node serves: a folder, providers, or memory. */
export interface StorageSettings {
  readonly root: string | undefined;
  readonly init: boolean;
  readonly id: string | undefined;
  /** Ids of providers. */
  readonly backends: readonly string[] | undefined;
  readonly amnesia: boolean;
  readonly amnesiaBytes: number;
}

interface Storage extends Pick<NodeOptions, 'adapter' | 'peekStat' | 'backends'> {
  /** The backends as providers. */
  readonly providers?: readonly Provider[];
}

const DEFAULT_ID = 'node';

/** @throws HoldfastError `ConfigInvalid` (`usage`); `Unavailable` (`provider_missing`) for a folder that is not there. */
export async function openStorage(
  settings: StorageSettings,
  config: Config,
  io: Io,
  log: LineLog,
  deps: AdapterDeps,
): Promise<Storage> {
  const { backends, id = DEFAULT_ID } = settings;
  if (backends === undefined) return openAdapter(settings, io, deps);
  if (settings.amnesia || settings.root !== undefined || settings.init)
    throw usage('--backend serves providers that are there', 'Leave out --root, --init and --amnesia.');
  const providers = await openBackends(backends, config, io.env, log, deps);
  const [first, ...rest] = providers.map(({ adapter }) => adapter);
  return { adapter: mirrorOf(id, [first!, ...rest]), backends: [first!, ...rest], providers };
}

/** Configured providers by id, each with its layers. */
function openBackends(
  ids: readonly string[],
  config: Config,
  env: Io['env'],
  log: LineLog,
  deps: AdapterDeps,
): Promise<Provider[]> {
  const { requestMs: callTimeoutMs, maxAttempts } = config.limits;
  const observed = { env, callTimeoutMs, maxAttempts, onAttempt() {}, log: warningsTo(log) };
  return Promise.all(
    ids.map(async (id) => {
      const entry = config.providers.find((provider) => provider.id === id);
      if (entry === undefined) throw usage(`there is no provider "${id}"`, 'Name ids of [[providers]].');
      return createProvider(entry, { ...deps, ...observed });
    }),
  );
}

async function openAdapter(settings: StorageSettings, io: Io, deps: AdapterDeps): Promise<Storage> {
  if (settings.amnesia) {
    if (settings.root !== undefined)
      throw usage('an amnesiac node keeps nothing', 'Leave out --root, or --amnesia.');
    const { createMemoryAdapter } = await import('../../providers/memory/driver.ts');
    const { id = DEFAULT_ID, amnesiaBytes: capacityBytes } = settings;
    return { adapter: createMemoryAdapter({ ...deps, id, capacityBytes }) };
  }
  if (settings.root === undefined)
    throw usage('a folder is needed', 'Pass --root DIR, and --init the first time, or name a --backend.');
  const [{ createFsAdapter }, { fsPeekStat }, { initFsProvider, readProviderId }] = await Promise.all([
    import('../../providers/fs/driver.ts'),
    import('../../providers/fs/stat.ts'),
    import('../../providers/fs/layout.ts'),
  ]);
  const root = resolve(io.cwd, settings.root);
  const id = settings.id ?? (await readProviderId(root)) ?? DEFAULT_ID;
  if (settings.init) await initFsProvider(root, id);
  const adapter = createFsAdapter({ ...deps, id, root });
  // A wrong or missing folder is told now rather than to the first client.
  await adapter.probe({ signal: io.signal }).catch((error: unknown) => {
    if (!(error instanceof HoldfastError) || error.code !== 'provider_missing') throw error;
    throw error.with({ hint: 'Mount the disk again, or pass --init to make a new folder.' });
  });
  return { adapter, peekStat: await fsPeekStat(root, deps.clock) };
}
