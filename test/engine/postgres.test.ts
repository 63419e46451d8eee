import { describe, it } from 'vitest';
import { engineConformance } from './conformance.ts';
import { freshSchema, startPostgres } from './postgres-server.ts';

const postgres = await startPostgres();

if (postgres === undefined) describe.skip('postgres engine', () => it('needs a server', () => {}));
else {
  engineConformance('postgres', {
    make: async () => {
      const schema = freshSchema();
      return {
        engine: postgres.engine(schema),
        cleanUp: async () => void (await postgres.sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)),
      };
    },
  });
}
