import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { concatBytes } from '../../src/core/bytes.ts';
import { encodeRelocation } from '../../src/manifest/relocation.ts';
import { DamageLog } from '../../src/object/damage.ts';
import { fetchNode } from '../../src/object/fetch-node.ts';
import { publicTree, walkManifest } from '../../src/object/manifest-tree.ts';
import { openManifest } from '../../src/records/manifests.ts';
import { internalsOf } from '../../src/vault/opened-vault.ts';
import type { VirtualHome } from './opened.ts';

/** Moves what p1 and p2 have of an object of one chunk to p4, as a repair would. */
export async function relocate(home: VirtualHome, name: string): Promise<void> {
  const vault = await home.open();
  const { context } = internalsOf(vault);
  const work = async (): Promise<void> => {
    const { manifest } = await vault.statObject(name);
    const { record } = await openManifest(context, manifest, new DamageLog());
    const tree = publicTree(record, (address) => fetchNode(context, address, new DamageLog()));
    for await (const { address, segment } of walkManifest(tree)) {
      if (segment === undefined) continue;
      const gone = segment.packs.filter(({ provider }) => ['p1', 'p2'].includes(provider));
      const shards = [...segment.places.keys()].filter((at) =>
        gone.includes(segment.packs[segment.places[at]!]!),
      );
      const parts: Uint8Array[] = [];
      for (const at of shards) {
        const { provider, address: of } = segment.packs[segment.places[at]!]!;
        parts.push(await home.adapter(provider).fetch(of));
        await home.adapter(provider).delete(of);
      }
      const bytes = concatBytes(...parts);
      const moved = addressOf(context.blake3.hash(bytes));
      await home.adapter('p4').store(moved, [bytes]);
      const key: BlobAddress = address ?? manifest;
      const movedMs = home.clock.now();
      const packs = [{ provider: 'p4', address: moved, length: bytes.length, shards }];
      const row = encodeRelocation({ segment: key, movedMs, packs });
      const at = `${key}/${String(movedMs).padStart(14, '0')}/${addressOf(context.blake3.hash(row))}`;
      await home.engine.table('relocations').put(at, row);
    }
  };
  await home.until(work());
  await home.until(vault.close());
}
