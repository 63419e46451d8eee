import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CliVault, providersToml, said, start } from '../helpers/cli.ts';

describe('the configuration', () => {
  it('is refused with file, line, key and what is allowed', async () => {
    const cli = await CliVault.create();
    const file = join(cli.home, 'bad.toml');
    const bad: [string, RegExp][] = [
      ['[chunks]\nmoed = "adaptive"\n', /bad\.toml:2.*moed/s],
      ['[chunks]\nmode = "sometimes"\n', /bad\.toml:2.*mode.*adaptive/s],
      ['\n\n[limits]\nmemory_bytes = "1 MiB"\n', /bad\.toml:4.*memory_bytes/s],
      ['[limits]\nmax_inflight = "many"\n', /bad\.toml:2.*max_inflight/s],
      ['[chunks\n', /bad\.toml:1/s],
      ['[chunkz]\n', /bad\.toml:1.*chunkz/s],
      [
        `${providersToml(2)}\n[[providers]]\nid = "p1"\nadapter = "fs"\nroot = "r"\n`,
        /bad\.toml:12: providers\[2\]\.id/,
      ],
      ['[[providers]]\nid = "q"\nadapter = "floppy"\n', /bad\.toml:3.*floppy|bad\.toml:3.*adapter/s],
      ['[[providers]]\nid = "../x"\nadapter = "fs"\nroot = "r"\n', /bad\.toml:2.*id/s],
      ['[compression]\nalgorithm = "rle"\n', /rle/],
      ['[erasure]\nalgorithm = "reed-solomon"\ndata_shards = 250\nparity_shards = 100\n', /255/],
    ];
    for (const [text, expected] of bad) {
      await writeFile(file, text);
      const outcome = await start(['ls', '--home', cli.home, '--config', file], { input: new Uint8Array(0) })
        .outcome;
      expect([2, 6], `${text}: ${said(outcome)}`).toContain(outcome.code);
      expect(outcome.stderr, text).toMatch(expected);
      expect(outcome.stderr).not.toMatch(/ at .*\.js:/);
    }
    await writeFile(file, '[chunkz]\n[foo]\n');
    const two = await start(['config', '--config', file], { input: new Uint8Array(0) }).outcome;
    expect(two.stderr.match(/^.*bad\.toml:\d+: \w+: is not a known section/gm)).toHaveLength(2);
    const missing = await start(['ls', '--config', '/no/such.toml'], { input: new Uint8Array(0) }).outcome;
    expect(missing.code).toBe(2);
    expect(missing.stderr).toContain('/no/such.toml');
    console.log(`configuration: ${bad.length} bad files refused with file, line and key`);
    await cli.remove();
  });
});
