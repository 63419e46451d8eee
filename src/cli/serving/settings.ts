import { resolve } from 'node:path';
import type { ServingConfig } from '../../config/types.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { HttpLimits } from '../../http/limits.ts';

/** Flags of every command that serves HTTP. */
export interface ServingFlags {
  readonly bind?: string;
  readonly unix?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly clientCa?: string;
  readonly maxInflight?: number;
  readonly maxRps?: number;
  readonly maxClientRps?: number;
  readonly accessLog?: string;
  readonly allowedHost?: readonly string[];
  readonly json: boolean;
}

/** Where and how to listen: the flags, and what the configuration says where they say nothing. */
export interface ServingSettings {
  readonly bind: string | undefined;
  readonly unix: string | undefined;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly clientCa: string | undefined;
  /** A path, `-` for standard error, or `off`. */
  readonly accessLog: string;
  readonly allowedHosts: readonly string[];
  /** Tell in JSON where it listens. */
  readonly json: boolean;
}

/** @param home where the configuration's paths start. */
export function servingSettings(flags: ServingFlags, file: ServingConfig, home: string): ServingSettings {
  const path = (flag: string | undefined, kept: string): string | undefined =>
    flag ?? (kept === '' ? undefined : resolve(home, kept));
  const { accessLog } = file;
  return {
    bind: flags.bind ?? (file.bind || undefined),
    unix: path(flags.unix, file.unix),
    token: flags.token,
    tokenFile: flags.token === undefined ? path(flags.tokenFile, file.tokenFile) : flags.tokenFile,
    tlsCert: path(flags.tlsCert, file.tlsCert),
    tlsKey: path(flags.tlsKey, file.tlsKey),
    clientCa: path(flags.clientCa, file.clientCa),
    accessLog:
      flags.accessLog ?? (accessLog === '-' || accessLog === 'off' ? accessLog : resolve(home, accessLog)),
    allowedHosts: flags.allowedHost?.map((name) => name.toLowerCase()) ?? file.allowedHosts,
    json: flags.json,
  };
}

export function httpLimits(flags: ServingFlags, file: ServingConfig): Partial<HttpLimits> {
  return {
    maxInflight: flags.maxInflight ?? file.maxInflight,
    maxRps: flags.maxRps ?? (file.maxRps || undefined),
    maxClientRps: flags.maxClientRps ?? (file.maxClientRps || undefined),
    maxConnections: file.maxConnections,
    maxClientConnections: file.maxClientConnections || undefined,
    maxPipelined: file.maxPipelined,
    headersMs: file.headersMs,
    requestMs: file.requestMs,
    idleMs: file.idleMs,
    keepAliveMs: file.keepAliveMs,
    graceMs: file.graceMs,
    minBytesPerSecond: file.minBytesPerSecond,
    drainMs: file.drainMs,
  };
}

/** What the flags and the configuration ask for cannot be done. */
export function usage(message: string, hint: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', message, { code: 'usage', hint });
}
