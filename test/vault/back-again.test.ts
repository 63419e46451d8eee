import { expect, it } from 'vitest';
import { VirtualHome } from '../helpers/opened.ts';
import { noise } from '../helpers/vault.ts';

const IDS = ['p1', 'p2', 'p3', 'p4', 'p5'];
const SETTINGS = {
  chunks: { ladder: [64 * 1024], defaultBytes: 64 * 1024 },
  erasure: { algorithm: 'reed-solomon', dataShards: 2, parityShards: 3 },
  limits: { requestMs: 2_000, probeMs: 1_000 },
};

it.each(['down', 'hanging'] as const)(
  'providers that answer again are taken again at once, by the process that found them %s',
  async (away) => {
    const home = new VirtualHome(IDS, SETTINGS);
    for (let i = 0; i < 12; i++) {
      await home.command((vault) => vault.putObject(noise(500, i), { name: `n${i}` }));
    }
    const vault = await home.open();
    for (const id of ['p1', 'p2']) home[away].add(id);
    await home.until(vault.recover());
    for (const id of ['p1', 'p2']) home[away].delete(id);
    const put = vault.putObject(noise(300_000, 99), { name: 'after' });
    await home.until(put);
    expect(await put).toMatchObject({
      certificate: { tolerates: 3 },
      failedAttempts: [],
      nameTolerates: 4,
      pointerUnconfirmed: [],
    });
    await home.until(vault.close());
  },
);
