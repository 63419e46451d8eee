import { accelerationFrom } from '../core/acceleration.ts';
import { checkOptions } from '../core/options.ts';
import { VERSION } from '../core/version.ts';
import { type ServiceLog, silentLog } from '../http/log.ts';
import type { NodeLimits } from '../node/context.ts';
import { gunzip, selectZstdInflater } from '../node/inflate.ts';
import { createNode } from '../node/node.ts';
import type { BlobAdapter } from '../providers/adapter.ts';
import { systemDeps } from '../providers/system-deps.ts';
import { createTelemetry } from '../telemetry/index.ts';
import {
  authenticatorFor,
  listening,
  type RunningService,
  SERVE_OPTIONS,
  type ServeOptions,
} from './start-service.ts';

export interface StartNodeOptions extends ServeOptions {
  /** Where the blobs are kept. Closed by its owner, after the node. */
  readonly adapter: BlobAdapter;
  readonly limits?: Partial<NodeLimits> | undefined;
  /** Default: nothing is logged. */
  readonly log?: ServiceLog | undefined;
  /** For `HOLDFAST_NATIVE`. Default: the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

/**
 * Serves an adapter over HTTP, as `holdfast node` does: providers of kind `http` store there. Blobs are ciphertext, so
 * that everyone may read. With a token only who has it may write and delete; without one whoever is on this machine.
 * Resolves once it listens. See docs/node.md.
 * @throws HoldfastError `ConfigInvalid` (`listen_failed`, `bad_tls_files`, `bad_option`, `unknown_option`).
 */
export async function startNode(options: StartNodeOptions): Promise<RunningService> {
  checkOptions<StartNodeOptions>('startNode', options, {
    ...SERVE_OPTIONS,
    adapter: true,
    limits: true,
    log: true,
    env: true,
  });
  const { adapter, limits, log = silentLog, allowedHosts, env = process.env } = options;
  const auth = authenticatorFor('startNode', options, {
    besideToken: ['read'],
    local: ['read', 'write', 'delete'],
    open: ['read'],
  });
  const { clock, random, blake3 } = await systemDeps(env);
  const telemetry = await createTelemetry();
  const node = createNode({
    adapter,
    blake3,
    clock,
    random,
    log,
    auth,
    metrics: telemetry.services,
    exposition: telemetry,
    inflaters: { gzip: gunzip, zstd: await selectZstdInflater(accelerationFrom(env)) },
    version: VERSION,
    limits,
    allowedHosts,
  });
  return listening(node, options);
}
