import { bytes, type Field, guarded, integer, path, type SectionFields, text } from './fields.ts';
import type { ServingConfig } from './types.ts';

const DAY_MS = 86_400_000;
const KIB = 2 ** 10;
const limit: Field<number> = integer(0, 0, 1_000_000_000);

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
  headersMs: integer(10_000, 100, DAY_MS),
  requestMs: integer(300_000, 100, DAY_MS),
  idleMs: integer(30_000, 100, DAY_MS),
  keepAliveMs: integer(30_000, 100, DAY_MS),
  graceMs: integer(15_000, 100, DAY_MS),
  minBytesPerSecond: bytes(16 * KIB, 1, 2 ** 30),
  drainMs: integer(30_000, 0, DAY_MS),
});
