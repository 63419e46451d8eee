import { configFrom } from '../config/load.ts';
import type { ReceiptsConfig } from '../config/types.ts';
import { checkOptions } from '../core/options.ts';
import { VERSION } from '../core/version.ts';
import type { ProviderOverrides } from '../gateway/credit.ts';
import type { Executions } from '../gateway/executions.ts';
import { createGateway, type GatewayOptions } from '../gateway/gateway.ts';
import { type CacheBudgets, createVaultStore } from '../gateway/vault-store.ts';
import type { HttpLimits } from '../http/limits.ts';
import { type ServiceLog, silentLog } from '../http/log.ts';
import type { Service } from '../http/service.ts';
import { createTelemetry, type Telemetry } from '../telemetry/index.ts';
import type { ComposedVault } from './assemble.ts';
import { gatewayLoopsOver } from './daemon.ts';
import { explorerOver } from './explorer.ts';
import { serveReceipts } from './gateway-receipts.ts';
import { withWorkLeft } from './measures.ts';
import { movesOf } from './moves.ts';
import { internalsOf } from './opened-vault.ts';
import { repairsOf } from './repair.ts';
import {
  authenticatorFor,
  listening,
  type RunningService,
  SERVE_OPTIONS,
  type ServeOptions,
} from './start-service.ts';
import type { Vault } from './vault.ts';

export interface StartGatewayOptions extends ServeOptions {
  /** What is read from. Open it with `background: 'at once'`; closed by its owner, after the gateway. */
  readonly vault: Vault;
  /** Everyone may read, wherever they come from. Default false: with a token who has it, without one this machine. */
  readonly publicReads?: boolean | undefined;
  /** It serves a site from an origin of its own: pages may run scripts. Default false. */
  readonly static?: boolean | undefined;
  /** It repairs by itself too, where the configuration does not say that nothing does. Default: what it says of gateways. */
  readonly withRepair?: boolean | undefined;
  /** How long clients may keep what a name stands for, in seconds. Default 0. */
  readonly nameMaxAgeSeconds?: number | undefined;
  /** Default: what the vault's configuration says. */
  readonly caches?: Partial<CacheBudgets> | undefined;
  /** What is written down of reads. Default: what the vault's configuration says; `{ folder: '' }`: nothing. */
  readonly receipts?: Partial<ReceiptsConfig> | undefined;
  /** Says for single objects who is credited for reads of them. */
  readonly overrides?: ProviderOverrides | undefined;
  readonly limits?: Partial<HttpLimits> | undefined;
  /** Default: nothing is logged. */
  readonly log?: ServiceLog | undefined;
}

/** A gateway that is listening. */
export interface RunningGateway extends RunningService {
  /** Has written down what dynamic pages cost, until it is closed; undefined where no receipts are kept. */
  readonly executions: Executions | undefined;
}

/**
 * Serves the objects of a vault over HTTP, as `holdfast gateway` does: read, by name or manifest. What it serves is
 * plaintext; a vault that was opened `sealed` gives public parts only. Resolves once it listens. See docs/gateway.md.
 * @throws HoldfastError `ConfigInvalid` (`listen_failed`, `bad_tls_files`, `bad_option`, `unknown_option`); as `openReceipts`.
 */
export async function startGateway(options: StartGatewayOptions): Promise<RunningGateway> {
  checkOptions<StartGatewayOptions>('startGateway', options, {
    ...SERVE_OPTIONS,
    vault: true,
    publicReads: true,
    static: true,
    withRepair: true,
    nameMaxAgeSeconds: true,
    caches: true,
    receipts: true,
    overrides: true,
    limits: true,
    log: true,
  });
  const { vault, publicReads = false, log = silentLog } = options;
  const composed = internalsOf(vault);
  const { manifestCacheBytes, chunkCacheBytes } = composed.config.gateway;
  const everyone = publicReads || composed.sealed;
  const auth = authenticatorFor('startGateway', options, {
    besideToken: publicReads ? ['read'] : [],
    local: ['read', 'admin'],
    open: everyone ? ['read'] : [],
  });
  const telemetry = await createTelemetry();
  const { config, env } = composed;
  const given = { receipts: { ...config.receipts, ...options.receipts } };
  const settings = configFrom(given, env, config.home).receipts;
  const receipts = await serveReceipts(composed, settings, { telemetry, log });
  const gateway = gatewayOver(composed, {
    ...{ ...options, publicReads, auth, log, telemetry, receipts: receipts?.reads },
    caches: { manifestBytes: manifestCacheBytes, chunkBytes: chunkCacheBytes, ...options.caches },
  });
  const running = await listening(gateway, options).catch(async (error: unknown) => {
    await receipts?.close();
    throw error;
  });
  const { gateway: file, repair } = composed.config;
  const repairs = repair.enabled && (options.withRepair ?? file.withRepair);
  const loops = gatewayLoopsOver(vault, { telemetry, log }, { repairs });
  loops.start();
  const stop = async (): Promise<void> => {
    await Promise.all([running.close(), loops.stop(file.drainMs)]);
    await receipts?.close();
  };
  let stopped: Promise<void> | undefined;
  const close = (): Promise<void> => {
    stopped ??= stop();
    return stopped;
  };
  return { ...running, executions: receipts?.executions, close, [Symbol.asyncDispose]: close };
}

/** What a gateway is given that does not come from its vault. */
export interface GatewayParts
  extends Pick<
    GatewayOptions,
    | 'auth'
    | 'log'
    | 'limits'
    | 'nameMaxAgeSeconds'
    | 'allowedHosts'
    | 'publicReads'
    | 'static'
    | 'overrides'
    | 'receipts'
  > {
  readonly telemetry: Telemetry;
  readonly caches: CacheBudgets;
}

/** A gateway over a vault; it does not listen yet. */
export function gatewayOver(composed: ComposedVault, { telemetry, caches, ...parts }: GatewayParts): Service {
  const { context, catalog, sealed, firstAnswered, pace } = composed;
  const { blake3, clock, random } = context;
  return createGateway({
    ...parts,
    store: createVaultStore({
      context,
      sealed,
      probe: (signal) => catalog.probeAll({ mode: 'passing', signal }),
      readPace: (signal) => pace.check({ signal }),
      firstAnswered,
      metrics: telemetry.services,
      caches,
    }),
    explorer: explorerOver(composed),
    repairs: repairsOf(composed),
    moves: movesOf(composed),
    blake3,
    clock,
    random,
    metrics: telemetry.services,
    // Without the key nobody can tell what waits from what was left.
    exposition: sealed ? telemetry : withWorkLeft(composed, telemetry),
    policy: composed.config.policy,
    version: VERSION,
  });
}
