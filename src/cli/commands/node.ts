import { resolve } from 'node:path';
import { accelerationFrom } from '../../core/acceleration.ts';
import { selectBlake3 } from '../../core/b3/select.ts';
import { systemClock as clock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { secureRandom as random } from '../../core/random.ts';
import { createAuthenticator } from '../../http/auth/tokens.ts';
import { createNode, gunzip, type NodeLimits, selectZstdInflater } from '../../node/index.ts';
import type { BlobAdapter } from '../../providers/adapter.ts';
import type { AdapterDeps } from '../../providers/driver.ts';
import { createTelemetry } from '../../telemetry/index.ts';
import type { CliContext } from '../flags.ts';
import type { Io } from '../io.ts';
import { runCommand } from '../run-command.ts';
import {
  type DefaultAccess,
  limitsOf,
  listenersOf,
  openLog,
  openTokens,
  type ServingFlags,
  serve,
  usage,
} from '../serving.ts';
import { version } from '../version.ts';

interface NodeFlags extends ServingFlags {
  readonly root?: string;
  readonly init: boolean;
  readonly id?: string;
  readonly amnesia: boolean;
  readonly amnesiaBytes?: number;
  readonly maxBody?: number;
}

const DEFAULT_ID = 'node';
const AMNESIA_BYTES = 256 * 1024 * 1024;
/** Blobs are ciphertext: reading stays open. A node that only this machine can reach just works on a first try. */
const ACCESS: DefaultAccess = {
  variable: 'HOLDFAST_NODE_TOKEN',
  besideToken: ['read'],
  local: ['read', 'write', 'delete'],
  open: ['read'],
};

/** Serves one folder (or the memory) over HTTP until it is told to stop. */
export default async function node(this: CliContext, flags: NodeFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const listeners = await listenersOf(flags, io);
    const blake3 = await selectBlake3(accelerationFrom(io.env));
    const adapter = await openAdapter(flags, io, { clock, random, blake3 });
    const log = openLog(flags, io);
    const tokens = await openTokens(flags, io, listeners, log, ACCESS);
    const telemetry = await createTelemetry();
    const server = createNode({
      adapter,
      blake3,
      clock,
      random,
      log,
      auth: createAuthenticator(tokens.table),
      metrics: telemetry.services,
      exposition: telemetry,
      inflaters: { gzip: gunzip, zstd: await selectZstdInflater(accelerationFrom(io.env)) },
      version: (await version(false, io.env)).replace('holdfast ', ''),
      limits: nodeLimits(flags),
      amnesia: flags.amnesia,
    });
    try {
      await serve(server, listeners, io, flags.json);
    } finally {
      await server.close();
      tokens.stop();
      await adapter.close();
      log.flush();
    }
    return undefined;
  });
}

async function openAdapter(flags: NodeFlags, io: Io, deps: AdapterDeps): Promise<BlobAdapter> {
  if (flags.amnesia) {
    if (flags.root !== undefined)
      throw usage('an amnesiac node keeps nothing', 'Leave out --root, or --amnesia.');
    const { createMemoryAdapter } = await import('../../providers/memory/index.ts');
    return createMemoryAdapter({
      ...deps,
      id: flags.id ?? DEFAULT_ID,
      capacityBytes: flags.amnesiaBytes ?? AMNESIA_BYTES,
    });
  }
  if (flags.root === undefined)
    throw usage('a folder is needed', 'Pass --root DIR, and --init the first time.');
  const { createFsAdapter, initFsProvider, readProviderId } = await import('../../providers/fs/index.ts');
  const root = resolve(io.cwd, flags.root);
  const id = flags.id ?? (await readProviderId(root)) ?? DEFAULT_ID;
  if (flags.init) await initFsProvider(root, id);
  const adapter = createFsAdapter({ ...deps, id, root });
  // A wrong or missing folder is told now rather than to the first client.
  await adapter.probe({ signal: io.signal }).catch((error: unknown) => {
    if (!(error instanceof HoldfastError) || error.code !== 'provider_missing') throw error;
    throw error.with({ hint: 'Mount the disk again, or pass --init to make a new folder.' });
  });
  return adapter;
}

function nodeLimits(flags: NodeFlags): Partial<NodeLimits> {
  const { maxBody } = flags;
  const body = maxBody === undefined ? {} : { maxBodyBytes: maxBody, maxForeignBodyBytes: maxBody };
  return { ...limitsOf(flags), ...body };
}
