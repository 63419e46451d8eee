import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createLevelEngine, createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import { decodeProfile, encodeProfile } from '../../src/profiles/codec.ts';
import { DEFAULT_LADDER } from '../../src/profiles/ladder.ts';
import { observe } from '../../src/profiles/observe.ts';
import { newProfile, type ProviderProfile } from '../../src/profiles/profile.ts';
import { createProfileStore } from '../../src/profiles/store.ts';
import version1 from '../vectors/profile-v1.json' with { type: 'json' };
import vectors from '../vectors/profile-v2.json' with { type: 'json' };

const fresh = newProfile(DEFAULT_LADDER);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

describe('the stored form of a profile', () => {
  it.each(vectors.valid)('is pinned: $name', ({ profile, stored }) => {
    expect(text(encodeProfile(profile))).toBe(stored);
    expect(decodeProfile(Buffer.from(stored))).toEqual(profile);
  });

  it.each(version1.valid)('of version 1 is still read: $name', ({ profile, stored }) => {
    expect(decodeProfile(Buffer.from(stored))).toMatchObject(profile);
  });

  it.each(vectors.from_version_1)('of version 1 becomes one of version 2: $name', ({ old, stored }) => {
    expect(text(encodeProfile(decodeProfile(Buffer.from(old))))).toBe(stored);
  });

  it.each([...version1.invalid, ...vectors.invalid])('is refused when $name', ({ stored }) => {
    expect(() => decodeProfile(Buffer.from(stored))).toThrow(
      expect.objectContaining({ kind: 'Corrupt', code: 'profile_corrupt' }),
    );
  });

  it('does not depend on the order in which fields were set', () => {
    const shuffled = Object.fromEntries(Object.entries(fresh).toReversed()) as unknown as ProviderProfile;
    expect(encodeProfile(shuffled)).toEqual(encodeProfile(fresh));
  });

  it('refuses any bytes but those of a profile, with a typed error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(() => decodeProfile(bytes)).toThrow(expect.objectContaining({ kind: 'Corrupt' }));
      }),
    );
  });

  it('is never written with a value that could not be read', () => {
    expect(() => encodeProfile({ ...fresh, bw_ewma: Number.NaN })).toThrow(TypeError);
    expect(() => encodeProfile({ ...fresh, loss_ewma: 1.1 })).toThrow(TypeError);
    expect(() => encodeProfile({ ...fresh, rtt_ewma: 1, rtt_samples: 5 })).toThrow(TypeError);
    expect(() => encodeProfile({ ...fresh, rtt_ewma: 1 })).toThrow(TypeError);
  });
});

describe('the profile store', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-profiles-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const open = (): Engine =>
    createLevelEngine({
      location: join(folder, 'db'),
      clock: systemClock,
      lockWaitMs: 30_000,
      idleReleaseMs: 50,
    });

  it('keeps profiles byte for byte over two restarts', async () => {
    let profile = fresh;
    for (let i = 1; i < 50; i++) {
      const sample = { bytes: 1e6 / 3 + i, elapsedMs: Math.PI * i, rttMs: Math.E * i };
      profile = observe(profile, { type: 'stored', at: i, sample }, DEFAULT_LADDER);
      if (i % 7 === 0) profile = observe(profile, { type: 'probe_failed', at: i }, DEFAULT_LADDER);
    }
    const first = open();
    await createProfileStore(first).replace('p1', profile);
    const written = await first.table('provider_profiles').get('p1');
    await first.close();

    const second = open();
    const store = createProfileStore(second);
    await store.update(new Map([['p1', (stored) => stored!]]));
    expect(await store.load('p1')).toEqual(profile);
    await second.close();

    const third = open();
    expect(await third.table('provider_profiles').get('p1')).toEqual(written);
    await third.close();
  });

  it('loses no observation of several writers', async () => {
    const engine = createMemoryEngine();
    const store = createProfileStore(engine);
    const failOnce = (): Promise<unknown> =>
      store.update(
        new Map([
          ['p1', (stored = fresh) => observe(stored, { type: 'store_failed', at: 1 }, DEFAULT_LADDER)],
        ]),
      );
    await Promise.all(Array.from({ length: 12 }, failOnce));
    expect((await store.load('p1'))?.total_failures).toBe(12);
  });

  it('tells a profile that is absent from one that cannot be read', async () => {
    const engine = createMemoryEngine();
    const store = createProfileStore(engine);
    expect(await store.load('p1')).toBeUndefined();
    await engine.table('provider_profiles').put('p1', Buffer.from('{"v":2}'));
    await expect(store.load('p1')).rejects.toMatchObject({ kind: 'Corrupt' });
    const { failures } = await store.update(new Map([['p1', () => fresh]]));
    expect(failures.get('p1')).toMatchObject({ kind: 'Corrupt' });
    await store.replace('p1', fresh);
    expect(await store.load('p1')).toEqual(fresh);
  });
});
