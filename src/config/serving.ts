import {
  bytes,
  type Field,
  guarded,
  integer,
  listOf,
  path,
  type SectionFields,
  text,
} from '../core/fields.ts';
import type { ServingConfig } from './types.ts';

const DAY_MS = 86_400_000;
const KIB = 2 ** 10;
const limit: Field<number> = integer(0, 0, 1_000_000_000);

/** With `*.` before it, all names under it. */
const HOST_NAME = /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?$|^[0-9a-f]*:[0-9a-f:.]*$/;
const hostNames = listOf(
  text('', HOST_NAME, 'a host name in lower case without a port, such as "files.example.org" or "*.lan"'),
  [],
  64,
  0,
);

/** What `[node]` and `[gateway]` share. */
export const servingFields = (maxInflight: number): SectionFields<ServingConfig> => ({
  bind: text('', /^(?:.+:\d{1,5})?$/, '"HOST:PORT", or "" for none'),
  unix: path,
  tlsCert: path,
  tlsKey: path,
  clientCa: path,
  tokenFile: guarded(path),
  accessLog: guarded(text('-', /^[^\0]{1,4096}$/, 'a path, "-" for standard error, or "off"')),
  maxInflight: integer(maxInflight, 1, 1_000_000),
  maxRps: limit,
  maxClientRps: limit,
  maxConnections: integer(8192, 1, 1_000_000),
  maxClientConnections: integer(256, 0, 1_000_000),
  maxPipelined: integer(16, 0, 1000),
  allowedHosts: guarded(hostNames),
  headersMs: integer(10_000, 100, DAY_MS),
  requestMs: integer(300_000, 100, DAY_MS),
  idleMs: integer(30_000, 100, DAY_MS),
  keepAliveMs: integer(30_000, 100, DAY_MS),
  graceMs: integer(15_000, 100, DAY_MS),
  minBytesPerSecond: bytes(16 * KIB, 1, 2 ** 30),
  drainMs: integer(30_000, 0, DAY_MS),
});
