import { describe, expect, it } from 'vitest';
import { utf8Encode } from '../../src/core/bytes.ts';
import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import type { OpenedVault } from '../../src/vault/opened-vault.ts';
import { VirtualHome } from '../helpers/opened.ts';
import { noise } from '../helpers/vault.ts';

const IDS = ['p1', 'p2', 'p3', 'p4', 'p5'];
const SETTINGS = {
  chunks: { ladder: [64 * 1024], defaultBytes: 64 * 1024 },
  erasure: { algorithm: 'reed-solomon', dataShards: 2, parityShards: 3 },
  limits: { requestMs: 2_000, maxAttempts: 1, probeMs: 1_000 },
  retention: { replacedSeconds: 60 },
};
/** A journal that somebody left. */
const LEFT = 'dead'.repeat(4);
const OPEN = '{"v":2,"state":"open","owner":"dead","recoveries":0}';
/** Nothing but who waits for a provider ends that. */
const PATIENT = { ...SETTINGS, limits: { requestMs: 60_000, maxAttempts: 1, probeMs: 60_000 } };

const put =
  (name: string, seed: number, bytes = 20_000) =>
  (vault: OpenedVault): Promise<unknown> =>
    vault.putObject(noise(bytes, seed), { name });

/** A home in which something of each kind is due, at each provider. */
async function untidy(settings = SETTINGS): Promise<VirtualHome> {
  const home = new VirtualHome(IDS, settings);
  await home.command(put('x', 1));
  await home.command(put('y', 2));
  await home.command(put('x', 3));
  await home.clock.advance(120_000);
  const { engine } = home;
  const [first] = await home.keysIn('retired');
  expect(first).toBeDefined();
  const [nameKey] = await home.keysIn('names');
  for (const id of IDS) {
    await engine.table('slots_due').put(`${id}/${nameKey}`, new Uint8Array(8));
    await engine.table('trash').put(`${id}/b3:${'0'.repeat(63)}${id.at(-1)}`, new Uint8Array(8));
  }
  const intents = IDS.map((id) => `${id}/b3:${'1'.repeat(64)}`).join('\n');
  await engine.table('journal').put(LEFT, utf8Encode(OPEN));
  await engine.table('journal').put(`${LEFT}/0`, utf8Encode(intents));
  return home;
}

const at = (keys: readonly string[], id: string): string[] => keys.filter((key) => key.startsWith(`${id}/`));

describe('one hanging provider stops all housekeeping', () => {
  it('no more: what is due at the others, and what is due at none, is done in one command', async () => {
    const home = await untidy();
    home.hanging.add('p1');
    const closing = await home.command(put('z', 4));
    expect(await home.keysIn('journal')).toEqual([]);
    expect(await home.keysIn('retired')).toEqual([]);
    const [trash, due] = [await home.keysIn('trash'), await home.keysIn('slots_due')];
    for (const id of IDS.slice(1)) {
      expect(at(trash, id), id).toEqual([]);
      expect(at(due, id), id).toEqual([]);
    }
    expect(at(trash, 'p1').length).toBeGreaterThan(0);
    expect(closing).toBeLessThan(7_000);
  });

  it('no more: a chore that waits for it keeps no other chore from being done', async () => {
    const home = new VirtualHome(IDS, PATIENT);
    await home.command(put('x', 1));
    const [nameKey] = await home.keysIn('names');
    const { engine } = home;
    await engine.table('trash').put(`p1/b3:${'0'.repeat(64)}`, new Uint8Array(8));
    await engine.table('slots_due').put(`p2/${nameKey}`, new Uint8Array(8));
    const vault = await home.open();
    // Only from here on: it is not known yet that it does not answer.
    home.stuck.add('p1.delete');
    await home.until(put('y', 2)(vault));
    expect(await home.until(vault.close())).toBeLessThan(7_000);
    expect(at(await home.keysIn('trash'), 'p1')).toHaveLength(1);
    expect(await home.keysIn('slots_due')).toEqual([]);
  });
});

describe('one unparsable journal record stops all housekeeping', () => {
  it('no more: it is passed over, told, and stays', async () => {
    const home = await untidy();
    const { engine } = home;
    const poison = [
      ['journal', 'aaaa', '{"v":2,"state":"wrong"'],
      ['journal', 'bbbb/0', `p1/b3:${'2'.repeat(64)}`],
      ['journal', 'cccc', OPEN],
      ['retired', `00000000000001/b3:${'3'.repeat(64)}`, 'no JSON'],
      ['trash', 'p2/what is this', '12345678'],
      ['slots_due', 'p2/no name key', '12345678'],
      ['slots_due', `*/${'4'.repeat(64)}`, 'short'],
    ] as const;
    for (const [table, key, value] of poison) await engine.table(table).put(key, utf8Encode(value));
    await home.command(put('z', 4));
    for (const table of ['journal', 'retired', 'trash', 'slots_due']) {
      const its = poison.filter(([of]) => of === table).map(([, key]) => key);
      expect(await home.keysIn(table), table).toEqual(its.toSorted());
    }
    const told = home.log.filter(({ event }) => event === 'records_unreadable').map(({ fields }) => fields);
    expect(told).toContainEqual({ table: 'journal', records: 3, keys: ['aaaa', 'cccc', 'bbbb'] });
    expect(told).toContainEqual({ table: 'retired', records: 1, keys: [poison[3][1]] });
    expect(told).toContainEqual({ table: 'trash', records: 1, keys: [poison[4][1]] });
    expect(told).toContainEqual({ table: 'slots_due', records: 1, keys: [poison[5][1]] });
    expect(told).toContainEqual({ table: 'slots_due', records: 1, keys: [poison[6][1]] });
    // What cannot be condemned is not told to the providers, who could not be read then.
    const vault = await home.open();
    const status = vault.status();
    await home.until(status);
    expect(await status).toMatchObject({ standing: 'confirmed' });
    await home.until(vault.close());
  });
});

describe('many short commands', () => {
  it('get done together what each of them is too short for, and each ends promptly', async () => {
    const home = new VirtualHome(IDS, SETTINGS);
    await home.command(put('x', 1));
    await home.command(put('x', 2));
    await home.clock.advance(120_000);
    const [before] = await home.keysIn('retired');
    expect(before).toBeDefined();
    // The root is to be fetched before anything is deleted.
    for (const key of await home.keysIn('manifests')) await home.engine.table('manifests').delete(key);
    home.latencyMs = 300;
    const closings: number[] = [];
    while ((await home.keysIn('retired')).length > 0 && closings.length < 40) {
      closings.push(await home.command(put(`n${closings.length}`, 9, 100)));
    }
    expect(await home.keysIn('retired')).toEqual([]);
    expect(closings.length).toBeGreaterThan(1);
    expect(closings.length).toBeLessThanOrEqual(16);
    const mean = closings.reduce((sum, ms) => sum + ms, 0) / closings.length;
    expect(mean).toBeLessThan(1_000);
  });

  it('stay hardly longer while a provider hangs for ever', async () => {
    const home = await untidy(PATIENT);
    // Nobody knows of it until something is to be deleted there.
    home.stuck.add('p1.delete');
    await home.command(put('z', 4));
    const closings: number[] = [];
    for (let i = 0; i < 16; i++) closings.push(await home.command(put(`n${i}`, 5, 100)));
    expect(at(await home.keysIn('trash'), 'p1').length).toBeGreaterThan(0);
    const mean = closings.reduce((sum, ms) => sum + ms, 0) / closings.length;
    expect(mean, String(closings)).toBeLessThan(1_000);
  });
});

describe('operations one after another', () => {
  it('share a round of chores, and what the last one left is done by the time the vault is closed', async () => {
    const memory = createMemoryEngine();
    let looks = 0;
    const engine: Engine = {
      name: memory.name,
      table: (name) => {
        if (name === 'retired') looks++;
        return memory.table(name);
      },
      batch: (...args) => memory.batch(...args),
      revision: () => memory.revision(),
      close: () => memory.close(),
    };
    const home = new VirtualHome(IDS, SETTINGS, engine);
    const vault = await home.open();
    const looksOf = async (work: () => Promise<unknown>): Promise<number> => {
      const before = looks;
      await home.until(work());
      await home.clock.advance(10);
      return looks - before;
    };
    const first = await looksOf(() => put('n', 1, 100)(vault));
    expect(first).toBeGreaterThan(0);
    for (let i = 0; i < 5; i++) expect(await looksOf(() => put(`n${i}`, i, 100)(vault))).toBe(0);
    expect(await looksOf(() => home.clock.advance(1_000))).toBe(first);
    expect(await looksOf(() => home.clock.advance(10_000))).toBe(0);
    await put('m', 2, 100)(vault);
    await put('m', 3, 100)(vault);
    await engine.table('trash').put(`p1/b3:${'0'.repeat(64)}`, new Uint8Array(8));
    await home.until(vault.close());
    expect(await home.keysIn('trash')).toEqual([]);
  });
});

describe('the status of a vault', () => {
  it('tells what is left, what cannot be read and what failed', async () => {
    const home = await untidy();
    await home.engine.table('journal').put('aaaa', utf8Encode('no header'));
    const vault = await home.open();
    const before = vault.status();
    await home.until(before);
    expect(await before).toMatchObject({
      standing: 'confirmed',
      why: [],
      backlog: {
        journals: { alive: 0, dead: 1, unfinished: 0, unknown: 0 },
        retired: { due: 1, later: 0, waiting: 0, oldestMs: expect.any(Number) },
        trash: { p3: { blobs: 1, bytes: 0, states: { queued: 1 } } },
        slotsDue: { p1: 1, p5: 1 },
        namesDue: 0,
        more: false,
      },
      unreadable: [{ table: 'journal', records: 1, keys: ['aaaa'] }],
      failing: {},
    });
    await home.until(vault.close());
    home.hanging.add('p1');
    await home.command(put('z', 4));
    const after = await home.open();
    const left = after.status();
    await home.until(left);
    const { backlog, chores, failing } = await left;
    expect(backlog.journals).toEqual({ alive: 0, dead: 0, unfinished: 0, unknown: 0 });
    expect(Object.keys(backlog.trash)).toEqual(['p1']);
    expect(failing.p1).toMatchObject({ failures: 1, error: expect.any(String) });
    expect(chores.index).toMatchObject({ failures: 0, doneMs: expect.any(Number) });
    await home.until(after.close());
  });

  it('tells what keeps repair waiting', async () => {
    const home = new VirtualHome(IDS, SETTINGS);
    await home.command(put('x', 1));
    const day = new Date(home.clock.now()).toISOString().slice(0, 10);
    const [manifest] = await home.keysIn('manifests');
    const later = { v: 1, attempts: 3, next: home.clock.now() + 500_000, error: 'late' };
    for (const [chunk, next] of [later.next, later.next - 100_000].entries()) {
      const key = `${manifest}/000000000${chunk}`;
      await home.engine.table('repair_backoff').put(key, utf8Encode(JSON.stringify({ ...later, next })));
    }
    await home.engine.table('repair_backoff').put(`${manifest}/0000000009`, utf8Encode('nothing'));
    await home.engine.table('repair_egress').put(`${day}/p2`, utf8Encode('{"v":1,"bytes":77}'));
    await home.engine.table('repair_egress').put('2001-01-01/p2', utf8Encode('{"v":1,"bytes":99}'));
    const vault = await home.open();
    const asked = vault.status();
    await home.until(asked);
    expect(await asked).toMatchObject({
      repair: { putOff: 2, nextMs: later.next - 100_000, egressBytes: { p2: 77 } },
      unreadable: [{ table: 'repair_backoff', records: 1 }],
    });
    await home.until(vault.close());
  });

  it('comes within seconds though every provider hangs', async () => {
    const home = await untidy(PATIENT);
    for (const id of IDS) home.hanging.add(id);
    const vault = await home.open();
    const status = vault.status();
    expect(await home.until(status)).toBeLessThan(5_000);
    expect(await status).toMatchObject({ standing: 'unconfirmed', backlog: { retired: { due: 1 } } });
    expect(await home.until(vault.close())).toBeLessThan(5_000);
  });
});

describe('a clock that is set by a year', () => {
  const YEAR = 365 * 86_400_000;

  it.each([
    ['back', -YEAR],
    ['forth, and back again', YEAR],
  ])('%s, keeps no version that was replaced from going, and none for less than its grace', async (_, by) => {
    const home = new VirtualHome(IDS, SETTINGS);
    // One that cannot be read stands before those to be corrected.
    const poison = `99999999999999/b3:${'3'.repeat(64)}`;
    await home.engine.table('retired').put(poison, utf8Encode('no JSON'));
    if (by > 0) home.clock.jump = by;
    await home.command(put('x', 1));
    await home.command(put('x', 2));
    if (by > 0) home.clock.jump = 0;
    else home.clock.jump = by;
    await home.command(put('y', 3));
    expect(await home.keysIn('retired')).toHaveLength(2);
    await home.clock.advance(50_000);
    await home.command(put('y2', 3));
    expect(await home.keysIn('retired')).toHaveLength(2);
    await home.clock.advance(20_000);
    await home.command(put('z', 4));
    expect(await home.keysIn('retired')).toEqual([poison]);
  });
});
