import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { ProviderSnapshot } from '../../src/catalog/index.ts';
import type { Vault } from '../../src/compose/open-vault.ts';
import { PROFILES_TABLE } from '../../src/profiles/store.ts';
import { createMemoryAdapter } from '../../src/providers/memory/index.ts';
import { type Link, startFaultProxy } from '../helpers/fault-proxy.ts';
import { noise } from '../helpers/vault.ts';
import { deps } from '../providers/conform.ts';
import { serveNode } from './node.ts';
import { openOver } from './vaults.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const RUNGS = [256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB];
/** A tenth of the shipped 3 s: a link of a given rate stands for one a tenth as fast. */
const TARGET_SECONDS = 0.3;
const SETTINGS = `[chunks]
target_seconds = ${TARGET_SECONDS}
[compression]
algorithm = "none"
[limits]
max_attempts = 1
max_workers = 1
probe_ms = 2000
[placement]
min_tolerates = 0`;
const PATIENCE = 60;

const home = await mkdtemp(join(tmpdir(), 'holdfast-ladder-'));
const node = await serveNode(createMemoryAdapter({ id: 'behind', ...deps }));
const wire = await startFaultProxy(node.port, 3);
afterAll(async () => {
  await wire.close();
  await node.close();
  await rm(home, { recursive: true, force: true });
});
const place = { id: 'far', domain: 'far', keys: `adapter = "http"\nurl = "http://127.0.0.1:${wire.port}"` };
const state = (vault: Vault): ProviderSnapshot => vault.internals.catalog.snapshot()[0]!;
const stored = (vault: Vault) => vault.internals.context.engine.table(PROFILES_TABLE).get('far');

/** What the rules say of one step, from the averages that were in force; written from them, not from the code. */
function ruled(before: number, stable: number, failed: boolean, after: ProviderSnapshot): number {
  const at = RUNGS.indexOf(before);
  const down = RUNGS[Math.max(0, at - 1)]!;
  if (failed) return down;
  if (stable < 3) return before;
  const { lossRate, rttMs = 0, bytesPerSecond = 0 } = after;
  if (lossRate > 0.02 || rttMs > 200) return down;
  const fits = RUNGS.filter((rung) => rung <= bytesPerSecond * TARGET_SECONDS).at(-1) ?? RUNGS[0]!;
  if (fits < before) return down;
  return fits > before && lossRate < 0.002 && rttMs < 80 ? RUNGS[at + 1]! : before;
}

/** Every step is a run of its own, as with the command: what the last one learnt comes from the store. */
async function run<T>(work: (vault: Vault) => Promise<T>): Promise<T> {
  const vault = await openOver(home, [place], SETTINGS);
  try {
    return await work(vault);
  } finally {
    await vault.close();
  }
}

it('the chunk length walks the ladder by what happens on the wire, and restarts forget nothing', async () => {
  const rows: string[] = [];
  let rung = MIB;
  let stable = 0;

  /** Stores over this link until the rung is reached. */
  const walk = async (name: string, link: Partial<Link>, until: number): Promise<void> => {
    wire.setLink({ latencyMs: 0, bytesPerSecond: 40 * MIB, loss: 0, ...link });
    for (let i = 0; i < PATIENCE && rung !== until; i++) {
      await run(async (vault) => {
        const before = state(vault);
        expect(before.preferredChunk).toBe(rung);
        const put = vault.putObject(noise(256 * KIB, rows.length + 1), { name: 'walk' });
        await put.catch(() => {});
        const after = state(vault);
        const failed = after.totalFailures > before.totalFailures;
        stable = failed ? 0 : stable + (after.totalChunks - before.totalChunks);
        expect(after.preferredChunk, `${name}, step ${rows.length}`).toBe(ruled(rung, stable, failed, after));
        if (after.preferredChunk !== rung) stable = 0;
        rung = after.preferredChunk;
        rows.push(row(name, failed, after));
      });
    }
    expect(rung, `${name}\n${rows.join('\n')}`).toBe(until);
  };

  await walk('40 MiB/s', {}, 4 * MIB);
  await walk('4 MiB/s', { bytesPerSecond: 4 * MIB }, MIB);
  await walk('40 MiB/s', {}, 2 * MIB);
  await walk('260 ms away', { latencyMs: 260 }, MIB);
  await walk('5 % lost', { loss: 0.05 }, 256 * KIB);
  await walk('good again', {}, 512 * KIB);
  console.log(rows.join('\n'));

  const bytes = await run(stored);
  for (let restart = 0; restart < 2; restart++) expect(await run(stored)).toEqual(bytes);
});

function row(name: string, failed: boolean, s: ProviderSnapshot): string {
  const rate = ((s.bytesPerSecond ?? 0) / MIB).toFixed(1);
  return `${name.padEnd(12)} ${failed ? 'failed' : 'stored'} ${rate.padStart(6)} MiB/s ${(s.rttMs ?? 0).toFixed(1).padStart(6)} ms ${(100 * s.lossRate).toFixed(1).padStart(5)} % → ${s.preferredChunk / KIB} KiB`;
}
