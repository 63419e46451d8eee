import type { BlobAddress } from '../../src/core/address.ts';
import type { ProviderSummary, RepairSummary } from '../../src/explorer/source.ts';
import { noteDamage } from '../../src/records/damage.ts';
import { backOff } from '../../src/records/repair-backoff.ts';
import { rememberAudit } from '../../src/upkeep/audit/history.ts';
import { newScrub, noCounts, writeScrub } from '../../src/upkeep/scrub/state.ts';
import type { TestVault } from '../helpers/vault.ts';

const HOUR_MS = 3_600_000;
const MIB = 1024 ** 2;
const IDS = Array.from({ length: 9 }, (_, i) => `p${i + 1}`);

/** Nine providers that differ, as the catalog tells of them. */
export function someProviders(nowMs: number): readonly ProviderSummary[] {
  return IDS.map((id, i) => {
    const measured = {
      id,
      rttMs: 4.2 + 9.7 * i * i,
      lossRate: i === 7 ? 0.62 : i === 3 ? 0.02 : 0,
      successRate: i === 7 ? 0.71 : 1,
      bytesPerSecond: (92 - 9 * i) * MIB,
      preferredChunk: i < 5 ? 4 * MIB : MIB,
      totalSlow: i,
      totalFailures: i === 7 ? 41 : 0,
      totalLies: 0,
      usedBytes: (310 + 37 * i) * MIB,
      quotaBytes: i === 2 ? undefined : (i === 5 ? 520 : 1024) * MIB,
      maintenance: i === 8,
    };
    const lastFailure = {
      at: nowMs - 90_000,
      operation: 'probe',
      code: 'timeout',
      message: 'the probe took longer than 5000 ms',
    };
    if (i === 7) return { ...measured, state: 'quarantined', why: 'loses 62 % of its probes', lastFailure };
    if (i === 5) return { ...measured, state: 'quota', why: 'has room for less than a chunk' };
    return i === 8
      ? { ...measured, state: 'maintenance', why: 'set by the operator' }
      : { ...measured, state: 'ok', why: '' };
  });
}

export async function* someRepairs(manifest: BlobAddress, nowMs: number): AsyncGenerator<RepairSummary> {
  const at = { manifest, bytes: 9 * MIB };
  yield {
    ...at,
    kind: 'repair',
    chunk: 4,
    status: 'failure',
    bytes: 0,
    error: 'undecodable: 15 of 16 shards were read; p8 did not answer within 60000 ms',
    atMs: nowMs - 60_000,
    nextMs: nowMs + 240_000,
  };
  yield { ...at, kind: 'repair', chunk: 3, status: 'success', atMs: nowMs - 70_000 };
  yield { ...at, kind: 'evacuate', segment: manifest, status: 'success', atMs: nowMs - 3 * HOUR_MS };
}

/** Records of scrubs and audits, of what they found, and of what waits. */
export async function makeLively({ context }: TestVault, manifest: BlobAddress): Promise<void> {
  const now = Date.now();
  const at = { manifest, segment: manifest };
  await noteDamage(context, [
    { ...at, provider: 'p8', pack: manifest, problem: 'missing', shards: [1, 2, 3], foundBy: 'scrub' },
    { ...at, provider: 'p4', pack: manifest, problem: 'corrupt', foundBy: 'audit' },
  ]);
  await backOff(context, manifest, 4, 'undecodable: p8 did not answer within 60000 ms');
  for (let part = 1; part <= 3; part++) {
    const counts = { ...noCounts(), packs: 1204, bytes: 9_100 * MIB, missing: part === 2 ? 1 : 0 };
    const state = { ...newScrub(now - part * 24 * HOUR_MS), manifests: 38, segments: 51 };
    const providers = new Map(IDS.map((id) => [id, counts]));
    const finishedMs = part === 3 ? undefined : now - part * 23 * HOUR_MS;
    await writeScrub(context.engine, { part, of: 30 }, { ...state, providers, finishedMs }, {});
  }
  const right = { missing: 0, corrupt: 0, unanswered: 0, bytes: 688 * 4096 };
  const passed = IDS.map((provider) => {
    return { provider, state: 'passed' as const, challenges: 688, right: 688, ...right };
  });
  const silent = { ...right, state: 'silent' as const, challenges: 3, right: 0, unanswered: 3, bytes: 0 };
  await rememberAudit(context, { atMs: now - 26 * HOUR_MS, challenges: 688, whole: true, providers: passed });
  const providers = passed.map((its) => (its.provider === 'p8' ? { ...its, ...silent } : its));
  await rememberAudit(context, { atMs: now - 2 * HOUR_MS, challenges: 688, whole: true, providers });
}

/** Hours of receipts as a gateway tells of them. */
export function someEpochs(epoch: number): readonly object[] {
  const its = (provider: string, reads: number) => {
    const sums = { reads, signed: reads - 2, readers: 7, bytes: reads * MIB, signedBytes: (reads - 2) * MIB };
    return { provider, ...sums, executions: 0, cpuUs: 0, credited: (reads - 2) * MIB };
  };
  const root = {
    digest: '5f'.repeat(32),
    tree: 'a7'.repeat(32),
    receipts: 1422,
    bytes: 1420 * MIB,
    credited: 1416 * MIB,
    denied: 2,
    providers: [its('p1', 800), its('p4', 620)],
  };
  const final = { anchor: 'evm', where: 'block 19200311', depth: 14, atMs: HOUR_MS * epoch };
  return [
    { epoch, fromMs: HOUR_MS * epoch, state: 'open' },
    { epoch: epoch - 1, fromMs: HOUR_MS * (epoch - 1), state: 'closed', root },
    { epoch: epoch - 2, fromMs: HOUR_MS * (epoch - 2), state: 'final', root, final },
    { epoch: epoch - 3, fromMs: HOUR_MS * (epoch - 3), state: 'damaged' },
  ];
}
