import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { ProviderSnapshot } from '../../src/catalog/catalog.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { internalsOf } from '../../src/vault/opened-vault.ts';
import type { Vault } from '../../src/vault/vault.ts';
import { type Link, startFaultProxy } from '../helpers/fault-proxy.ts';
import { noise } from '../helpers/vault.ts';
import { deps } from '../providers/conform.ts';
import { serveNode } from './node.ts';
import { openOver } from './vaults.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const RUNGS = [256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB];
const SHIPPED_SECONDS = 3;
/** A tenth of that: a link of a given rate stands for one a tenth as fast. */
const QUICK_SECONDS = 0.3;
const settings = (targetSeconds: number): string => `[chunks]
target_seconds = ${targetSeconds}
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
const state = (vault: Vault): ProviderSnapshot => internalsOf(vault).catalog.snapshot()[0]!;

type Rule = 'failed' | 'loss' | 'RTT' | 'slow link' | 'good link' | '';

/** What the rules say of one step, from the averages that were in force; written from them, not from the code. */
function ruled(
  before: number,
  stable: number,
  failed: boolean,
  { lossRate, rttMs = 0, bytesPerSecond = 0 }: ProviderSnapshot,
  targetSeconds: number,
): { readonly rung: number; readonly why: Rule } {
  const at = RUNGS.indexOf(before);
  const down = RUNGS[Math.max(0, at - 1)]!;
  if (failed) return { rung: down, why: 'failed' };
  if (stable < 3) return { rung: before, why: '' };
  if (lossRate > 0.02) return { rung: down, why: 'loss' };
  if (rttMs > 200) return { rung: down, why: 'RTT' };
  const fits = fitting(bytesPerSecond, targetSeconds);
  if (fits < before) return { rung: down, why: 'slow link' };
  const good = fits > before && lossRate < 0.002 && rttMs < 80;
  return good ? { rung: RUNGS[at + 1]!, why: 'good link' } : { rung: before, why: '' };
}

const fitting = (bytesPerSecond: number, targetSeconds: number): number =>
  RUNGS.filter((rung) => rung <= bytesPerSecond * targetSeconds).at(-1) ?? RUNGS[0]!;

/** Every step is a run of its own, as with the command: what the last one learnt comes from the store. */
async function run<T>(targetSeconds: number, work: (vault: Vault) => Promise<T>): Promise<T> {
  const vault = await openOver(home, [place], settings(targetSeconds));
  try {
    return await work(vault);
  } finally {
    await vault.close();
  }
}

interface Leg {
  readonly link: Partial<Link>;
  /** Default: the quick one. */
  readonly seconds?: number;
  readonly objectBytes?: number;
  /** The rung that ends it; default: after so many steps. */
  readonly until?: number;
  readonly steps?: number;
}

interface Step {
  readonly leg: string;
  readonly from: number;
  readonly why: Rule;
  readonly after: ProviderSnapshot;
}

it('the chunk length walks the ladder by what happens on the wire, and restarts forget nothing', {
  timeout: 300_000,
}, async () => {
  const steps: Step[] = [];
  let rung = MIB;
  let stable = 0;

  /** Stores over this link until the rung is reached. @returns its steps. */
  const walk = async (leg: string, { link, seconds = QUICK_SECONDS, ...how }: Leg): Promise<Step[]> => {
    const begun = steps.length;
    wire.setLink({ latencyMs: 0, bytesPerSecond: 40 * MIB, loss: 0, ...link });
    for (let i = 0; i < (how.steps ?? PATIENCE) && rung !== how.until; i++) {
      await run(seconds, async (vault) => {
        const before = state(vault);
        expect(before.preferredChunk).toBe(rung);
        const object = noise(how.objectBytes ?? 256 * KIB, steps.length + 1);
        // Puts of many runs in a row count as one probe, so each run makes one that counts.
        await internalsOf(vault).catalog.probeAll();
        await vault.putObject(object, { name: 'walk' }).catch(() => {});
        const after = state(vault);
        const failed = after.totalFailures > before.totalFailures;
        stable = failed ? 0 : stable + (after.totalChunks - before.totalChunks);
        const rule = ruled(rung, stable, failed, after, seconds);
        steps.push({ leg, from: rung, why: rule.why, after });
        expect(after.preferredChunk, `step ${steps.length}\n${table(steps)}`).toBe(rule.rung);
        if (after.preferredChunk !== rung) stable = 0;
        rung = after.preferredChunk;
      });
    }
    if (how.until !== undefined) expect(rung, table(steps)).toBe(how.until);
    return steps.slice(begun);
  };

  await walk('40 MiB/s', { link: {}, until: 4 * MIB });
  await walk('4 MiB/s', { link: { bytesPerSecond: 4 * MIB }, until: MIB });
  await walk('40 MiB/s', { link: {}, until: 2 * MIB });

  // From here on with the shipped target, under which the rate alone would allow the longest chunk even from afar.
  const shipped = { seconds: SHIPPED_SECONDS, objectBytes: MIB };
  const far = await walk('400 ms away', { link: { latencyMs: 400 }, ...shipped, until: 512 * KIB });
  const forced = far.filter(({ why }) => why !== '');
  expect(forced.map(({ from, why }) => ({ from, why }))).toEqual([
    { from: 2 * MIB, why: 'RTT' },
    { from: MIB, why: 'RTT' },
  ]);
  for (const { from, after } of forced) {
    expect(after.rttMs).toBeGreaterThan(200);
    expect(after.lossRate).toBe(0);
    expect(fitting(after.bytesPerSecond!, SHIPPED_SECONDS)).toBeGreaterThanOrEqual(from);
  }
  // Between 80 and 200 ms: neither up nor down, though the rate would allow more.
  const between = await walk('120 ms away', { link: { latencyMs: 120 }, ...shipped, steps: 10 });
  const settled = between.slice(-4);
  for (const { after, why } of settled) {
    expect(after.rttMs).toBeGreaterThan(80);
    expect(after.rttMs).toBeLessThan(200);
    expect(why).toBe('');
    expect(fitting(after.bytesPerSecond!, SHIPPED_SECONDS)).toBeGreaterThan(after.preferredChunk);
  }
  await walk('near again', { link: {}, ...shipped, until: MIB });
  // A probe that is lost makes 20 % loss: down twice though every store succeeds, and up again only below 0.2 %.
  wire.stop();
  await run(SHIPPED_SECONDS, (vault) => internalsOf(vault).catalog.probeAll());
  wire.start();
  const lossy = await walk('a probe lost', { link: {}, ...shipped, until: 256 * KIB });
  expect(lossy.map(({ why }) => why).filter((why) => why !== '')).toEqual(['loss', 'loss']);
  const healing = await walk('none lost', { link: {}, ...shipped, until: 512 * KIB });
  const waiting = healing.filter(({ after: { lossRate } }) => lossRate < 0.02 && lossRate > 0.002);
  expect(waiting.length).toBeGreaterThan(5);
  expect(waiting.every(({ why }) => why === '')).toBe(true);
  expect(healing.at(-1)).toMatchObject({ why: 'good link' });
  await walk('5 % lost', { link: { loss: 0.05 }, until: 256 * KIB });
  await walk('good again', { link: {}, until: 512 * KIB });
  console.log(table(steps));

  const stored = (vault: Vault) => internalsOf(vault).context.engine.table('provider_profiles').get('far');
  const bytes = await run(QUICK_SECONDS, stored);
  expect(bytes).toBeInstanceOf(Uint8Array);
  for (let restart = 0; restart < 2; restart++) expect(await run(QUICK_SECONDS, stored)).toEqual(bytes);
});

function table(steps: readonly Step[]): string {
  return steps
    .map(({ leg, why, after: { bytesPerSecond = 0, rttMs = 0, lossRate, preferredChunk } }) =>
      [
        leg.padEnd(12),
        `${(bytesPerSecond / MIB).toFixed(1).padStart(6)} MiB/s`,
        `${rttMs.toFixed(1).padStart(6)} ms`,
        `${(100 * lossRate).toFixed(1).padStart(5)} %`,
        `→ ${preferredChunk / KIB} KiB${why === '' ? '' : ` (${why})`}`,
      ].join(' '),
    )
    .join('\n');
}
