import { resolve } from 'node:path';
import type { Config, ReceiptsConfig } from '../../config/types.ts';
import type { ReadReceipts } from '../../gateway/receipts.ts';
import type { CacheBudgets } from '../../gateway/vault-store.ts';
import { createAuthenticator } from '../../http/auth.ts';
import type { HttpLimits } from '../../http/limits.ts';
import type { Listener } from '../../http/listener.ts';
import type { LineLog } from '../../http/log.ts';
import { createTelemetry, type Telemetry } from '../../telemetry/index.ts';
import { gatewayLoopsOver } from '../../vault/daemon.ts';
import { serveReceipts } from '../../vault/gateway-receipts.ts';
import { internalsOf } from '../../vault/opened-vault.ts';
import { gatewayOver } from '../../vault/start-gateway.ts';
import type { Vault } from '../../vault/vault.ts';
import { configOf } from '../config-of.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import type { Io } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { type DefaultAccess, openTokens } from '../serving/access.ts';
import { openLog } from '../serving/log.ts';
import { listenersOf, serve } from '../serving/serve.ts';
import { openServedVault } from '../serving/served-vault.ts';
import { httpLimits, type ServingFlags, type ServingSettings, servingSettings } from '../serving/settings.ts';

interface GatewayFlags extends Omit<CommonFlags, 'metricsFile'>, ServingFlags {
  readonly sealed?: boolean;
  readonly withRepair?: boolean;
  readonly public?: boolean;
  readonly static?: boolean;
  readonly nameMaxAge?: number;
  readonly manifestCacheBytes?: number;
  readonly chunkCacheBytes?: number;
  readonly receipts?: string;
  readonly maxPathRps?: number;
}

/** The flags, and what the configuration says where they say nothing. */
interface Settings extends ServingSettings {
  readonly config: Config;
  readonly sealed: boolean;
  readonly withRepair: boolean;
  readonly public: boolean;
  readonly static: boolean;
  readonly limits: Partial<HttpLimits>;
  readonly nameMaxAgeSeconds: number;
  readonly caches: CacheBudgets;
  readonly receipts: ReceiptsConfig;
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
    // A gateway deletes nothing, and need not be allowed to.
    const vault = await openServedVault({ ...settings, housekeeping: false }, io, telemetry, log);
    try {
      await serveVault(settings, io, { vault, listeners, log, telemetry });
    } finally {
      await vault.close();
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
    withRepair: (flags.withRepair ?? file.withRepair) && config.repair.enabled,
    public: flags.public ?? file.public,
    static: flags.static ?? file.static,
    limits: { ...httpLimits(flags, file), maxPathRps: flags.maxPathRps ?? (file.maxPathRps || undefined) },
    nameMaxAgeSeconds: flags.nameMaxAge ?? file.nameMaxAgeSeconds,
    caches: {
      manifestBytes: flags.manifestCacheBytes ?? file.manifestCacheBytes,
      chunkBytes: flags.chunkCacheBytes ?? file.chunkCacheBytes,
    },
    receipts: {
      ...config.receipts,
      ...(flags.receipts === undefined ? {} : { folder: resolve(io.cwd, flags.receipts) }),
    },
  };
}

interface Parts {
  readonly vault: Vault;
  readonly listeners: readonly Listener[];
  readonly log: LineLog;
  readonly telemetry: Telemetry;
}

async function serveVault(settings: Settings, io: Io, parts: Parts): Promise<void> {
  const { vault, log, telemetry } = parts;
  const composed = internalsOf(vault);
  const receipts = await serveReceipts(composed, settings.receipts, { telemetry, log });
  try {
    await serveWith(receipts?.reads, settings, io, parts);
  } finally {
    await receipts?.close();
  }
}

async function serveWith(
  receipts: ReadReceipts | undefined,
  settings: Settings,
  io: Io,
  { vault, listeners, log, telemetry }: Parts,
): Promise<void> {
  const tokens = await openTokens(settings, io, listeners, log, accessOf(settings));
  const { limits, caches, nameMaxAgeSeconds, allowedHosts, public: publicReads, static: isStatic } = settings;
  const server = gatewayOver(internalsOf(vault), {
    auth: createAuthenticator(tokens.table),
    log,
    telemetry,
    limits,
    caches,
    nameMaxAgeSeconds,
    allowedHosts,
    publicReads,
    static: isStatic,
    receipts,
  });
  const loops = gatewayLoopsOver(vault, { telemetry, log }, { repairs: settings.withRepair });
  const drain = async (): Promise<void> => {
    await Promise.all([server.drain(), loops.stop(settings.config.gateway.drainMs)]);
  };
  try {
    loops.start();
    await serve({ listen: (listener) => server.listen(listener), drain }, listeners, io, settings.json);
  } finally {
    await server.close();
    await loops.stop(0);
    tokens.stop();
  }
}
