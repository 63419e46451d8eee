import { join } from 'node:path';
import { systemClock } from '../src/core/clock.ts';
import { secureRandom } from '../src/core/random.ts';
import { loadPostgresEngine } from '../src/engine/index.ts';

export const SCHEMA = 'shared';
const LEASE_MS = 3_000;
const PROVIDERS = 9;

/** The configuration of every machine that shares the vault. */
export function sharedConfig(folder: string): string {
  const providers = Array.from({ length: PROVIDERS }, (_, i) => {
    const id = `p${i + 1}`;
    return `[[providers]]\nid = "${id}"\nadapter = "fs"\nroot = "${join(folder, id)}"\ndomain = { provider = "${id}" }\n`;
  });
  return `[engine]\ndefault = "postgres"\npostgres_schema = "${SCHEMA}"\npostgres_lease_ms = ${LEASE_MS}
[erasure]\ndata_shards = 4\nlocal_parity = 2\nglobal_parity = 1
[fountain]\nkind = "none"\nshards = 0
[repair]\ninterval_seconds = 1
${providers.join('')}`;
}

/** Leases of segments, as workers take them, many in one batch. */
export async function claimsPerSecond(url: string): Promise<number> {
  const engine = await loadPostgresEngine({
    ...{ url: async () => url, schema: SCHEMA, connections: 4, statementMs: 20_000, waitMs: 30_000 },
    ...{ clock: systemClock, random: secureRandom },
  });
  const value = new Uint8Array(120);
  const ms = 4_000;
  let claims = 0;
  const began = performance.now();
  const lane = async (number: number): Promise<void> => {
    for (let i = 0; performance.now() - began < ms; i++) {
      const keys = Array.from({ length: 500 }, (_, k) => `claim ${number} ${i} ${k}`);
      const ops = keys.map((key) => ({ table: 'bench_claims', key, value }));
      const free = keys.map((key) => ({ table: 'bench_claims', key, expected: undefined }));
      if (await engine.batch(ops, free, { sync: true })) claims += keys.length;
    }
  };
  await Promise.all([lane(1), lane(2)]);
  const perSecond = Math.round(claims / ((performance.now() - began) / 1000));
  await engine.close();
  return perSecond;
}
