import { beforeEach, describe, expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import { encodeRelocation } from '../../src/manifest/relocation.ts';
import { recordedRelocations } from '../../src/records/relocations.ts';

const segment = addressOf(new Uint8Array(32).fill(1));
const other = addressOf(new Uint8Array(32).fill(2));

describe('what the engine says of moved shards', () => {
  let now = 0;
  let engine: Engine;
  let looks = 0;
  const clock: Clock = { ...systemClock, monotonic: () => now };

  beforeEach(() => {
    [now, looks] = [0, 0];
    engine = createMemoryEngine();
    const table = engine.table('relocations');
    const entries = table.entries.bind(table);
    table.entries = (options) => {
      looks++;
      return entries(options);
    };
  });

  const put = (ms: number, under = segment, row?: Uint8Array) => {
    const pack = { provider: `p${ms}`, address: other, length: 512, shards: [0] };
    const key = `${under}/${String(ms).padStart(14, '0')}/${other}`;
    return engine
      .table('relocations')
      .put(key, row ?? encodeRelocation({ segment, movedMs: ms, packs: [pack] }));
  };

  it('is looked up once a second while it is nothing, and at once by those who must know', async () => {
    const relocations = recordedRelocations(engine, clock);
    for (now = 0; now < 1000; now += 100) expect(await relocations.open()).toBeUndefined();
    expect(looks).toBe(1);
    now = 1000;
    expect(await relocations.open()).toBeUndefined();
    expect(looks).toBe(2);
    await put(1);
    now = 1999;
    expect(await relocations.open()).toBeUndefined();
    expect(await (await relocations.open({ fresh: true }))!(segment)).toHaveLength(1);
    expect(await (await relocations.open())!(segment)).toMatchObject([{ movedMs: 1, recorded: true }]);
  });

  it('is the newest first, sixteen at most, and of that segment only', async () => {
    for (let ms = 1; ms <= 20; ms++) await put(ms);
    await put(30, other);
    const relocationsOf = (await recordedRelocations(engine, clock).open())!;
    expect((await relocationsOf(segment)).map(({ movedMs }) => movedMs)).toEqual(
      Array.from({ length: 16 }, (_, i) => 20 - i),
    );
    expect(await relocationsOf(other)).toEqual([]);
  });

  it('leaves out what is malformed, however much of it, in bounded time', async () => {
    await put(1);
    for (let ms = 2; ms <= 20; ms++) await put(ms, segment, new Uint8Array(ms));
    const relocationsOf = (await recordedRelocations(engine, clock).open())!;
    expect((await relocationsOf(segment)).map(({ movedMs }) => movedMs)).toEqual([1]);
    for (let ms = 21; ms <= 120; ms++) await put(ms, segment, new Uint8Array(ms));
    expect(await relocationsOf(segment)).toEqual([]);
  });
});
