import { stat } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CliVault, providersToml, SMALL_PIECES, said } from '../helpers/cli.ts';
import { blobsIn } from '../helpers/files.ts';
import { noise } from '../helpers/vault.ts';

const BIG = noise(2_500_000, 1);
/** So slow that a process can be killed in the middle. */
const SLOWLY = '[repair]\nbytes_per_second = "256 KiB"\n';

let cli: CliVault;
beforeAll(async () => {
  cli = await CliVault.create(`${SMALL_PIECES}${SLOWLY}${providersToml(10)}`);
  const on = await cli.run(['providers maintenance', 'p10', 'on']);
  expect(on.code, said(on)).toBe(0);
  const put = await cli.run(['put', '-', '--name', 'big'], { input: BIG });
  expect(put.code, said(put)).toBe(0);
  const off = await cli.run(['providers maintenance', 'p10', 'off']);
  expect(off.code, said(off)).toBe(0);
});
afterAll(() => cli.remove());

interface Said {
  readonly plan: {
    readonly segments: number;
    readonly bytes: number;
    readonly refused: { segments: number };
  };
  readonly result?: { readonly segments: number; readonly left: { readonly segments: number } };
}
const json = async (...args: string[]): Promise<Said> => {
  const outcome = await cli.run([...args, '--json']);
  return JSON.parse(outcome.stdout.toString()) as Said;
};

/** Packs at a provider; manifest nodes are smaller. */
async function packsAt(id: string): Promise<number> {
  const sizes = await Promise.all(
    (await blobsIn(cli.providerRoot(id))).map((path) =>
      stat(path).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.filter((size) => size > 8192).length;
}

it('evacuate says what it will take, and does nothing without being told to', async () => {
  const shown = await cli.run(['evacuate', 'p3', '--dry-run']);
  expect(shown.code, said(shown)).toBe(0);
  const text = shown.stdout.toString();
  expect(text).toMatch(/^at p3: \d+ segments to move, \d/);
  for (const line of ['read', 'written', 'requests', 'reading', 'time'])
    expect(text).toMatch(new RegExp(`^  ${line} +\\S`, 'm'));
  const before = await json('evacuate', 'p3', '--dry-run');
  expect(before.plan.segments).toBeGreaterThan(5);
  const silent = await cli.run(['evacuate', 'p3']);
  expect(silent.code, said(silent)).toBe(2);
  expect(silent.stderr).toContain('--yes');
  expect(await json('evacuate', 'p3', '--dry-run')).toEqual(before);
  expect((await cli.run(['evacuate', 'p77', '--yes'])).code).toBe(3);
});

it('replace is refused with 6 by one that holds shards of the same chunks', async () => {
  const shown = await cli.run(['replace', 'p3', 'p4', '--dry-run']);
  expect(shown.code, said(shown)).toBe(6);
  expect(shown.stdout.toString()).toMatch(/stays .*without it they would survive/);
  const refused = await cli.run(['replace', 'p3', 'p4', '--yes']);
  expect(refused.code, said(refused)).toBe(6);
});

it('evacuate that is killed goes on where it was, and ends with nothing left there', async () => {
  const { plan } = await json('evacuate', 'p3', '--dry-run');
  let left = plan.segments;
  for (let kill = 0; kill < 2; kill++) {
    const before = await packsAt('p10');
    // The second pack of a run is stored once the segment of the first is recorded.
    const running = cli.start(['evacuate', 'p3', '--yes'], { input: new Uint8Array(0) });
    await expect.poll(() => packsAt('p10'), { timeout: 30_000, interval: 20 }).toBeGreaterThan(before + 1);
    running.child.kill('SIGKILL');
    const killed = await running.outcome;
    expect(killed.code, said(killed)).toBeNull();
    const now = (await json('evacuate', 'p3', '--dry-run')).plan.segments;
    expect(now).toBeLessThan(left);
    left = now;
    const got = await cli.run(['get', 'big', '-o', '-']);
    expect(Buffer.compare(got.stdout, BIG)).toBe(0);
  }
  expect(left).toBeGreaterThan(0);
  const ended = await cli.run(['evacuate', 'p3', '--yes', '--json']);
  expect(ended.code, said(ended)).toBe(0);
  const { result } = JSON.parse(ended.stdout.toString()) as Said;
  expect(result).toMatchObject({ segments: left, left: { segments: 0, objects: 0, why: [] } });
  const verified = await cli.run(['verify', 'big']);
  expect(verified.code, said(verified)).toBe(0);
  expect((await json('evacuate', 'p3', '--dry-run')).plan).toMatchObject({ segments: 0, bytes: 0 });
}, 120_000);

it('rebalance says what it will take and evens out what providers hold', async () => {
  const back = await cli.run(['providers maintenance', 'p3', 'off']);
  expect(back.code, said(back)).toBe(0);
  const shown = await cli.run(['rebalance', '--dry-run']);
  expect(shown.code, said(shown)).toBe(0);
  expect(shown.stdout.toString()).toMatch(/^[1-9]\d* packs? to move, \d/);
  const silent = await cli.run(['rebalance']);
  expect(silent.code, said(silent)).toBe(2);
  const done = await cli.run(['rebalance', '--yes', '--json']);
  const { plan, result } = JSON.parse(done.stdout.toString()) as {
    readonly plan: { readonly packs: number };
    readonly result: { readonly packs: number; readonly isEven: boolean; readonly failed: number };
  };
  expect(result.packs).toBeGreaterThanOrEqual(plan.packs);
  expect(result.failed).toBe(0);
  expect(done.code, said(done)).toBe(result.isEven ? 0 : 4);
  const got = await cli.run(['get', 'big', '-o', '-']);
  expect(Buffer.compare(got.stdout, BIG)).toBe(0);
}, 60_000);
