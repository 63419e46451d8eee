import { afterAll, beforeAll, expect, it } from 'vitest';
import { CliVault, providersToml, said } from '../helpers/cli.ts';

let cli: CliVault;
beforeAll(async () => {
  cli = await CliVault.create(
    `${providersToml(4)}\n[engine]\noverrides = { provider_profiles = "memory" }\n`,
  );
});
afterAll(() => cli.remove());

it('providers says which engine keeps what, and warns only of what would be forgotten', async () => {
  const shown = await cli.run(['providers']);
  expect(shown.code, said(shown)).toBe(0);
  expect(shown.stdout.toString()).toContain('engine  level  provider_profiles in memory');
  expect(shown.stderr.toString()).not.toContain('forgotten');
});

it('providers warns where the records of a vault are kept in memory', async () => {
  const forgetful = await CliVault.create(`${providersToml(4)}\n[engine]\ndefault = "memory"\n`);
  const shown = await forgetful.run(['providers', '--json']);
  expect(JSON.parse(shown.stdout.toString())).toHaveLength(4);
  expect(shown.stderr.toString()).toMatch(
    /warning: .*names.* are kept in memory and forgotten.*"level" is recommended/s,
  );
  await forgetful.remove();
});
