import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { type Outcome, start } from '../helpers/cli.ts';
import { blobsIn, flipBit } from '../helpers/files.ts';
import { startAsConfigured, startService } from '../helpers/services.ts';
import { noise } from '../helpers/vault.ts';

/** A folder with a configuration in it. */
async function configured(toml: string): Promise<{ folder: string; flags: string[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-services-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const file = join(folder, 'storage.toml');
  await writeFile(file, toml);
  return { folder, flags: ['--config', file, '--home', folder] };
}

const run = (args: readonly string[]): Promise<Outcome> => start(args, { input: new Uint8Array(0) }).outcome;

const TWO = `
[[providers]]
id = "near"
adapter = "fs"
root = "near"
[[providers]]
id = "far"
adapter = "fs"
root = "far"
`;

it('a node is what the configuration says, and flags win', async () => {
  const { folder, flags } = await configured(`
[node]
bind = "127.0.0.1:0"
root = "blobs"
id = "n9"
token_file = "tokens"
access_log = "access.log"
max_foreign_body_bytes = 10
`);
  await writeFile(join(folder, 'tokens'), 'writer read,write a-token-of-some-length\nanonymous read,write\n');
  const missing = await run(['node', ...flags]);
  expect([missing.code, missing.stderr]).toEqual([4, expect.stringContaining('--init')]);
  const node = await startAsConfigured(['node', '--init', ...flags]);
  expect(await (await fetch(`${node.url}/version`)).json()).toMatchObject({ adapter: 'n9' });
  const post = (length: number, headers = {}) =>
    fetch(`${node.url}/o`, { method: 'POST', headers, body: new Uint8Array(noise(length)) });
  expect([(await post(10)).status, (await post(11)).status]).toEqual([201, 413]);
  expect((await post(11, { authorization: 'Bearer a-token-of-some-length' })).status).toBe(201);
  expect(await blobsIn(join(folder, 'blobs'))).toHaveLength(2);
  expect(await node.stop()).toBe(0);
  const other = await startAsConfigured(['node', ...flags, '--amnesia', '--id', 'forgetful']);
  expect(await (await fetch(`${other.url}/version`)).json()).toMatchObject({
    adapter: 'forgetful',
    amnesia: true,
  });
});

it('a node over backends serves the second when the first rots, and counts it', async () => {
  const { folder, flags } = await configured(`${TWO}\n[node]\nbackends = ["near", "far"]\n`);
  for (const id of ['near', 'far']) expect((await run(['providers', 'init', id, ...flags])).code).toBe(0);
  const bytes = noise(200_000, 8);
  for (const more of [[], ['--backend', 'near', '--backend', 'far']]) {
    const node = await startService(['node', ...flags, ...more]);
    const made = await fetch(`${node.url}/o`, { method: 'POST', body: new Uint8Array(bytes) });
    const { address } = (await made.json()) as { address: string };
    const [path] = await blobsIn(join(folder, 'near'));
    expect(await blobsIn(join(folder, 'far'))).toHaveLength(1);
    await flipBit(path!, 1_000_000);
    const answer = await fetch(`${node.url}/o/${address}`);
    expect([answer.status, Buffer.from(await answer.arrayBuffer()).equals(bytes)]).toEqual([200, true]);
    expect(await node.metric('integrity_fail_total')).toBe(1);
    await flipBit(path!, 1_000_000);
    expect(await node.stop()).toBe(0);
  }
  const wrong = await run(['node', ...flags, '--bind', '127.0.0.1:0', '--backend', 'nowhere']);
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('"nowhere"')]);
});

it('a gateway is what the configuration says', async () => {
  const { flags } = await configured(`
[gateway]
bind = "127.0.0.1:0"
sealed = true
name_max_age_seconds = 60
max_client_rps = 3
access_log = "off"
`);
  const gateway = await startAsConfigured(['gateway', ...flags]);
  expect(await (await fetch(`${gateway.url}/version`)).json()).toMatchObject({ sealed: true });
  const statuses = new Set<number>();
  for (let i = 0; i < 8; i++) statuses.add((await fetch(`${gateway.url}/n/a`)).status);
  expect(statuses).toEqual(new Set([403, 429]));
  expect(await gateway.stop()).toBe(0);
});

it('an access log that cannot be opened is refused', async () => {
  const { folder } = await configured('');
  const log = join(folder, 'nowhere', 'access.log');
  const refused = await run(['node', '--amnesia', '--bind', '127.0.0.1:0', '--access-log', log]);
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('access log')]);
  expect(refused.stderr).not.toContain('    at ');
});

it.skipIf(!existsSync('/dev/full'))('a full disk ends the access log, not the service', async () => {
  const node = await startService(['node', '--amnesia', '--access-log', '/dev/full']);
  // Together more than is held back before it is written.
  const long = `${node.url}/healthz?${'x'.repeat(400)}`;
  for (let i = 0; i < 100; i++) expect((await fetch(long)).status).toBe(200);
  expect(await node.stop()).toBe(0);
});

it('config shows what is in force, and everything that is wrong', async () => {
  const { flags } = await configured('[gateway]\nchunk_cache_bytes = "1 MiB"\n');
  const shown = await run(['config', ...flags]);
  expect([shown.code, shown.stdout.toString()]).toEqual([
    0,
    expect.stringContaining('\nchunk_cache_bytes = 1048576 # default: 67108864\n'),
  ]);
  const json = await run(['config', ...flags, '--json']);
  expect(JSON.parse(json.stdout.toString())).toMatchObject({
    gateway: { chunkCacheBytes: 1048576 },
    node: { maxInflight: 512, backends: [] },
  });
  const bad = await configured('[gateway]\nchunk_cash = 1\n[node]\nbackends = ["x"]\n');
  const refused = await run(['config', ...bad.flags]);
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('gateway.chunk_cash')]);
  expect(refused.stderr).not.toContain('    at ');
});

it('refuses a token that no client could send, such as one from an empty variable', async () => {
  for (const service of ['node', 'gateway']) {
    const { flags } = await configured('[gateway]\nsealed = true\n[node]\namnesia = true\n');
    const args = [service, ...flags, '--bind', '127.0.0.1:0', '--token'];
    for (const token of ['', 'two words']) {
      const refused = await run([...args, token]);
      expect([refused.code, refused.stderr], service).toEqual([2, expect.stringContaining('the token is')]);
    }
  }
});
