import type { Config } from '../../config/types.ts';
import { createAuthenticator } from '../../http/auth.ts';
import type { HttpLimits } from '../../http/limits.ts';
import type { Listener } from '../../http/listener.ts';
import type { LineLog } from '../../http/log.ts';
import { createTelemetry, type Telemetry } from '../../telemetry/index.ts';
import { daemonOver } from '../../vault/daemon.ts';
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

interface DaemonFlags extends Omit<CommonFlags, 'metricsFile'>, ServingFlags {
  readonly sealed?: boolean;
}

/** The flags, and what the configuration says where they say nothing. */
interface Settings extends ServingSettings {
  readonly config: Config;
  readonly sealed: boolean;
  readonly limits: Partial<HttpLimits>;
}

/** Where nobody says otherwise: on this machine only. */
const BIND = '127.0.0.1:7790';

/** Nothing of what is stored is served. Figures that name the providers are for this machine, or for who has the token. */
const ACCESS: DefaultAccess = {
  variable: 'HOLDFAST_DAEMON_TOKEN',
  besideToken: [],
  local: ['read', 'admin'],
  open: [],
};

/** Holds a vault open and looks after it until it is told to stop. */
export default async function daemon(this: CliContext, flags: DaemonFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const settings = await settingsOf(flags, io);
    const listeners = listenersOf(settings, io);
    const log = await openLog(settings, io);
    const telemetry = await createTelemetry();
    const { sealed } = settings;
    // Tidying up needs the key: names and their slots are found by it.
    const vault = await openServedVault({ ...settings, housekeeping: !sealed }, io, telemetry, log);
    try {
      await lookAfter(settings, io, { vault, listeners, log, telemetry });
    } finally {
      await vault.close();
      log.flush();
    }
    return undefined;
  });
}

async function settingsOf(flags: DaemonFlags, io: Io): Promise<Settings> {
  const config = await configOf(flags, io);
  const file = config.daemon;
  const serving = servingSettings(flags, file, config.home);
  return {
    ...serving,
    bind: serving.bind ?? (serving.unix === undefined ? BIND : undefined),
    config,
    sealed: flags.sealed ?? file.sealed,
    limits: httpLimits(flags, file),
  };
}

interface Parts {
  readonly vault: Vault;
  readonly listeners: readonly Listener[];
  readonly log: LineLog;
  readonly telemetry: Telemetry;
}

async function lookAfter(settings: Settings, io: Io, parts: Parts): Promise<void> {
  const { vault, listeners, log, telemetry } = parts;
  const { limits, allowedHosts, config } = settings;
  const tokens = await openTokens(settings, io, listeners, log, ACCESS);
  const auth = createAuthenticator(tokens.table);
  const { service, loops } = daemonOver(vault, { auth, log, telemetry, limits, allowedHosts });
  const drain = async (): Promise<void> => {
    await Promise.all([service.drain(), loops.stop(config.daemon.drainMs)]);
  };
  try {
    loops.start();
    await serve({ listen: (listener) => service.listen(listener), drain }, listeners, io, settings.json);
  } finally {
    await service.close();
    await loops.stop(0);
    tokens.stop();
  }
}
