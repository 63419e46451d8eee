import {
  coderGate,
  compressorGate,
  FALLBACK_CODER,
  FALLBACK_COMPRESSOR,
  type RolloutGate,
} from '../../config/rollout.ts';
import type { Config } from '../../config/types.ts';
import { systemClock as clock } from '../../core/clock.ts';
import { secureRandom as random } from '../../core/random.ts';
import {
  type CacheBudgets,
  createGateway,
  createVaultStore,
  type FallbackPolicy,
  type StoragePolicy,
} from '../../gateway/index.ts';
import { createAuthenticator } from '../../http/auth.ts';
import type { HttpLimits } from '../../http/limits.ts';
import type { Listener } from '../../http/listener.ts';
import type { LineLog } from '../../http/log.ts';
import { createTelemetry, type Telemetry } from '../../telemetry/index.ts';
import { internalsOf } from '../../vault/opened-vault.ts';
import { configOf } from '../config-of.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import type { Io } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { type DefaultAccess, openTokens } from '../serving/access.ts';
import { type GatewayVault, openGatewayVault } from '../serving/gateway-vault.ts';
import { openLog } from '../serving/log.ts';
import { listenersOf, serve } from '../serving/serve.ts';
import { httpLimits, type ServingFlags, type ServingSettings, servingSettings } from '../serving/settings.ts';
import { versionNumber } from '../version.ts';

interface GatewayFlags extends Omit<CommonFlags, 'metricsFile'>, ServingFlags {
  readonly sealed?: boolean;
  readonly public?: boolean;
  readonly static?: boolean;
  readonly nameMaxAge?: number;
  readonly manifestCacheBytes?: number;
  readonly chunkCacheBytes?: number;
}

/** The flags, and what the configuration says where they say nothing. */
interface Settings extends ServingSettings {
  readonly config: Config;
  readonly sealed: boolean;
  readonly public: boolean;
  readonly static: boolean;
  readonly limits: Partial<HttpLimits>;
  readonly nameMaxAgeSeconds: number;
  readonly caches: CacheBudgets;
}

/** What is served is plaintext: without a token it is for this machine only, unless it is said to be public. */
const accessOf = ({ public: everyone, sealed }: Settings): DefaultAccess => ({
  variable: 'HOLDFAST_GATEWAY_TOKEN',
  besideToken: everyone ? ['read'] : [],
  local: ['read', 'admin'],
  open: everyone || sealed ? ['read'] : undefined,
});

/** Serves the objects of a vault over HTTP until it is told to stop. */
export default async function gateway(this: CliContext, flags: GatewayFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const settings = await settingsOf(flags, io);
    const listeners = listenersOf(settings, io);
    const log = await openLog(settings, io);
    const telemetry = await createTelemetry();
    const opened = await openGatewayVault(settings, io, telemetry, log);
    try {
      await serveVault(settings, io, { ...opened, listeners, log, telemetry });
    } finally {
      await opened.vault.close();
      log.flush();
    }
    return undefined;
  });
}

async function settingsOf(flags: GatewayFlags, io: Io): Promise<Settings> {
  const config = await configOf(flags, io);
  const file = config.gateway;
  return {
    ...servingSettings(flags, file, config.home),
    config,
    sealed: flags.sealed ?? file.sealed,
    public: flags.public ?? file.public,
    static: flags.static ?? file.static,
    limits: httpLimits(flags, file),
    nameMaxAgeSeconds: flags.nameMaxAge ?? file.nameMaxAgeSeconds,
    caches: {
      manifestBytes: flags.manifestCacheBytes ?? file.manifestCacheBytes,
      chunkBytes: flags.chunkCacheBytes ?? file.chunkCacheBytes,
    },
  };
}

interface Parts extends GatewayVault {
  readonly listeners: readonly Listener[];
  readonly log: LineLog;
  readonly telemetry: Telemetry;
}

async function serveVault(settings: Settings, io: Io, parts: Parts): Promise<void> {
  const { vault, firstAnswered, listeners, log, telemetry } = parts;
  const { context, catalog } = internalsOf(vault);
  const tokens = await openTokens(settings, io, listeners, log, accessOf(settings));
  const server = createGateway({
    store: createVaultStore({
      context,
      sealed: settings.sealed,
      providers: () => catalog.snapshot(),
      probe: (signal) => catalog.probeAll({ mode: 'passing', signal }),
      firstAnswered,
      metrics: telemetry.services,
      caches: settings.caches,
    }),
    blake3: context.blake3,
    clock,
    random,
    auth: createAuthenticator(tokens.table),
    metrics: telemetry.services,
    exposition: telemetry,
    log,
    policy: policyOf(settings.config, io.env),
    version: await versionNumber(),
    limits: settings.limits,
    nameMaxAgeSeconds: settings.nameMaxAgeSeconds,
    allowedHosts: settings.allowedHosts,
    publicReads: settings.public,
    static: settings.static,
  });
  try {
    await serve(server, listeners, io, settings.json);
  } finally {
    await server.close();
    tokens.stop();
  }
}

/** In force for what this machine's environment lets be put now. */
function policyOf({ erasure, compression, rollout }: Config, env: Io['env']): StoragePolicy {
  const inForce = (algorithm: string, { allowed, emergency }: RolloutGate): FallbackPolicy => ({
    algorithm,
    fallbackAllowed: allowed,
    needsEmergencySwitch: rollout.requireEmergencySwitch,
    emergency,
  });
  return {
    erasure: inForce(erasure.algorithm, coderGate(FALLBACK_CODER, rollout, env)),
    compression: inForce(compression.algorithm, compressorGate(FALLBACK_COMPRESSOR, rollout, env)),
  };
}
