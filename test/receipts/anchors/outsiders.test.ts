import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type AnchorItem,
  openAnchor,
  proveAnchored,
  verifyAnchorLog,
  verifyAnchorProof,
} from '../../../src/receipts.ts';
import { absent } from '../../helpers/absent.ts';

const hasPython = spawnSync('python3', ['--version']).status === 0;
if (!hasPython) absent('there is no python3', 'that others can verify a log of roots');

const key = (number: number): string => `${'ab'.repeat(32)}/${number}`;
const rootOf = (number: number): AnchorItem => ({
  ...{ kind: 'epoch', key: key(number), total: number },
  digest: new Uint8Array(createHash('sha256').update(`root ${number}`).digest()),
});
/** By one up to where tiles are no longer small, and around what makes a tile full. */
const SIZES = [
  ...Array.from({ length: 40 }, (_, i) => i + 1),
  63,
  64,
  65,
  255,
  256,
  257,
  300,
  511,
  512,
  513,
  777,
];

let folder: string;
let earlier: string;
let proofs = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hf-log-'));
  earlier = join(folder, 'earlier');
  await mkdir(earlier);
  const log = await openAnchor({ folder, origin: 'log.example/roots' });
  let size = 0;
  for (const next of SIZES) {
    await log.submit(Array.from({ length: next - size }, (_, i) => rootOf(size + i)));
    size = next;
    await copyFile(join(folder, 'public/checkpoint'), join(earlier, String(size)));
    const indexes = new Set([0, size >> 1, size - 1]);
    for (const index of indexes) {
      const proof = await proveAnchored(folder, { kind: 'epoch', key: key(index) });
      await writeFile(join(earlier, `${index}-${size}.tlog-proof`), proof);
      proofs++;
    }
  }
  await log.close();
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

test.skipIf(!hasPython)(
  'a reader that knows the specifications alone verifies checkpoints, tiles and proofs',
  async () => {
    const script = 'test/receipts/anchors/verify-log.py';
    const { stdout } = await promisify(execFile)('python3', [script, join(folder, 'public'), earlier]);
    expect(JSON.parse(stdout)).toEqual({ size: 777, checkpoints: SIZES.length, proofs });
  },
  120_000,
);

test('a copied log verifies anywhere, and no byte of it can be another', async () => {
  const copy = join(folder, 'copy');
  await cp(join(folder, 'public'), copy, { recursive: true });
  const report = await verifyAnchorLog(copy);
  expect(report).toMatchObject({ origin: 'log.example/roots', size: 777, unsigned: 0, cosignatures: 0 });
  expect(await verifyAnchorLog(folder, report.key)).toEqual(report);
  const parts = ['checkpoint', 'tile/0/001', 'tile/0/003.p/9', 'tile/1/000.p/3', 'tile/entries/000'];
  for (const part of parts) {
    const file = join(copy, part);
    const bytes = await readFile(file);
    const changed = Buffer.from(bytes);
    changed[changed.length - 20]! ^= 1;
    await writeFile(file, changed);
    await expect(verifyAnchorLog(copy), part).rejects.toMatchObject({ code: 'anchor_log_damaged' });
    await rm(file);
    await expect(verifyAnchorLog(copy), part).rejects.toMatchObject({
      code: part === 'checkpoint' ? 'no_anchor_log' : 'anchor_log_damaged',
    });
    await writeFile(file, bytes);
  }
  const other = report.key.replace(/\+.*/, '+00000000+AQ==');
  await expect(verifyAnchorLog(copy, other)).rejects.toMatchObject({ code: 'bad_option' });
  await expect(verifyAnchorLog(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'no_anchor_log' });
});

test('a proof holds with the key of its log alone, and no bit of it can be another', async () => {
  const { key: verifier } = await verifyAnchorLog(folder);
  const proof = await proveAnchored(folder, { kind: 'epoch', key: key(300) });
  expect(await verifyAnchorProof(proof, verifier)).toMatchObject({
    index: 300,
    size: 777,
    item: rootOf(300),
  });
  // Not its last byte, a line feed that anything may follow.
  for (let at = 0; at < proof.length; at += 3) {
    const changed = proof.slice();
    changed[at]! ^= 1 << (at % 7);
    await expect(verifyAnchorProof(changed, verifier), `byte ${at}`).rejects.toMatchObject({
      kind: 'Corrupt',
    });
  }
  const marked = Uint8Array.of(0xef, 0xbb, 0xbf, ...proof);
  await expect(verifyAnchorProof(marked, verifier)).rejects.toMatchObject({ kind: 'Corrupt' });
  await expect(proveAnchored(folder, { kind: 'epoch', key: key(777) })).rejects.toMatchObject({
    code: 'not_anchored',
  });
});
