import { expect, it } from 'vitest';
import { UPKEEP_TABLE } from '../../src/records/usage.ts';
import { pastAudits, rememberAudit } from '../../src/upkeep/audit/history.ts';
import { ADMIN, bearer, startGateway } from '../gateway/harness.ts';
import { noise, testVault } from '../helpers/vault.ts';
import { makeLively } from './lively.ts';

it('tells what was found and what waits, what comes first at the top', async () => {
  const { put, url, vault } = await startGateway();
  const manifest = await put(noise(100_000));
  await makeLively(vault, manifest);
  const answer = await fetch(`${url}/storage/checks`, { headers: bearer(ADMIN) });
  expect(await answer.json()).toMatchObject({
    scrubs: [
      { part: 3, of: 30, missing: 0 },
      { part: 1, of: 30, packs: 9 * 1204 },
      { part: 2, of: 30, missing: 9 },
    ],
    audits: [{ challenges: 688, whole: true }, {}],
    damage: { more: false, rows: [{ manifest }, { manifest }] },
    waiting: { more: false, rows: [{ manifest, chunk: 4, attempts: 1, nextMs: expect.any(Number) }] },
    chores: {},
  });
});

it('keeps the latest sixteen audits; a damaged record of them is written anew', async () => {
  const { context } = await testVault();
  const audit = { challenges: 1, whole: true, providers: [] };
  for (let atMs = 1; atMs <= 20; atMs++) await rememberAudit(context, { ...audit, atMs });
  const kept = await pastAudits(context);
  expect(kept.map(({ atMs }) => atMs)).toEqual(Array.from({ length: 16 }, (_, i) => 20 - i));
  await context.engine.table(UPKEEP_TABLE).put('audits', Buffer.from('{"v":2}'));
  expect(await pastAudits(context)).toEqual([]);
  await rememberAudit(context, { ...audit, atMs: 30 });
  expect(await pastAudits(context)).toEqual([{ ...audit, atMs: 30 }]);
});
