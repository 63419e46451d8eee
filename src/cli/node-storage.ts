import { resolve } from 'node:path';
import type { Config } from '../config/types.ts';
import { HoldfastError } from '../core/errors.ts';
import type { LineLog } from '../http/line-log.ts';
import type { NodeOptions } from '../node/index.ts';
import type { BlobAdapter } from '../providers/adapter.ts';
import type { AdapterDeps } from '../providers/driver.ts';
import { createProvider } from '../providers/factory.ts';
import { mirrorOf } from '../providers/layers/index.ts';
import type { Io } from './io.ts';
import { usage } from './serving.ts';

/** What a node serves: one of these. */
export interface StorageFlags {
  readonly root?: string | undefined;
  readonly init: boolean;
  readonly id?: string | undefined;
  /** Providers by id. */
  readonly backend?: readonly string[] | undefined;
  readonly amnesia: boolean;
  readonly amnesiaBytes?: number | undefined;
}

type Storage = Pick<NodeOptions, 'adapter' | 'glance' | 'backends'>;

const DEFAULT_ID = 'node';

/** @throws HoldfastError `ConfigInvalid` (`usage`); `Unavailable` (`provider_missing`) for a folder that is not there. */
export async function openStorage(
  flags: StorageFlags,
  config: Config,
  io: Io,
  log: LineLog,
  deps: AdapterDeps,
): Promise<Storage> {
  if (flags.backend === undefined) return openAdapter(flags, io, deps);
  if (flags.amnesia || flags.root !== undefined || flags.init)
    throw usage('--backend serves providers that are there', 'Leave out --root, --init and --amnesia.');
  const [first, ...rest] = await openBackends(flags.backend, config, io.env, log, deps);
  return { adapter: mirrorOf(flags.id ?? DEFAULT_ID, [first!, ...rest]), backends: [first!, ...rest] };
}

/** Configured providers by id, each with its layers. */
function openBackends(
  ids: readonly string[],
  config: Config,
  env: Io['env'],
  log: LineLog,
  deps: AdapterDeps,
): Promise<BlobAdapter[]> {
  const { requestMs: callTimeoutMs, maxAttempts } = config.limits;
  const observed = {
    env,
    callTimeoutMs,
    maxAttempts,
    onAttempt() {},
    log: (level: string, event: string, fields: object) =>
      void (level === 'warn' && log.event('warn', event, { ...fields })),
  };
  return Promise.all(
    ids.map(async (id) => {
      const entry = config.providers.find((provider) => provider.id === id);
      if (entry === undefined) throw usage(`there is no provider "${id}"`, 'Name ids of [[providers]].');
      return (await createProvider(entry, { ...deps, ...observed })).adapter;
    }),
  );
}

async function openAdapter(flags: StorageFlags, io: Io, deps: AdapterDeps): Promise<Storage> {
  if (flags.amnesia) {
    if (flags.root !== undefined)
      throw usage('an amnesiac node keeps nothing', 'Leave out --root, or --amnesia.');
    const { createMemoryAdapter } = await import('../providers/memory/index.ts');
    const id = flags.id ?? DEFAULT_ID;
    return {
      adapter: createMemoryAdapter({ ...deps, id, capacityBytes: flags.amnesiaBytes }),
    };
  }
  if (flags.root === undefined)
    throw usage('a folder is needed', 'Pass --root DIR, and --init the first time, or name a --backend.');
  const { createFsAdapter, createFsGlance, initFsProvider, readProviderId } = await import(
    '../providers/fs/index.ts'
  );
  const root = resolve(io.cwd, flags.root);
  const id = flags.id ?? (await readProviderId(root)) ?? DEFAULT_ID;
  if (flags.init) await initFsProvider(root, id);
  const adapter = createFsAdapter({ ...deps, id, root });
  // A wrong or missing folder is told now rather than to the first client.
  await adapter.probe({ signal: io.signal }).catch((error: unknown) => {
    if (!(error instanceof HoldfastError) || error.code !== 'provider_missing') throw error;
    throw error.with({ hint: 'Mount the disk again, or pass --init to make a new folder.' });
  });
  return { adapter, glance: await createFsGlance(root, deps.clock) };
}
