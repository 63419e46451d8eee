import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { decodeRoot, encodeRoot } from '../../src/manifest/root.ts';
import { viewSegment } from '../../src/object/places.ts';
import { localRoot, rememberedRoot } from '../../src/records/manifests.ts';
import { indexedOps } from '../../src/records/shard-index.ts';
import type { TestVault } from '../helpers/vault.ts';

/** As many objects more, each with records of its own, whose shards are those of one that was put. */
export async function rememberMany({ context }: TestVault, like: BlobAddress, count: number): Promise<void> {
  const { engine, keys, random, blake3 } = context;
  const record = decodeRoot((await localRoot(context, like))!);
  const { body, certificate } = record;
  if (!('segment' in body)) throw new Error('an object of one segment is needed');
  const view = viewSegment(body.segment, createLinearCode(record.code));
  const level = certificate.domains.level;
  const objectKey = random(32);
  for (let at = 0; at < count; at += 250) {
    const ops = Array.from({ length: Math.min(250, count - at) }, (_, i) => {
      const createdMs = Date.UTC(2026, 0, 1) + 60_000 * (at + i);
      const secrets = { contentType: 'text/plain', size: 5000 + at + i, plainHash: random(32), createdMs };
      const bytes = encodeRoot(
        { ...record, body, objectId: random(16), secrets },
        objectKey,
        keys.wrap,
        random,
      );
      const address = addressOf(blake3.hash(bytes));
      const kept = rememberedRoot({ address, bytes, storedMs: createdMs, usage: undefined });
      return [...kept, ...indexedOps(view, { segment: address, manifest: address, level })];
    }).flat();
    const once = new Map(ops.map((op) => [`${op.table} ${op.key}`, op]));
    await engine.batch([...once.values()]);
  }
}
