import { homePaths } from '../../compose/home.ts';
import { findConfig } from '../../compose/load-config.ts';
import { openVault, type Vault } from '../../compose/open-vault.ts';
import type { Observers } from '../../compose/vault.ts';
import type { Config } from '../../config/types.ts';
import { linkedAbort } from '../../core/abort.ts';
import { systemClock as clock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { secureRandom as random } from '../../core/random.ts';
import { createGateway, createVaultStore, type StoragePolicy } from '../../gateway/index.ts';
import { createAuthenticator } from '../../http/auth/tokens.ts';
import type { LineLog } from '../../http/line-log.ts';
import type { Listener } from '../../http/listener.ts';
import { createTelemetry, type Telemetry } from '../../telemetry/index.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { type Io, note } from '../io.ts';
import { readPassphrase } from '../passphrase.ts';
import { runCommand } from '../run-command.ts';
import {
  type DefaultAccess,
  limitsOf,
  listenersOf,
  openLog,
  openTokens,
  type ServingFlags,
  serve,
} from '../serving.ts';
import { version } from '../version.ts';

interface GatewayFlags extends Omit<CommonFlags, 'metricsFile'>, ServingFlags {
  readonly sealed: boolean;
  readonly public: boolean;
  readonly nameMaxAge?: number;
}

/** How often providers are asked, so that reads avoid those that do not answer. */
const PROBE_EVERY_MS = 30_000;

/** What is served is plaintext: without a token it is for this machine only, unless it is said to be public. */
const accessOf = ({ public: everyone, sealed }: GatewayFlags): DefaultAccess => ({
  variable: 'HOLDFAST_GATEWAY_TOKEN',
  besideToken: everyone ? ['read'] : [],
  local: ['read', 'admin'],
  open: everyone || sealed ? ['read'] : undefined,
});

/** Serves the objects of a vault over HTTP until it is told to stop. */
export default async function gateway(this: CliContext, flags: GatewayFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const listeners = await listenersOf(flags, io);
    const log = openLog(flags, io);
    const telemetry = await createTelemetry();
    const answered: { first?: string } = {};
    const vault = await open(flags, io, observersOf(telemetry, log, answered));
    try {
      await serveVault(flags, io, { vault, listeners, log, telemetry, answered });
    } finally {
      await vault.close();
      log.flush();
    }
    return undefined;
  });
}

interface Parts {
  readonly vault: Vault;
  readonly listeners: readonly Listener[];
  readonly log: LineLog;
  readonly telemetry: Telemetry;
  readonly answered: { readonly first?: string };
}

async function serveVault(flags: GatewayFlags, io: Io, parts: Parts): Promise<void> {
  const { vault, listeners, log, telemetry, answered } = parts;
  const { context, catalog, config } = vault.internals;
  const tokens = await openTokens(flags, io, listeners, log, accessOf(flags));
  const server = createGateway({
    store: createVaultStore({
      context,
      sealed: flags.sealed,
      providers: () => catalog.snapshot(),
      firstAnswered: () => answered.first,
      metrics: telemetry.services,
    }),
    blake3: context.blake3,
    clock,
    random,
    auth: createAuthenticator(tokens.table),
    metrics: telemetry.services,
    exposition: telemetry,
    log,
    policy: policyOf(config),
    version: (await version(false, io.env)).replace('holdfast ', ''),
    limits: limitsOf(flags),
    nameMaxAgeSeconds: flags.nameMaxAge,
  });
  const stop = linkedAbort(io.signal, 'gateway');
  const probing = keepProbing(vault, log, stop.signal);
  try {
    await serve(server, listeners, io, flags.json);
  } finally {
    await server.close();
    tokens.stop();
    stop.abort(new HoldfastError('Aborted', 'the gateway has stopped'));
    stop.dispose();
    await probing;
  }
}

async function open(flags: GatewayFlags, io: Io, observers: Partial<Observers>): Promise<Vault> {
  const config = await findConfig({ file: flags.config, home: flags.home, env: io.env, cwd: io.cwd });
  for (const warning of config.warnings) note(io, `warning: ${warning.code}: ${warning.message}`);
  const passphrase = (): Promise<string> =>
    readPassphrase(io, `Passphrase of ${homePaths(config.home).keyFile}: `);
  // A key that nothing was ever sealed with opens nothing.
  const key = flags.sealed ? { rootKey: random(32) } : { passphrase };
  return openVault({ config, env: io.env, observers, ...key });
}

const observersOf = (
  telemetry: Telemetry,
  log: LineLog,
  answered: { first?: string },
): Partial<Observers> => ({
  pipeline: telemetry.pipeline,
  providers: telemetry.providers,
  engines: telemetry.engines,
  onAttempt({ provider, error }) {
    if (error === undefined) answered.first ??= provider;
  },
  log(level, event, fields) {
    if (level === 'warn') log.event('warn', event, { ...fields });
  },
});

/** Ends when the signal fires. */
async function keepProbing({ internals }: Vault, log: LineLog, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await internals.probe(signal);
    } catch (error) {
      if (!signal.aborted) log.event('warn', 'probe_failed', { message: String(error) });
    }
    await clock.sleep(PROBE_EVERY_MS, signal).catch(() => {});
  }
}

function policyOf({ erasure, compression, rollout }: Config): StoragePolicy {
  const needsEmergencySwitch = rollout.requireEmergencySwitch;
  return {
    erasure: {
      algorithm: erasure.algorithm,
      fallbackAllowed: rollout.allowFallbackCoder,
      needsEmergencySwitch,
    },
    compression: {
      algorithm: compression.algorithm,
      fallbackAllowed: rollout.allowFallbackCompressor,
      needsEmergencySwitch,
    },
  };
}
