import { beforeAll, describe, expect, it } from 'vitest';
import { mulberry } from '../../bench/kill-vaults.ts';
import { SLOW } from '../helpers/cli.ts';
import {
  type Damaged,
  damagedHome,
  damagesOf,
  type Fixture,
  makeFixture,
  tryDamaged,
} from '../helpers/damaged-records.ts';

/** Of some thousands. All: `npm run faults -- --records`. */
const TRIALS = SLOW ? 600 : 16;
const TABLES = [
  ...['names', 'vault', 'name_index', 'manifests', 'manifest_order', 'manifest_times', 'manifest_usage'],
  ...['relocations', 'slots_due', 'journal', 'retired', 'trash', 'upkeep', 'places'],
  ...['provider_profiles', 'provider_usage', 'provider_last_failure'],
];

let fixture: Fixture;
let all: readonly Damaged[];
beforeAll(async () => {
  fixture = await makeFixture();
  all = damagesOf(fixture, mulberry(1));
});

const told = (table: string): Damaged[] =>
  all.filter(({ record, damage }) => record.table === table && damage.kind === 'told');

describe('a damaged record: the right bytes or a typed error, and all is back after recover', {
  timeout: 600_000,
}, () => {
  it.each(TABLES)('of %s, whose checksum tells', async (table) => {
    const damaged = told(table);
    expect(damaged.length).toBeGreaterThan(0);
    for (const one of SLOW ? damaged : damaged.slice(0, 1)) {
      expect((await tryDamaged(fixture, one)).wrong, one.record.key).toEqual([]);
    }
  });

  it('cut off, or with a bit flipped, which nothing tells', async () => {
    const random = mulberry(2);
    for (let i = 0; i < TRIALS; i++) {
      const one = all[Math.floor(random() * all.length)]!;
      const { table, key } = one.record;
      const { wrong } = await tryDamaged(fixture, one);
      expect(wrong, `${table} ${key} ${JSON.stringify(one.damage)}`).toEqual([]);
    }
  });
});

describe('one damaged record', () => {
  it.each([
    ['name_index', 'generation', 12],
    ['name_index', 'built', 1],
    ['manifest_times', undefined, 5],
  ] as const)(
    'of %s %s with a bit flipped that makes it no text stops nothing',
    async (table, key, at) => {
      const damage = { kind: 'flip', at, bit: 7 } as const;
      for (const { record } of told(table).filter(
        (one) => (key ?? told(table)[0]!.record.key) === one.record.key,
      ))
        expect((await tryDamaged(fixture, { record, damage })).wrong).toEqual([]);
    },
    120_000,
  );

  it('of a name keeps nothing from being tidied that has nothing to do with it', async () => {
    const busy = fixture.copy.records
      .filter(({ table }) => table === 'journal')
      .map(({ value }) => Buffer.from(value).toString());
    const name = told('names').find(({ record: { key } }) => !busy.some((header) => header.includes(key)));
    const home = await damagedHome(fixture, name!);
    const before = await home.keysIn('journal');
    await expect(home.command((vault) => vault.gc({ minAgeMs: 0 }))).rejects.toMatchObject({
      kind: 'Corrupt',
    });
    const isDone = (key: string): boolean => !key.startsWith('e');
    expect(before.filter(isDone)).not.toEqual([]);
    expect((await home.keysIn('journal')).filter(isDone)).toEqual([]);
  });

  it.each(['told', 'cut'] as const)(
    'of where a shard was moved to keeps the shard from being deleted as an orphan (%s)',
    async (kind) => {
      const [{ record }] = told('relocations') as [Damaged];
      const damage = kind === 'cut' ? ({ kind, at: 20 } as const) : ({ kind } as const);
      const home = await damagedHome(fixture, { record, damage });
      const before = await home.blobs();
      await home.command((vault) => vault.gc({ minAgeMs: 0 }));
      const after = new Set(await home.blobs());
      const moved = before.filter((place) => place.startsWith('p4/'));
      const whole = new Set(await (await damagedAndTidied()).blobs());
      expect(moved.filter((place) => whole.has(place) && !after.has(place))).toEqual([]);
    },
  );
});

/** The same without any damage: what is left there is needed. */
async function damagedAndTidied() {
  const { record } = told('places')[0]!;
  const home = await damagedHome(fixture, { record, damage: { kind: 'cut', at: record.value.length } });
  await home.command((vault) => vault.gc({ minAgeMs: 0 }));
  return home;
}
