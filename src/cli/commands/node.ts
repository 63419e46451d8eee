import { resolve } from 'node:path';
import { findConfig } from '../../compose/load-config.ts';
import type { Config, NodeConfig } from '../../config/types.ts';
import { accelerationFrom } from '../../core/acceleration.ts';
import { selectBlake3 } from '../../core/b3/select.ts';
import { systemClock as clock } from '../../core/clock.ts';
import { secureRandom as random } from '../../core/random.ts';
import { createAuthenticator } from '../../http/auth/tokens.ts';
import { createNode, gunzip, type NodeLimits, selectZstdInflater } from '../../node/index.ts';
import { createTelemetry } from '../../telemetry/index.ts';
import type { CliContext } from '../flags.ts';
import { openStorage, type StorageFlags } from '../node-storage.ts';
import { runCommand } from '../run-command.ts';
import {
  type DefaultAccess,
  limitsOf,
  listenersOf,
  openLog,
  openTokens,
  overFile,
  type ServingFlags,
  serve,
} from '../serving.ts';
import { version } from '../version.ts';

interface NodeFlags extends ServingFlags, StorageFlags {
  readonly home?: string;
  readonly config?: string;
  readonly maxBody?: number;
  readonly cacheBytes?: number;
}

/** Blobs are ciphertext: reading stays open. A node that only this machine can reach just works on a first try. */
const ACCESS: DefaultAccess = {
  variable: 'HOLDFAST_NODE_TOKEN',
  besideToken: ['read'],
  local: ['read', 'write', 'delete'],
  open: ['read'],
};

/** Serves one folder, the memory, or several backends over HTTP until it is told to stop. */
export default async function node(this: CliContext, given: NodeFlags): Promise<void> {
  await runCommand(this, given.json, async (io) => {
    const config = await findConfig({ file: given.config, home: given.home, env: io.env, cwd: io.cwd });
    const flags = settingsOf(given, config);
    const listeners = listenersOf(flags, io);
    const blake3 = await selectBlake3(accelerationFrom(io.env));
    const log = openLog(flags, io);
    const storage = await openStorage(flags, config, io, log, { clock, random, blake3 });
    const tokens = await openTokens(flags, io, listeners, log, ACCESS);
    const telemetry = await createTelemetry();
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
      version: (await version(false, io.env)).replace('holdfast ', ''),
      limits: nodeLimits(flags, config.node),
      amnesia: flags.amnesia,
    });
    try {
      await serve(server, listeners, io, flags.json);
    } finally {
      await server.close();
      tokens.stop();
      await storage.adapter.close();
      log.flush();
    }
    return undefined;
  });
}

/** The flags, and what the configuration says where they say nothing. A flag that names a place rules out the others. */
function settingsOf(flags: NodeFlags, { node: file, home }: Config): NodeFlags {
  const serving = overFile(flags, file, home);
  const amnesiaBytes = flags.amnesiaBytes ?? file.amnesiaBytes;
  const id = flags.id ?? (file.id || undefined);
  if (flags.amnesia || flags.root !== undefined || flags.backend !== undefined)
    return { ...serving, id, amnesiaBytes };
  const root = file.root === '' ? undefined : resolve(home, file.root);
  const backend = file.backends.length === 0 ? undefined : file.backends;
  return { ...serving, id, amnesiaBytes, root, backend, amnesia: file.amnesia };
}

function nodeLimits(flags: NodeFlags, file: NodeConfig): Partial<NodeLimits> {
  return {
    ...limitsOf(flags, file),
    maxBodyBytes: flags.maxBody ?? file.maxBodyBytes,
    maxForeignBodyBytes: flags.maxBody ?? file.maxForeignBodyBytes,
    hotBytes: flags.cacheBytes ?? file.cacheBytes,
    hotBlobBytes: file.cacheBlobBytes,
    minFreeBytes: file.minFreeBytes,
  };
}
