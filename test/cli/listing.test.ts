import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CliVault, said } from '../helpers/cli.ts';

describe('ls', () => {
  let cli: CliVault;
  beforeAll(async () => {
    cli = await CliVault.create();
    for (const name of ['a/1', 'a/2', 'b', 'c/x/1'])
      await cli.run(['put', '-', '--name', name], { input: Buffer.from(name) });
  });
  afterAll(() => cli.remove());
  const ls = async (...args: readonly string[]) => {
    const outcome = await cli.run(['ls', ...args]);
    expect(outcome.code, said(outcome)).toBe(0);
    return { lines: outcome.stdout.toString().split('\n').slice(0, -1), told: outcome.stderr.toString() };
  };

  it('lists in order, as folders are with a delimiter', async () => {
    expect((await ls()).lines).toEqual(['a/1', 'a/2', 'b', 'c/x/1']);
    expect((await ls('--delimiter', '/')).lines).toEqual(['a/', 'b', 'c/']);
    expect((await ls('--delimiter', '/', 'c/')).lines).toEqual(['c/x/']);
  });

  it('lists a part at a time, and says how to go on', async () => {
    const first = await ls('--limit', '2', '--delimiter', '/');
    expect(first.lines).toEqual(['a/', 'b']);
    expect(first.told).toContain("--after 'b'");
    const rest = await ls('--after', 'b', '--delimiter', '/');
    expect([rest.lines, rest.told]).toEqual([['c/'], '']);
  });

  it('shows prefixes in the long form, and in JSON', async () => {
    const { lines } = await ls('-l', '--delimiter', '/');
    expect(lines[1]).toMatch(/^ *- +- +- +a\/$/);
    expect(lines.at(-1)).toMatch(/^1 object, 1 B/);
    expect(JSON.parse((await ls('--json', '--delimiter', '/')).lines.join(''))).toMatchObject([
      { prefix: 'a/' },
      { name: 'b', size: 1 },
      { prefix: 'c/' },
    ]);
  });
});
