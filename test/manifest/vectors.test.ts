import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { portableBlake3 } from '../../src/core/b3/portable.ts';
import { concatBytes, fromHex, toHex } from '../../src/core/bytes.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { decodeKeyFile } from '../../src/keys/key-file.ts';
import { decodeNode, encodeNode } from '../../src/manifest/dag-cbor.ts';
import { decodeIndexNode, unsealIndexNode } from '../../src/manifest/links.ts';
import { openPointer, pointerHash } from '../../src/manifest/pointer.ts';
import { openRoot } from '../../src/manifest/root.ts';
import { decodeSegmentNode, unsealSegment } from '../../src/manifest/segment.ts';
import { rle } from '../reference/compression.ts';
import { readObject, readPointer } from '../reference/manifest.ts';
import { buildPointerVectors, buildVectors, type PointerVectors, type Vectors } from './vector-cases.ts';

const path = new URL('../vectors/manifest-v1.json', import.meta.url);
const vectors = JSON.parse(readFileSync(path, 'utf8')) as Vectors;
const { vault, object } = vectors;
const keys = vaultKeysOf(deriveSubkeys(fromHex(vault.root_key)));
const plain = vectors.chunks.map((chunk) => chunk.plain).join('');

describe('the pinned bytes of the manifest format', () => {
  test('are what is written today', async () => {
    expect(await buildVectors()).toEqual(vectors);
  });

  test('open to what they were made of, and have one form', () => {
    for (const { depth, bytes } of vectors.roots) {
      const { record, secrets, links } = openRoot(fromHex(bytes), keys.wrap);
      expect(toHex(encodeNode(decodeNode(fromHex(bytes))))).toBe(bytes);
      expect(record.body.depth).toBe(depth);
      expect(record).toMatchObject({ chunks: 2, chunkLen: 1024, providers: ['p1', 'p2', 'p3'] });
      expect(secrets).toMatchObject({
        name: object.name,
        contentType: object.content_type,
        size: plain.length / 2,
        createdMs: object.created_ms,
        linkLens: links.map(({ plainBytes }) => plainBytes),
      });
    }
    const objectId = fromHex(object.object_id);
    const sealedKey = fromHex(object.sealed_key);
    const index = decodeIndexNode(fromHex(vectors.index_node.bytes), objectId);
    expect(unsealIndexNode(index, objectId, sealedKey).map(({ cid }) => cid.address)).toEqual(
      vectors.segment_nodes.map(({ address }) => address),
    );
    for (const [i, { bytes }] of vectors.segment_nodes.entries()) {
      const segment = decodeSegmentNode(fromHex(bytes), objectId, 3);
      const told = unsealSegment(sealedKey, objectId, segment);
      const chunk = vectors.chunks[i]!;
      expect(told).toMatchObject({ leads: [chunk.lead], plainLens: [chunk.plain.length / 2] });
      expect(toHex(told.salts)).toBe(chunk.salt);
    }
  });

  test('are those of the worked example in the format document', () => {
    const document = readFileSync(new URL('../../docs/format/manifest.md', import.meta.url), 'utf8');
    const root = vectors.roots[0]!;
    expect(document).toContain(root.address);
    expect(document).toContain(`${(root.bytes.length / 2).toLocaleString('en')} bytes and begins`);
    for (const { key, tag } of vectors.chunks) {
      expect(document).toContain(key.slice(0, 16));
      expect(document).toContain(tag.slice(0, 8));
    }
  });

  test('pointers and slots', () => {
    expect(toHex(keys.wrap)).toBe(vault.wrap_key);
    for (const { version, manifest, name_key, slot, sealed, slot_content } of vectors.pointers) {
      expect(keys.nameKey(object.name)).toBe(name_key);
      expect(keys.slotName(object.name)).toBe(slot);
      const pointer = openPointer(fromHex(sealed), name_key, fromHex(vault.pointer_key));
      expect(pointer).toMatchObject({ name: object.name, version, manifest: manifest ?? undefined });
      const read = readPointer(fromHex(vault.root_key), object.name, (name) =>
        name === slot ? fromHex(slot_content) : undefined,
      );
      expect(read).toMatchObject({ version, manifest });
    }
  });

  test('pointers of version 2, which are written today', () => {
    const at = new URL('../vectors/pointer-v2.json', import.meta.url);
    const pinned = JSON.parse(readFileSync(at, 'utf8')) as PointerVectors;
    expect(buildPointerVectors()).toEqual(pinned);
    expect(pinned.pointers.map(({ ancestors }) => ancestors.length / 32)).toEqual([1, 2, 16]);
    expect(pinned.pointers[0]!.ancestors).toBe(pinned.before.content_hash.slice(0, 32));
    for (const { version, manifest, writer, ancestors, content_hash, sealed } of pinned.pointers) {
      const pointer = openPointer(fromHex(sealed), pinned.name_key, fromHex(vault.pointer_key));
      expect(pointer).toMatchObject({ version, manifest: manifest ?? undefined });
      expect(pointer.previous).toBeUndefined();
      expect([toHex(pointer.writer), toHex(pointer.ancestors)]).toEqual([writer, ancestors]);
      expect(toHex(pointerHash(portableBlake3, pointer))).toBe(content_hash);
      const content = concatBytes(fromHex(pinned.name_key), fromHex(sealed));
      const read = readPointer(fromHex(vault.root_key), object.name, () => content);
      expect(read).toEqual({ version, manifest, lineage: writer + ancestors, hash: content_hash });
    }
  });

  test('key files', async () => {
    const { bare, wrapped, passphrase } = vectors.key_files;
    for (const text of [bare, wrapped]) {
      expect(toHex(await decodeKeyFile(text, async () => passphrase))).toBe(vault.root_key);
    }
  });

  test('are read by the independent reader, at every depth', () => {
    const { packs, segment_nodes, index_node, roots } = vectors;
    const blobs = new Map(
      [...packs, ...segment_nodes, index_node, ...roots].map(({ address, bytes }) => [
        address,
        fromHex(bytes),
      ]),
    );
    expect(roots.map(({ depth }) => depth)).toEqual([0, 1, 2]);
    for (const { address } of roots) {
      const read = readObject(fromHex(vault.root_key), address, (at) => blobs.get(at), { 3: rle });
      expect(toHex(read.plain)).toBe(plain);
      expect(read.name).toBe(object.name);
    }
  });
});
