import { expect, it } from 'vitest';
import { postgresFailure } from '../../src/engine/postgres/failure.ts';

const fromServer = (code: string, message: string): Error => Object.assign(new Error(message), { code });

it('says what the server said, in one line: which name is wrong, or which right is missing', () => {
  const absent = postgresFailure(fromServer('3D000', 'database "vaults" does not exist'));
  expect(absent).toMatchObject({ kind: 'ConfigInvalid', code: 'engine_location' });
  expect(absent.message).toBe('the database lacks what is needed: database "vaults" does not exist');
  const refused = postgresFailure(fromServer('42501', 'permission denied for schema photos\nDETAIL'));
  expect(refused.message).toBe(
    'the database does not let this role in, or not do this: permission denied for schema photos\\u000aDETAIL',
  );
});

it('says nothing of addresses where no server answered', () => {
  const away = fromServer('ECONNREFUSED', 'connect ECONNREFUSED 10.0.0.7:5432');
  expect(postgresFailure(away).message).toBe('the database cannot be reached');
});
