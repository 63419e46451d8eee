import { resolve } from 'node:path';
import type { Config } from '../../config/types.ts';
import { accelerationFrom } from '../../core/acceleration.ts';
import { selectBlake3 } from '../../core/b3/select.ts';
import { systemClock as clock } from '../../core/clock.ts';
import { secureRandom as random } from '../../core/random.ts';
import { VERSION } from '../../core/version.ts';
import { createAuthenticator } from '../../http/auth.ts';
import type { NodeLimits } from '../../node/context.ts';
import { gunzip, selectZstdInflater } from '../../node/inflate.ts';
import { createNode } from '../../node/node.ts';
import { createTelemetry } from '../../telemetry/index.ts';
import { configOf } from '../config-of.ts';
import type { CliContext } from '../flags.ts';
import { note } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { type DefaultAccess, openTokens } from '../serving/access.ts';
import { watchBackends } from '../serving/backend-watch.ts';
import { openLog } from '../serving/log.ts';
import { openStorage, type StorageSettings } from '../serving/node-storage.ts';
import { listenersOf, serve } from '../serving/serve.ts';
import { httpLimits, type ServingFlags, type ServingSettings, servingSettings } from '../serving/settings.ts';

interface NodeFlags extends ServingFlags {
  readonly home?: string;
  readonly config?: string;
  readonly root?: string;
  readonly init: boolean;
  readonly id?: string;
  readonly backend?: readonly string[];
  readonly amnesia: boolean;
  readonly amnesiaBytes?: number;
  readonly maxBody?: number;
  readonly cacheBytes?: number;
}

/** The flags, and what the configuration says where they say nothing. */
interface Settings extends ServingSettings {
  readonly storage: StorageSettings;
  readonly limits: Partial<NodeLimits>;
}

/** Blobs are ciphertext: reading stays open. A node that only this machine can reach just works on a first try. */
const ACCESS: DefaultAccess = {
  variable: 'HOLDFAST_NODE_TOKEN',
  besideToken: ['read'],
  local: ['read', 'write', 'delete'],
  open: ['read'],
};

/** Serves one folder, the memory, or several backends over HTTP until it is told to stop. */
export default async function node(this: CliContext, flags: NodeFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const config = await configOf(flags, io);
    const settings = settingsOf(flags, config);
    const listeners = listenersOf(settings, io);
    const blake3 = await selectBlake3(accelerationFrom(io.env), (what, implementation, why) =>
      note(io, `warning: ${implementation} ${why} for ${what} and is not used`),
    );
    const log = await openLog(settings, io);
    const deps = { clock, random, blake3 };
    const { providers = [], ...storage } = await openStorage(settings.storage, config, io, log, deps);
    const tokens = await openTokens(settings, io, listeners, log, ACCESS);
    const telemetry = await createTelemetry();
    const unwatch = await watchBackends(providers, config, telemetry, log);
    const server = createNode({
      ...storage,
      blake3,
      clock,
      random,
      log,
      auth: createAuthenticator(tokens.table),
      metrics: telemetry.services,
      exposition: telemetry,
      inflaters: { gzip: gunzip, zstd: await selectZstdInflater(accelerationFrom(io.env)) },
      version: VERSION,
      limits: settings.limits,
      allowedHosts: settings.allowedHosts,
      hedgeAfterMs: config.limits.hedgeAfterMs,
      amnesia: settings.storage.amnesia,
    });
    try {
      await serve(server, listeners, io, settings.json);
    } finally {
      await server.close();
      tokens.stop();
      await unwatch();
      await storage.adapter.close();
      log.flush();
    }
    return undefined;
  });
}

function settingsOf(flags: NodeFlags, config: Config): Settings {
  const { node: file, home } = config;
  return {
    ...servingSettings(flags, file, home),
    storage: storageOf(flags, config),
    limits: {
      ...httpLimits(flags, file),
      maxBodyBytes: flags.maxBody ?? file.maxBodyBytes,
      maxForeignBodyBytes: flags.maxBody ?? file.maxForeignBodyBytes,
      hotBytes: flags.cacheBytes ?? file.cacheBytes,
      hotBlobBytes: file.cacheBlobBytes,
      minFreeBytes: file.minFreeBytes,
    },
  };
}

/** A flag that names a place rules out the others. */
function storageOf(flags: NodeFlags, { node: file, home }: Config): StorageSettings {
  const { init, amnesia, root, backend: backends } = flags;
  const id = flags.id ?? (file.id || undefined);
  const amnesiaBytes = flags.amnesiaBytes ?? file.amnesiaBytes;
  if (amnesia || root !== undefined || backends !== undefined)
    return { init, id, amnesiaBytes, amnesia, root, backends };
  return {
    init,
    id,
    amnesiaBytes,
    amnesia: file.amnesia,
    root: file.root === '' ? undefined : resolve(home, file.root),
    backends: file.backends.length === 0 ? undefined : file.backends,
  };
}
