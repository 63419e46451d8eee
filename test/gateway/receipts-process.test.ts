import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { decodeGrant, type ReadGrant } from '../../src/receipts/records/records.ts';
import { CliVault, start } from '../helpers/cli.ts';
import { startService } from '../helpers/services.ts';
import { noise } from '../helpers/vault.ts';
import { ackOf } from '../receipts/world.ts';
import type { Answer } from './receipt-rig.ts';

async function readsOf(url: string, count: number): Promise<ReadGrant[]> {
  const grants: ReadGrant[] = [];
  for (let i = 0; i < count; i++) {
    const answer = await fetch(`${url}/n/object`);
    await answer.arrayBuffer();
    grants.push(decodeGrant(Buffer.from(answer.headers.get('holdfast-read')!, 'base64url')));
  }
  return grants;
}

async function post(url: string, acks: readonly Uint8Array[]): Promise<Answer['results'] | undefined> {
  const headers = { 'content-type': 'application/cbor-seq' };
  const body = Buffer.concat(acks);
  try {
    const answer = await fetch(`${url}/receipts/acks`, { method: 'POST', headers, body });
    return ((await answer.json()) as Answer).results;
  } catch {
    return undefined; // killed before it answered
  }
}

it('a gateway that is killed in the middle loses no acknowledgement that it had taken, and takes none twice', async () => {
  const vault = await CliVault.create();
  onTestFinished(() => vault.remove());
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-receipts-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  expect((await vault.run(['put', '-', '--name', 'object'], { input: noise(30_000) })).code).toBe(0);
  const serve = () => startService(['gateway', ...vault.flags, '--receipts', folder, '--access-log', 'off']);

  let gateway = await serve();
  const acks: Uint8Array[] = [];
  const told = new Set<string>();
  for (const afterMs of [0, 2, 5, 10]) {
    const mine = (await readsOf(gateway.url, 40)).map((grant) => ackOf(grant));
    acks.push(...mine);
    const answers = mine.map((ack) => post(gateway.url, [ack]));
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    process.kill(gateway.pid, 'SIGKILL');
    for (const [i, results] of (await Promise.all(answers)).entries())
      if (results?.[0]?.accepted) told.add(toHex(mine[i]!));
    gateway = await serve();
  }
  const again = (await post(gateway.url, acks))!;
  expect(again).toHaveLength(160);
  for (const [i, { accepted, reason }] of again.entries()) {
    if (told.has(toHex(acks[i]!))) expect([accepted, reason]).toEqual([false, 'duplicate']);
    else if (!accepted) expect(reason).toBe('duplicate');
  }
  expect((await post(gateway.url, acks))!.filter(({ reason }) => reason === 'duplicate')).toHaveLength(160);

  // Reads that nobody has acknowledged by the end are written down too, and what is there is what its own command shows.
  await readsOf(gateway.url, 3);
  expect(await gateway.stop()).toBe(0);
  const ask = async (...words: string[]) =>
    JSON.parse((await start(['receipts', ...words, '--folder', folder, '--json']).outcome).stdout.toString());
  const epochs = (await ask('list')) as { epoch: number }[];
  const shown = await Promise.all(epochs.map(({ epoch }) => ask('show', String(epoch))));
  const groups = shown.flatMap((one) => (one as { groups: { reads: number; signed: number }[] }).groups);
  const sum = (key: 'reads' | 'signed') => groups.reduce((n, group) => n + group[key], 0);
  expect([sum('signed'), sum('reads')]).toEqual([160, 163]);
}, 120_000);
