import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { DEFAULT_LRC } from '../../src/coding/erasure/params.ts';
import { addressOf } from '../../src/core/address.ts';
import { isHoldfastError } from '../../src/core/errors.ts';
import type { PutResult } from '../../src/pipeline/put/put-result.ts';
import { solvePlacement } from '../../src/placement/solve.ts';
import { createS3Adapter } from '../../src/providers/s3/driver.ts';
import { noise, readAll } from '../helpers/vault.ts';
import { blake3, deps } from '../providers/conform.ts';
import { S3_KEYS } from '../servers/accounts.ts';
import { ENV, type Place, startPlaces } from './places.ts';
import { rcloneFor } from './rclone.ts';
import { openOver, subsets } from './vaults.ts';

const dir = await mkdtemp(join(tmpdir(), 'holdfast-mixed-'));
const { places, servers } = await startPlaces(dir);
afterAll(async () => {
  await Promise.all(places.map((place) => place.end()));
  await rm(dir, { recursive: true, force: true });
});
const domains = [...new Set(places.map(({ domain }) => domain))];
/** What the places that this machine can serve allow: three without any server, ten in nine domains with all. */
const possible = solvePlacement({
  code: createLinearCode(DEFAULT_LRC),
  providers: places.map(({ id, domain }) => ({
    id,
    domain: { provider: domain, account: 'test', region: 'test' },
  })),
  failureDomain: 'provider',
}).certificate.tolerates;
/** One attempt: a provider that is stopped is to fail at once, not to be waited for. */
const SETTINGS = `[limits]\nmax_attempts = 1\nmax_workers = 1\n[placement]\nmin_tolerates = ${possible}`;
const within = (gone: readonly string[]): Place[] => places.filter(({ domain }) => gone.includes(domain));
const open = () => openOver(dir, places, SETTINGS, { env: ENV });
const object = noise(1_300_000);

/** A vault of its own, as with the command. */
async function get(): Promise<Uint8Array> {
  const vault = await open();
  try {
    return await readAll(await vault.getObject('mixed'));
  } finally {
    await vault.close();
  }
}

async function without<T>(gone: readonly string[], work: () => Promise<T>): Promise<T> {
  const stopped = within(gone);
  for (const place of stopped) await place.stop();
  try {
    return await work();
  } finally {
    for (const place of stopped) await place.start();
  }
}

let put: PutResult;
beforeAll(async () => {
  const vault = await open();
  put = await vault.putObject(object, { name: 'mixed' });
  await vault.close();
});

it('one object over every kind of provider at once outlives all that its certificate says', async () => {
  const { certificate } = put;
  // One that is slow beside the others holds no shard where as many losses are survived without it.
  expect(certificate.providers).toBeGreaterThan(possible);
  const { tolerates, worst_case } = certificate;
  expect(tolerates).toBe(possible);
  expect(worst_case).toHaveLength(tolerates + 1);

  const all = subsets(domains, tolerates);
  const tolerated = process.env.SLOW === '1' ? all : all.filter((_, i) => i % 3 === 0);
  const started = performance.now();
  for (const gone of tolerated) {
    const bytes = await without(gone, get);
    expect(Buffer.compare(bytes, object), `without ${gone}`).toBe(0);
  }
  const ms = (performance.now() - started) / tolerated.length;

  const refusal = await without(worst_case, () => get().catch((error: unknown) => error));
  expect(refusal).toMatchObject({ kind: 'Unavailable', code: 'undecodable' });
  expect(isHoldfastError(refusal)).toBe(true);
  console.log(
    `${places.length} providers (${places.map(({ id }) => id).join(', ')}) in ${domains.length} domains, ` +
      `${certificate.code} tolerates ${tolerates}: ${tolerated.length} of ${all.length} subsets tried, all read right, ` +
      `${ms.toFixed(0)} ms each; without ${worst_case.join(', ')}: ${(refusal as Error).message}`,
  );
});

describe('what another S3 client reads and writes', () => {
  const MIB = 1024 * 1024;
  const blobs = [0, 1, 3000, 12 * MIB + 1].map((length) => noise(length, length + 1));

  for (const name of ['ceph-rgw', 'swift-s3'] as const) {
    const server = servers.get(name);
    it.skipIf(server === undefined)(name, async ({ skip }) => {
      const account = { endpoint: `http://127.0.0.1:${server!.port}`, ...S3_KEYS[name] };
      const rclone = rcloneFor(account) ?? skip('rclone is not installed');
      const ours = createS3Adapter({
        id: name,
        ...account,
        region: 'us-east-1',
        bucket: 'mixed',
        prefix: 'cross/',
        pathStyle: true,
        slots: name === 'ceph-rgw',
        partBytes: 5 * MIB,
        credentials: async () => account,
        ...deps,
      });
      const seen: string[] = [];
      for (const bytes of blobs) {
        const address = addressOf(blake3.hash(bytes));
        const key = `mixed/cross/blobs/${address.slice(3)}`;
        await ours.store(address, [bytes]);
        expect(Buffer.compare(await rclone.read(key), bytes)).toBe(0);
        await ours.delete(address);
        const file = join(dir, 'cross');
        await writeFile(file, bytes);
        await rclone.write(key, file);
        expect(Buffer.compare(await ours.fetch(address), bytes)).toBe(0);
        expect(await ours.stat(address)).toMatchObject({ size: bytes.length });
        seen.push(address);
      }
      const listed: string[] = [];
      for await (const { address } of ours.list()) listed.push(address);
      expect(listed).toEqual(seen.sort());
      await ours.close();
    });
  }
});

it('reads on when servers have been killed', async () => {
  const killed = ['nginx', 'rclone', 'node-memory']
    .filter((domain) => domains.includes(domain))
    .slice(0, possible);
  for (const place of within(killed)) await place.end();
  expect(Buffer.compare(await get(), object)).toBe(0);
});
