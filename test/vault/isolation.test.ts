import { expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { selectBlake3 } from '../../src/core/b3/select.ts';
import { toHex, utf8Encode } from '../../src/core/bytes.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import type { OpenedVault } from '../../src/vault/opened-vault.ts';
import { VirtualHome } from '../helpers/opened.ts';
import { ACCELERATION, noise } from '../helpers/vault.ts';

const IDS = ['p1', 'p2', 'p3', 'p4', 'p5'];
/** Nothing but who waits for a provider ends that. */
const SETTINGS = {
  chunks: { ladder: [64 * 1024], defaultBytes: 64 * 1024 },
  erasure: { algorithm: 'reed-solomon', dataShards: 2, parityShards: 3 },
  limits: { requestMs: 600_000, maxAttempts: 1, probeMs: 1_000 },
  retention: { replacedSeconds: 60 },
};
/** Within so long everything has been done that can be, by a process that stays. */
const ONE_ROUND_MS = 40_000;
const OPEN = '{"v":2,"state":"open","owner":"dead","recoveries":0}';
const NAMES = Array.from({ length: 9 }, (_, i) => `n${i}`);
const VERSION = new Uint8Array(8).fill(1);

const put =
  (name: string, seed: number, bytes = 400) =>
  (vault: OpenedVault): Promise<unknown> =>
    vault.putObject(noise(bytes, seed), { name });

async function homeWithNames(): Promise<VirtualHome> {
  const home = new VirtualHome(IDS, SETTINGS);
  await home.command(async (vault) => {
    for (const [i, name] of NAMES.entries()) await put(name, i)(vault);
  });
  return home;
}

/** A process that stays, which has done something by which its chores began, and the time of one round after that. */
async function oneRound(home: VirtualHome, vault: OpenedVault, name = 'another'): Promise<void> {
  await home.until(put(name, 77)(vault));
  await home.clock.advance(ONE_ROUND_MS);
}

/** A table of a state whose entries nobody can list. */
function breakTable(home: VirtualHome, table: string, entries: () => AsyncIterable<never>): () => void {
  const { engine } = home;
  const whole = engine.table.bind(engine);
  const broken: typeof engine.table = (name) => (name === table ? { ...whole(name), entries } : whole(name));
  Object.assign(engine, { table: broken });
  return () => void Object.assign(engine, { table: whole });
}

const entriesBy = (next: () => Promise<IteratorResult<never>>) => (): AsyncIterable<never> => ({
  [Symbol.asyncIterator]: () => ({ next }),
});
const failing = entriesBy(() => Promise.reject(new HoldfastError('Unavailable', 'the disk says EIO')));
const hanging = entriesBy(() => new Promise(() => {}));

it.each([
  ['fails', failing, 'the disk says EIO'],
  ['hangs whatever its signal says', hanging, 'took longer than'],
] as const)(
  'a chore that %s is told, and keeps none of the others from being done',
  async (_, entries, error) => {
    const home = await homeWithNames();
    const [nameKey] = await home.keysIn('names');
    await home.engine.table('slots_due').put(`p2/${nameKey}`, VERSION);
    const mend = breakTable(home, 'trash', entries);
    const vault = await home.open();
    await oneRound(home, vault);
    expect(await home.keysIn('slots_due')).toEqual([]);
    mend();
    const status = vault.status();
    await home.until(status);
    const { chores } = await status;
    expect(chores.trash).toMatchObject({ error: expect.stringContaining(error) });
    for (const name of ['journals', 'retired', 'slots', 'names', 'index']) {
      expect(chores[name], name).toMatchObject({ failures: 0, doneMs: expect.any(Number) });
    }
    // It is done the next time.
    await home.engine.table('trash').put(`p2/b3:${'0'.repeat(64)}`, VERSION);
    await oneRound(home, vault, 'third');
    expect(await home.keysIn('trash')).toEqual([]);
    await home.until(vault.close());
  },
);

it('a provider that hangs when it is to take copies of names keeps none due at the others', async () => {
  const home = await homeWithNames();
  const keys = await home.keysIn('names');
  for (const id of IDS)
    for (const key of keys) await home.engine.table('slots_due').put(`${id}/${key}`, VERSION);
  const vault = await home.open();
  await home.until(put('another', 77)(vault));
  for (const operation of ['readSlot', 'writeSlot']) home.stuck.add(`p1.${operation}`);
  await home.clock.advance(ONE_ROUND_MS);
  const due = await home.keysIn('slots_due');
  expect(due.filter((key) => !key.startsWith('p1/'))).toEqual([]);
  await home.until(vault.close());
});

it('a provider that hangs when it is to delete keeps nothing of the others in the trash', async () => {
  const home = await homeWithNames();
  for (const id of IDS) {
    for (let i = 0; i < 9; i++)
      await home.engine.table('trash').put(`${id}/b3:${`${i}`.repeat(64)}`, VERSION);
  }
  const vault = await home.open();
  home.stuck.add('p1.delete');
  await oneRound(home, vault);
  const left = await home.keysIn('trash');
  expect(left.filter((key) => !key.startsWith('p1/'))).toEqual([]);
  expect(left).not.toEqual([]);
  await home.until(vault.close());
});

it('a name that cannot be read keeps no other from being copied, to slots and to more domains', async () => {
  const home = await homeWithNames();
  const keys = await home.keysIn('names');
  const bad = keys[4]!;
  await home.engine.table('names').put(bad, utf8Encode('no pointer'));
  const { engine } = home;
  for (const key of keys) {
    await engine.table('slots_due').put(`p2/${key}`, VERSION);
    await engine.table('slots_due').put(`p3/${key}`, VERSION);
    await engine.table('slots_due').put(`*/${key}`, new Uint8Array(16).fill(1, 8, 9).fill(1, 0, 1));
  }
  const vault = await home.open();
  await oneRound(home, vault);
  expect(await home.keysIn('slots_due')).toEqual(['*', 'p2', 'p3'].map((at) => `${at}/${bad}`));
  await home.until(vault.close());
});

it('versions that wait for a provider keep no other from going', async () => {
  const home = await homeWithNames();
  for (const name of NAMES.slice(0, 2)) await home.command(put(name, 50));
  const stay = (await home.keysIn('retired')).map((key) => key.slice(15) as BlobAddress);
  for (const name of NAMES.slice(2)) await home.command(put(name, 50));
  await home.clock.advance(120_000);
  // Of these nobody has the root but, for all that is known, who does not say.
  for (const manifest of stay) {
    await home.engine.table('manifests').delete(manifest);
    for (const id of IDS) await home.adapter(id).delete(manifest);
  }
  const vault = await home.open();
  home.stuck.add('p1.fetch').add('p1.fetchRange').add('p1.fetchStream');
  await oneRound(home, vault);
  const left = await home.keysIn('retired');
  expect(left.map((key) => key.slice(15)).toSorted()).toEqual(stay.toSorted());
  await home.until(vault.close());
});

it('a journal that waits for a provider, or of which something cannot be known, keeps no other from being finished', async () => {
  const home = await homeWithNames();
  const { engine } = home;
  home.hidden.add('hidden');
  await engine.table('journal').put('0'.repeat(16), utf8Encode(OPEN.replace('dead', 'hidden')));
  const journals = Array.from({ length: 9 }, (_, i) => toHex(new Uint8Array(8).fill(i + 1)));
  for (const journal of journals) {
    await engine.table('journal').put(journal, utf8Encode(OPEN));
    await engine.table('journal').put(`${journal}/0`, utf8Encode(`p1/b3:${journal.repeat(4)}`));
  }
  const header = JSON.parse(OPEN) as object;
  const left = (fields: object): Uint8Array => utf8Encode(JSON.stringify({ ...header, ...fields }));
  const names = await home.keysIn('names');
  // A removal whose copies of the name are all to be made again.
  await engine.table('journal').put('dead'.repeat(4), left({ state: 'committed', nameKey: names[0] }));
  // One whose name cannot be read.
  await engine.table('names').put(names[4]!, utf8Encode('no pointer'));
  await engine.table('journal').put('4444444444444444', left({ nameKey: names[4] }));
  const vault = await home.open();
  await home.until(put('another', 77)(vault));
  for (const operation of ['readSlot', 'writeSlot', 'delete']) home.stuck.add(`p1.${operation}`);
  await home.clock.advance(ONE_ROUND_MS);
  expect(await home.keysIn('journal')).toEqual(['0'.repeat(16), '4'.repeat(16)]);
  await home.until(vault.close());
});

it('a provider that never lists keeps gc from nothing at the others', async () => {
  const home = await homeWithNames();
  const blake3 = await selectBlake3(ACCELERATION);
  const bytes = utf8Encode('nobody has noted this');
  const stray = addressOf(blake3.hash(bytes));
  for (const id of IDS) await home.adapter(id).store(stray, [bytes]);
  const vault = await home.open();
  home.stuck.add('p1.list');
  const gc = vault.gc({ minAgeMs: 0 });
  await home.until(gc);
  const { providers } = await gc;
  expect(providers.map(({ deleted, error }) => [deleted, error?.kind])).toEqual([
    [0, 'Timeout'],
    ...IDS.slice(1).map(() => [1, undefined]),
  ]);
  expect((await home.blobs()).filter((blob) => blob.endsWith(stray))).toEqual([`p1/${stray}`]);
  await home.until(vault.close());
});
