import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { internalsOf } from '../../src/vault/opened-vault.ts';
import { arenaIsFree } from '../helpers/faulty.ts';
import { noise, readAll } from '../helpers/vault.ts';
import { deps } from '../providers/deps.ts';
import { startEndlessNode } from './endless-node.ts';
import { serveNode } from './node.ts';
import { openOver } from './vaults.ts';

const MIB = 1024 * 1024;
const SETTINGS = '[limits]\nmax_attempts = 1\nmax_workers = 1';
/** What may be on its way unread in the socket buffers of one answer. */
const SLACK = 16 * MIB;
/** Endless answers until it is found out: with one get of an object, at most one for each range that it asks for. */
const MAX_ANSWERS = 3;

const node = await serveNode(createMemoryAdapter({ id: 'behind', ...deps }));
afterAll(() => node.close());

for (const honest of [true, false]) {
  const begins = honest ? 'begin as they should' : 'are zeroes';
  it(`a provider whose bodies never end and ${begins} is found out by the first get that asks it`, async () => {
    const liar = await startEndlessNode(node.port, honest);
    const home = await mkdtemp(join(tmpdir(), 'holdfast-endless-'));
    const places = [
      ...Array.from({ length: 8 }, (_, i) => ({
        id: `m${i}`,
        domain: `m${i}`,
        keys: `adapter = "memory"\nprice = 100`,
      })),
      // The cheapest, so that it is asked first.
      {
        id: 'liar',
        domain: 'liar',
        keys: `adapter = "http"\nurl = "http://127.0.0.1:${liar.port}"\nprice = 1`,
      },
    ];
    const vault = await openOver(home, places, SETTINGS);
    const bytes = noise(400_000);
    await vault.putObject(bytes, { name: 'x' });
    const rssBefore = process.memoryUsage().rss;
    expect(Buffer.compare(await readAll(await vault.getObject('x')), bytes)).toBe(0);
    const grown = process.memoryUsage().rss - rssBefore;
    const state = () =>
      internalsOf(vault)
        .catalog.snapshot()
        .find(({ id }) => id === 'liar')!;
    expect(state()).toMatchObject({ state: 'lying' });
    expect(state().why).toMatch(/\(a read: (body_too_long|over_max_bytes|Corrupt)/);
    const { answers, sent } = { answers: liar.answers(), sent: liar.sent() };
    expect(answers).toBeGreaterThan(0);
    expect(answers).toBeLessThanOrEqual(MAX_ANSWERS);
    expect(sent).toBeLessThan(answers * SLACK);
    expect(grown).toBeLessThan(128 * MIB);
    expect(arenaIsFree(internalsOf(vault).context)).toBe(true);

    // Out of favour it gets nothing, and is asked for nothing that others have.
    const { certificate } = await vault.putObject(noise(100_000), { name: 'after' });
    expect(certificate.providers).toBe(8);
    await readAll(await vault.getObject('after'));
    expect(liar.answers()).toBe(answers);
    const { why } = state();
    await vault.close();

    // As `holdfast providers` shows it, which is another process.
    const later = await openOver(home, places, SETTINGS);
    const shown = internalsOf(later)
      .catalog.snapshot()
      .find(({ id }) => id === 'liar')!;
    expect(shown.state).toBe('lying');
    expect(shown.why.split(';')[0]).toBe(why.split(';')[0]);
    await later.close();
    await liar.close();
    await rm(home, { recursive: true, force: true });
    console.log(
      `endless, ${begins}: out of favour after ${answers} answers and ${(sent / MIB).toFixed(1)} MiB that left it, ` +
        `${(grown / MIB).toFixed(1)} MiB more memory; ${why}`,
    );
  });
}
