import { toHex, utf8Decode, utf8Encode } from '../../src/core/bytes.ts';
import { isHoldfastError } from '../../src/core/errors.ts';
import type { OpenedVault } from '../../src/vault/opened-vault.ts';
import { type HomeCopy, type StoredRecord, VirtualHome } from './opened.ts';
import { relocate } from './relocated.ts';
import { rottenEngine } from './rotten-engine.ts';
import { noise, readAll } from './vault.ts';

const IDS = ['p1', 'p2', 'p3', 'p4'];
const SETTINGS = {
  chunks: { ladder: [64 * 1024], defaultBytes: 64 * 1024 },
  erasure: { algorithm: 'reed-solomon', dataShards: 2, parityShards: 2 },
  placement: { minTolerates: 1 },
  retention: { replacedSeconds: 3_600 },
  limits: { requestMs: 2_000, maxAttempts: 1, probeMs: 1_000, memoryBytes: 16 * 1024 * 1024 },
};
const HOUR = 3_600_000;
/** Of a machine whose lock cannot be tried. */
const ELSEWHERE = `${'e'.repeat(16)}-${'f'.repeat(16)}`;

const LAST_FAILURE = JSON.stringify({ v: 2, at: 1, operation: 'read', code: 'Timeout', message: 'late' });

/** A home in which every table has records, and what a reader of it may find. */
export interface Fixture {
  readonly copy: HomeCopy;
  /** What was acknowledged: a name, or the address of an object without one. */
  readonly acknowledged: ReadonlyMap<string, Uint8Array>;
  /** What killed processes were about to change: what it was and what it becomes; undefined where there is nothing. */
  readonly open: ReadonlyMap<string, readonly (Uint8Array | undefined)[]>;
  readonly removed: readonly string[];
}

const content = (seed: number, length = 300): Uint8Array => noise(length, seed);

/** Lets time pass until the records say so, then kills the process. */
async function killWhen(
  home: VirtualHome,
  vault: OpenedVault,
  work: Promise<unknown>,
  isThere: () => Promise<boolean>,
): Promise<void> {
  work.catch(() => {});
  for (let waited = 0; !(await isThere()); waited++) {
    if (waited > 10_000) throw new Error('it never came to that');
    await home.clock.advance(1);
  }
  home.kill(vault);
}

async function headers(home: VirtualHome): Promise<string[]> {
  const found: string[] = [];
  for await (const [key, value] of home.engine.table('journal').entries())
    if (!key.includes('/')) found.push(utf8Decode(value));
  return found;
}

export async function makeFixture(): Promise<Fixture> {
  const home = new VirtualHome(IDS, SETTINGS);
  const acknowledged = new Map<string, Uint8Array>();
  const put = async (name: string, bytes: Uint8Array): Promise<void> => {
    await home.command((vault) => vault.putObject(bytes, { name }));
    acknowledged.set(name, bytes);
  };
  await put('plain', content(1));
  await put('coded', content(2, 6_000));
  await put('moved', content(3, 5_000));
  await relocate(home, 'moved');
  await put('overwritten', content(4));
  await put('overwritten', content(5));
  await home.command(async (vault) => {
    const { manifest } = await vault.putObject(content(6));
    acknowledged.set(manifest, content(6));
  });
  for (const name of ['replacing', 'removing', 'late', 'gone']) await put(name, content(7 + name.length));
  await home.engine.table('provider_last_failure').put('p1', utf8Encode(LAST_FAILURE));
  await leaseOf(home);
  home.latencyMs = 10;
  // A provider that is late: slots that are due, and a blob that stays.
  for (const call of ['writeSlot', 'delete']) home.stuck.add(`p4.${call}`);
  await put('late', content(20));
  await home.command((vault) => vault.deleteObject('gone'));
  acknowledged.delete('gone');
  for (const id of ['p2', 'p3']) home.stuck.add(`${id}.writeSlot`);
  await put('narrow', content(21));
  const open = new Map<string, (Uint8Array | undefined)[]>();
  const change = async (
    name: string,
    after: Uint8Array | undefined,
    start: (vault: OpenedVault) => Promise<unknown>,
    mark: RegExp,
  ): Promise<void> => {
    open.set(name, [acknowledged.get(name), after]);
    acknowledged.delete(name);
    const known = new Set(await headers(home));
    const vault = await home.open();
    const isThere = async (): Promise<boolean> =>
      (await headers(home)).some((header) => !known.has(header) && mark.test(header));
    await killWhen(home, vault, start(vault), isThere);
  };
  const bytes = content(22, 7_000);
  await change('new', bytes, (vault) => vault.putObject(bytes, { name: 'new' }), /"open"/);
  const other = content(23);
  await change('replacing', other, (vault) => vault.putObject(other, { name: 'replacing' }), /"committed"/);
  await change('removing', undefined, (vault) => vault.deleteObject('removing'), /"committed"/);
  const copy = await home.copy();
  return { copy, acknowledged, open, removed: ['gone'] };
}

/** A put of another machine that may still be alive, and what this one saw of it. */
async function leaseOf(home: VirtualHome): Promise<void> {
  const { engine } = home;
  const header = JSON.stringify({ v: 2, state: 'open', owner: ELSEWHERE, recoveries: 0 });
  const intents = IDS.map((id) => `${id}/b3:${'1'.repeat(64)}`).join('\n');
  await engine.table('journal').put('e'.repeat(16), utf8Encode(header));
  await engine.table('journal').put(`${'e'.repeat(16)}/0`, utf8Encode(intents));
  home.unproven.add(ELSEWHERE);
  await home.command((vault) => vault.verifyObject('plain'));
  await home.command((vault) => vault.gc());
}

type Damage =
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  /** Its checksum tells. */
  | { readonly kind: 'told' };

/** What is damaged of further records of one shape: of so many ways one. */
const FURTHER = 16;

export interface Damaged {
  readonly record: StoredRecord;
  readonly damage: Damage;
}

/** Of every shape of records one in every way, each length and one bit of each byte, and of the others some. */
export function damagesOf({ copy }: Fixture, random: () => number): Damaged[] {
  const known = new Set<string>();
  return copy.records.flatMap((record) => {
    const shape = shapeOf(record);
    const ways = waysOf(record.value, random);
    const chosen = known.has(shape) ? ways.filter((_, nth) => nth % FURTHER === 0) : ways;
    known.add(shape);
    return chosen.map((damage) => ({ record, damage }));
  });
}

function waysOf({ length }: Uint8Array, random: () => number): Damage[] {
  const offsets = Array.from({ length }, (_, at) => at);
  const flips = offsets.map((at) => ({ kind: 'flip', at, bit: Math.floor(random() * 8) }) as const);
  return [{ kind: 'told' }, ...offsets.map((at) => ({ kind: 'cut', at }) as const), ...flips];
}

/** What tells apart records of one table that are read in different ways. */
function shapeOf({ table, key, value }: StoredRecord): string {
  const names = utf8Lossy(value).match(/"[a-z_]+":/g) ?? [];
  const kinds = utf8Lossy(value).match(/"(open|committed|replaced|removed)"/g) ?? [];
  return [table, key.replace(/[0-9a-f]{4,}/g, '').replace(/p\d/, ''), ...names, ...kinds].join(' ');
}

const utf8Lossy = (value: Uint8Array): string => Buffer.from(value).toString();

function spoiled(value: Uint8Array, damage: Damage): Uint8Array {
  if (damage.kind === 'told') return value;
  if (damage.kind === 'cut') return value.slice(0, damage.at);
  const other = value.slice();
  other[damage.at]! ^= 1 << damage.bit;
  return other;
}

export interface Tried {
  readonly wrong: readonly string[];
  /** Operations that ended in a typed error, and its code. */
  readonly said: ReadonlySet<string>;
}

/** Uses a home of which one record is damaged in every way, and recovers it. */
export async function tryDamaged(fixture: Fixture, damaged: Damaged): Promise<Tried> {
  const trial = new Trial(fixture, await damagedHome(fixture, damaged));
  return { wrong: await trial.run(), said: trial.said };
}

/** A home as it was copied, but for one record. */
export async function damagedHome({ copy }: Fixture, { record, damage }: Damaged): Promise<VirtualHome> {
  const engine = rottenEngine();
  const home = await VirtualHome.of(copy, engine);
  home.unproven.add(ELSEWHERE);
  await engine.table(record.table).put(record.key, spoiled(record.value, damage));
  if (damage.kind === 'told') engine.rot(record.table, record.key);
  return home;
}

const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;

class Trial {
  readonly #home: VirtualHome;
  readonly #records: readonly StoredRecord[];
  readonly #may: Map<string, readonly (Uint8Array | undefined)[]>;
  readonly #wrong: string[] = [];
  /** Typed errors. */
  readonly said = new Set<string>();
  #last = '';
  #isRecovered = false;

  constructor(fixture: Fixture, home: VirtualHome) {
    this.#home = home;
    this.#records = fixture.copy.records;
    this.#may = new Map(fixture.open);
    for (const name of fixture.removed) this.#may.set(name, [undefined]);
    for (const [name, bytes] of fixture.acknowledged) this.#may.set(name, [bytes]);
  }

  async run(): Promise<string[]> {
    await this.#command('look', async (vault) => {
      await this.#look(vault, 'at first');
      await this.#tell('put', () => this.#change(vault, 'fresh', content(30)));
      await this.#tell('overwrite', () => this.#change(vault, 'plain', content(31, 5_000)));
      await this.#tell('rm', () => this.#change(vault, 'coded', undefined));
      await this.#tell('gc', () => vault.gc({ minAgeMs: 0 }));
    });
    await this.#home.clock.advance(2 * HOUR);
    await this.#command('gc', async (vault) => {
      await this.#tell('gc', () => vault.gc({ minAgeMs: 0 }));
      await this.#readAll(vault, 'after gc');
    });
    await this.#recover();
    await this.#home.clock.advance(48 * HOUR);
    await this.#command('gc', async (vault) => {
      await this.#tell('gc', () => vault.gc({ minAgeMs: 0 }));
      await this.#readAll(vault, 'in the end');
    });
    return this.#wrong;
  }

  async #command(what: string, work: (vault: OpenedVault) => Promise<unknown>): Promise<void> {
    await this.#tell(what, () => this.#home.command(work));
  }

  /** @param may kinds of errors that are right. */
  async #tell(what: string, work: () => Promise<unknown>, may: readonly string[] = []): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (isHoldfastError(error) && may.includes(error.kind)) return;
      const isTyped = isHoldfastError(error) && error.kind !== 'Unexpected';
      if (!isTyped || this.#isRecovered) this.#wrong.push(`${what}: ${(error as Error).stack}`);
      if (!isTyped) return;
      this.#last = error.code;
      this.said.add(`${what}: ${error.code}`);
    }
  }

  async #change(vault: OpenedVault, name: string, after: Uint8Array | undefined): Promise<void> {
    this.#may.set(name, [...(this.#may.get(name) ?? [undefined]), after]);
    await (after === undefined ? vault.deleteObject(name) : vault.putObject(after, { name }));
    this.#may.set(name, [after]);
  }

  /** Without the state if that cannot be used, as the hint says. From then on all is to work. */
  async #recover(): Promise<void> {
    const recover = async (vault: OpenedVault): Promise<void> => {
      const { lost, damagedSlots, unconfirmed } = await vault.recover();
      const told = { lost, damagedSlots, unconfirmed };
      const expected = { lost: [], damagedSlots: 0, unconfirmed: { providers: [], names: [] } };
      if (JSON.stringify(told) !== JSON.stringify(expected))
        this.#wrong.push(`recover: ${JSON.stringify(told)}`);
      this.#isRecovered = true;
      await this.#look(vault, 'after recover');
    };
    await this.#command('recover', recover);
    if (this.#isRecovered) return;
    if (this.#last !== 'engine_corrupt') this.#wrong.push(`recover ends with ${this.#last}`);
    this.said.add('state moved aside');
    for (const { table, key } of this.#records) await this.#home.engine.table(table).delete(key);
    await this.#command('recover', recover);
  }

  async #look(vault: OpenedVault, when: string): Promise<void> {
    await this.#readAll(vault, when);
    const each: [string, () => Promise<unknown>][] = [
      ['status', () => vault.status()],
      ['providers', () => vault.providers.list()],
      ['ls', () => allOf(vault.listObjects({ onDamaged: () => {} }))],
      ['manifests', () => allOf(vault.listManifests())],
    ];
    for (const [name, may] of this.#may)
      if (may.every((bytes) => bytes !== undefined))
        each.push([`verify ${name}`, () => vault.verifyObject(name)]);
    for (const [what, work] of each) await this.#tell(`${what} ${when}`, work);
  }

  async #readAll(vault: OpenedVault, when: string): Promise<void> {
    for (const [name, may] of this.#may) {
      const gone = may.includes(undefined) ? ['NotFound'] : [];
      let found: Uint8Array | undefined;
      await this.#tell(
        `get ${name} ${when}`,
        async () => {
          found = await readAll(await vault.getObject(name));
        },
        gone,
      );
      if (found !== undefined && !may.some((bytes) => same(bytes, found)))
        this.#wrong.push(`${name} ${when}: other bytes ${toHex(found.slice(0, 8))}`);
    }
  }
}

async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
