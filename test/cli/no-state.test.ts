import { readdir } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CliVault, said } from '../helpers/cli.ts';

/** Work that needs no key: that there is nothing to do must be true of a vault. */
const KEYLESS = [
  ['repair-run'],
  ['scrub'],
  ['audit'],
  ['evacuate', 'p1', '--dry-run'],
  ['rebalance', '--dry-run'],
] as const;

describe('work that needs no key', () => {
  it('is refused where no vault has a state, and makes none', async () => {
    const vault = await CliVault.create();
    onTestFinished(() => vault.remove());
    for (const [command, ...words] of KEYLESS) {
      const done = await vault.run([command, ...words]);
      expect(done.code, said(done)).toBe(3);
      expect(said(done)).toContain('there is no state at');
      expect(said(done)).toContain('holdfast recover');
    }
    expect(await readdir(vault.home)).not.toContain('engine');
  });

  it('takes no provider for lost that nobody knows', async () => {
    const vault = await CliVault.create();
    onTestFinished(() => vault.remove());
    const done = await vault.run(['providers lost', 'p77', 'on']);
    expect(done.code, said(done)).toBe(3);
    expect(said(done)).toContain('no provider "p77" is configured');
    expect((await vault.run(['providers lost', 'p7', 'on'])).code).toBe(0);
  });
});
