import { expect, it } from 'vitest';
import { parseAddress } from '../../src/core/address.ts';
import { createVaultSource } from '../../src/explorer/vault-source.ts';
import { ADMIN, bearer, startGateway } from '../gateway/harness.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { noise } from '../helpers/vault.ts';

interface Row {
  readonly manifest: string;
  readonly name?: string;
  readonly state: string;
  readonly version?: number;
  readonly tolerates?: number;
  readonly summary?: { readonly certificate: { readonly tolerates: number } };
}
interface Page {
  readonly objects: readonly Row[];
  readonly next?: string;
}

const ask = async <T>(url: string, path: string): Promise<T> =>
  (await (await fetch(`${url}/storage/${path}`, { headers: bearer(ADMIN) })).json()) as T;

it('gives every object once, the newest first, however small the pages are', async () => {
  const { put, url } = await startGateway();
  const stored: string[] = [];
  for (let i = 0; i < 5; i++) stored.push(await put(noise(100 + i, i + 1)));
  const found: string[] = [];
  let query = 'objects?limit=2';
  for (let pages = 0; pages < 3; pages++) {
    const { objects, next } = await ask<Page>(url, query);
    found.push(...objects.map(({ manifest }) => manifest));
    expect(next === undefined).toBe(pages === 2);
    query = `objects?limit=2&before=${encodeURIComponent(next ?? '')}`;
  }
  expect(found.toSorted()).toEqual(stored.toSorted());
});

it('says of each object what it survives without the providers that are gone, and finds the weak ones', async () => {
  const { put, url, vault } = await startGateway();
  const strong = await put(noise(50_000), { name: 'strong' });
  // What is small is kept as copies.
  const copies = await put(noise(10, 2), { name: 'copies' });
  vault.gone.add('p1');
  vault.gone.add('p2');
  const { objects } = await ask<Page>(url, 'objects');
  const rowOf = (manifest: string): Row => objects.find((row) => row.manifest === manifest)!;
  expect(rowOf(strong)).toMatchObject({ name: 'strong', state: 'current', version: 1, tolerates: 1 });
  expect(rowOf(strong).summary?.certificate.tolerates).toBe(3);
  expect(rowOf(copies).tolerates).toBeGreaterThan(0);
  const weak = await ask<Page>(url, 'objects?most=1');
  expect(weak.objects.map(({ manifest }) => manifest)).toContain(strong);
  expect((await ask<Page>(url, 'objects?most=0')).objects).toEqual([]);
});

it('keeps what was replaced in the list of versions, and tells which one the name stands for', async () => {
  const { put, url } = await startGateway({ vault: { replacedMs: 3_600_000 } });
  const first = await put(noise(9000, 1), { name: 'a' });
  const second = await put(noise(9000, 2), { name: 'a' });
  const detail = await ask<Row & { versions: readonly Row[] }>(url, `object?manifest=${first}`);
  expect(detail).toMatchObject({ name: 'a', state: 'replaced' });
  expect(detail.versions).toMatchObject([
    { manifest: second, state: 'current' },
    { manifest: first, state: 'replaced', sinceMs: expect.any(Number), dueMs: expect.any(Number) },
  ]);
});

it('finds names by how they begin; without a key there are none', async () => {
  const { put, url, vault } = await startGateway();
  await put(noise(10, 1), { name: 'maps/a' });
  await put(noise(10, 2), { name: 'maps/ü' });
  await put(noise(10, 3), { name: 'other' });
  const { objects } = await ask<Page>(url, `objects?name=${encodeURIComponent('maps/')}`);
  expect(objects.map(({ name }) => name)).toEqual(['maps/a', 'maps/ü']);
  const sealed = await startGateway({ sealed: true, over: vault });
  const all = await ask<Page>(sealed.url, 'objects');
  expect(all.objects).toHaveLength(3);
  expect(all.objects.every(({ name, state }) => name === undefined && state === 'unknown')).toBe(true);
  expect(await ask<object>(sealed.url, 'objects?name=maps')).toMatchObject({ error: 'PermissionDenied' });
});

it('says what is left without some providers as the certificate would of what is left', async () => {
  const { put, url } = await startGateway();
  const manifest = await put(noise(700_000));
  interface Map {
    readonly certificate: { readonly tolerates: number; readonly worst_case: readonly string[] };
    readonly chunks: number;
    readonly now: object;
    readonly after: { readonly certificate: { readonly tolerates: number }; readonly lostChunks: number };
  }
  const map = await ask<Map>(url, `shard-map?manifest=${manifest}`);
  const { tolerates, worst_case: worst } = map.certificate;
  expect(map.now).toEqual({ certificate: map.certificate, lostChunks: 0 });
  expect(map.after).toEqual(map.now);
  const without = async (ids: readonly string[]): Promise<Map['after']> => {
    const query = ids.map((id) => `&without=${id}`).join('');
    return (await ask<Map>(url, `shard-map?manifest=${manifest}${query}`)).after;
  };
  // All but one of a smallest fatal set: it can be read, and nothing more may go. All of it: bytes are lost.
  expect(worst).toHaveLength(tolerates + 1);
  expect(await without(worst.slice(1))).toMatchObject({ certificate: { tolerates: 0 }, lostChunks: 0 });
  const lost = await without(worst);
  expect(lost.certificate.tolerates).toBe(-1);
  expect(lost.lostChunks).toBeGreaterThan(0);
  expect((await without(['p1'])).certificate.tolerates).toBeGreaterThanOrEqual(tolerates - 1);
});

it('does not count a provider that is configured and does not answer, and says so', async () => {
  const { put, url, vault } = await startGateway();
  const manifest = await put(noise(50_000));
  const { directory } = vault.context;
  directory.late('p3');
  expect(await ask(url, 'overview')).toMatchObject({
    objects: { total: 1, bySurvival: [{ tolerates: 2, count: 1 }], unknown: 0, more: false },
    without: [{ provider: 'p3', why: 'not_answering' }],
  });
  const { providers, now } = await ask<{ providers: { id: string; away?: string }[]; now: object }>(
    url,
    `shard-map?manifest=${manifest}`,
  );
  expect(now).toMatchObject({ certificate: { tolerates: 2 }, lostChunks: 0 });
  expect(providers.filter(({ away }) => away !== undefined)).toMatchObject([
    { id: 'p3', away: 'not_answering' },
  ]);
  directory.heard('p3');
  expect(await ask(url, `shard-map?manifest=${manifest}`)).toMatchObject({
    now: { certificate: { tolerates: 3 } },
  });
});

it('lists objects while nobody knows yet what they survive', async () => {
  const { put, vault } = await startGateway();
  const manifest = await put(noise(100), { name: 'a' });
  const clock = new FakeClock();
  const never = <T>(): Promise<T> => new Promise<T>(() => undefined);
  const source = createVaultSource({
    ...{ context: { ...vault.context, clock }, sealed: false, lost: never, status: never },
    ...{ providers: () => [], settings: () => ({}), repairs: async function* () {} },
  });
  const { signal } = new AbortController();
  const all = { limit: 10, before: undefined, most: undefined };
  const listed = Promise.all([source.objects(all, signal), source.named('a', 10, signal)]);
  const shown = source.object(parseAddress(manifest), signal);
  const weak = source.objects({ ...all, most: 1 }, signal).catch((error: unknown) => error);
  await clock.advance(5_000);
  for (const { objects } of await listed) expect(objects).toMatchObject([{ manifest, tolerates: undefined }]);
  expect(await shown).toMatchObject({ manifest, name: 'a', tolerates: undefined });
  // Who picks them by that is told that it takes too long.
  await clock.advance(25_000);
  expect(await weak).toMatchObject({ kind: 'Timeout' });
});
