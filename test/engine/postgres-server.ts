import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { afterAll } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { secureRandom } from '../../src/core/random.ts';
import type { PostgresEngineOptions } from '../../src/engine/index.ts';
import { createPostgresEngine, type SharedEngine } from '../../src/engine/postgres/engine.ts';
import { type RunningServer, startServer } from '../servers/servers.ts';

/** A PostgreSQL for the tests of a file, and engines on it, each with the schema that it names. */
export interface TestPostgres {
  readonly server: RunningServer;
  readonly url: string;
  engine(schema: string, options?: Partial<PostgresEngineOptions>): SharedEngine;
  /** One statement, beside all engines. */
  sql(statement: string): Promise<readonly Record<string, unknown>[]>;
}

const CANNOT_CONNECT_NOW = '57P03';

export const freshSchema = (): string => `t${randomBytes(6).toString('hex')}`;

/** @returns undefined, having said so, where PostgreSQL is not installed. @param of who it is a standby of, if of any. */
export async function startPostgres(of?: TestPostgres): Promise<TestPostgres | undefined> {
  const server = await startServer('postgres', of && { PGTEST_PRIMARY: String(of.server.port) });
  if (server === undefined) return undefined;
  afterAll(() => server.stop());
  const url = `postgres://holdfast@127.0.0.1:${server.port}/postgres`;
  return {
    server,
    url,
    engine: (schema, options = {}) =>
      createPostgresEngine({
        url: async () => url,
        schema,
        connections: 4,
        statementMs: 20_000,
        waitMs: 60_000,
        clock: systemClock,
        random: secureRandom,
        ...options,
      }),
    async sql(statement) {
      for (let left = 60; ; left--) {
        const one = postgres(url, { max: 1, fetch_types: false, onnotice: () => {} });
        try {
          return await one.unsafe(statement);
        } catch (error) {
          // After a kill it goes through its log before it takes anybody.
          if ((error as { code?: string }).code !== CANNOT_CONNECT_NOW || left === 0) throw error;
        } finally {
          await one.end({ timeout: 1 });
        }
        await systemClock.sleep(500);
      }
    },
  };
}
