import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { CliVault } from '../helpers/cli.ts';
import { addressOfPath, blobsIn, flipBit } from '../helpers/files.ts';
import { type ServiceProcess, startService } from '../helpers/services.ts';
import { noise } from '../helpers/vault.ts';

const NODES = 5;
const BYTES = noise(900_001, 5);

interface World {
  readonly vault: CliVault;
  readonly nodes: readonly (ServiceProcess & { readonly root: string })[];
}

/** A vault over nodes, each a process of its own with a folder of its own. */
async function startWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-over-nodes-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const nodes = await Promise.all(
    Array.from({ length: NODES }, async (_, i) => {
      const root = join(folder, `n${i + 1}`);
      const service = await startService(['node', '--root', root, '--init', '--max-body', '67108864']);
      return { ...service, root };
    }),
  );
  const toml = nodes.map(
    ({ url }, i) => `[[providers]]\nid = "n${i + 1}"\nadapter = "http"\nurl = "${url}"\n`,
  );
  const vault = await CliVault.create(toml.join('\n'), folder);
  return { vault, nodes };
}

it('blobs that rot under a running node are never served, and the gateway above returns the object', async () => {
  const { vault, nodes } = await startWorld();
  const put = await vault.run(['put', '-', '--name', 'object', '--json'], { input: BYTES });
  expect([put.code, put.stderr]).toEqual([0, '']);
  const gateway = await startService(['gateway', ...vault.flags]);
  const rotten = nodes[0]!;
  const paths = await blobsIn(rotten.root);
  expect(paths.length).toBeGreaterThan(0);
  for (const path of paths) {
    const url = `${rotten.url}/o/${addressOfPath(path)}`;
    const before = await fetch(url);
    expect([before.status, (await before.arrayBuffer()).byteLength > 0]).toEqual([200, true]);
    await flipBit(path, 12_345);
    for (const headers of [{}, { range: 'bytes=0-99' }]) {
      const answer = await fetch(url, { headers });
      expect(answer.status).toBe(500);
      expect(await answer.json()).toEqual({
        error: 'HashMismatch',
        message: expect.any(String),
        corr_id: answer.headers.get('x-corr-id'),
      });
    }
  }
  expect(await rotten.metric('integrity_fail_total')).toBeGreaterThanOrEqual(paths.length);
  for (const path of ['/n/object', `/m/${JSON.parse(put.stdout.toString()).manifest}`]) {
    const answer = await fetch(gateway.url + path);
    expect(answer.status).toBe(200);
    expect(Buffer.from(await answer.arrayBuffer()).equals(BYTES)).toBe(true);
  }
  expect(await gateway.stop()).toBe(0);
});
