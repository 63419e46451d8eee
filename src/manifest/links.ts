import { concatBytes } from '../core/bytes.ts';
import type { RandomBytes } from '../core/random.ts';
import { seal, unseal } from '../keys/seal.ts';
import { Cid } from './cid.ts';
import { decodeNode, encodeNode } from './dag-cbor.ts';
import { Fields } from './fields.ts';
import { MAX_LINKS, NODE_VERSION } from './limits.ts';

/** A link to a segment or to a node of links. `chunks` is public; `plainBytes` is kept in the sealed part. */
export interface Link {
  readonly cid: Cid;
  readonly chunks: number;
  readonly plainBytes: number;
}

/** The public half of links; their plain lengths are sealed apart, in the same order. */
export interface PublicLink {
  readonly cid: Cid;
  readonly chunks: number;
}

export const linkFields = (links: readonly PublicLink[]): unknown[] =>
  links.map((link) => [link.cid, link.chunks]);

export function readLinkFields(fields: Fields): PublicLink[] {
  return fields.list('links', MAX_LINKS, (value) => {
    if (!Array.isArray(value) || value.length !== 2) throw fields.bad('links', '[link, chunks]');
    const [cid, chunks] = value as [unknown, unknown];
    if (!(cid instanceof Cid)) throw fields.bad('links', 'a link');
    if (!Number.isSafeInteger(chunks) || (chunks as number) < 1)
      throw fields.bad('links', 'a count of chunks');
    return { cid, chunks: chunks as number };
  });
}

/** Joins public links with their plain lengths. @throws HoldfastError `Corrupt` when the counts differ. */
export function joinLinks(
  links: readonly PublicLink[],
  plainLens: readonly number[],
  fields: Fields,
): Link[] {
  if (links.length !== plainLens.length) throw fields.bad('links', 'as many as sealed lengths');
  return links.map((link, i) => ({ ...link, plainBytes: plainLens[i]! }));
}

/** A node between the root and the segments of a very large object. */
export function encodeIndexNode(
  objectId: Uint8Array,
  links: readonly Link[],
  sealedKey: Uint8Array,
  random: RandomBytes,
): Uint8Array {
  const plain = encodeNode({ link_lens: links.map((link) => link.plainBytes) });
  return encodeNode({
    version: NODE_VERSION,
    node: 'index',
    object_id: objectId,
    links: linkFields(links),
    sealed: seal(sealedKey, indexAad(objectId), plain, random),
  });
}

export function decodeIndexNode(
  bytes: Uint8Array,
  objectId: Uint8Array,
): { links: PublicLink[]; sealed: Uint8Array } {
  const fields = new Fields(decodeNode(bytes), 'index node');
  fields.uint('version', NODE_VERSION, NODE_VERSION);
  fields.oneOf('node', ['index']);
  const id = fields.bytes('object_id', 16);
  if (!id.every((byte, i) => byte === objectId[i])) throw fields.bad('object_id', 'the object of the root');
  const links = readLinkFields(fields);
  const sealed = fields.bytes('sealed');
  fields.end();
  return { links, sealed };
}

export function unsealIndexNode(
  node: { links: readonly PublicLink[]; sealed: Uint8Array },
  objectId: Uint8Array,
  sealedKey: Uint8Array,
): Link[] {
  const fields = new Fields(decodeNode(unseal(sealedKey, indexAad(objectId), node.sealed)), 'sealed index');
  const plainLens = fields.uints('link_lens', MAX_LINKS);
  const links = joinLinks(node.links, plainLens, fields);
  fields.end();
  return links;
}

const indexAad = (objectId: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(NODE_VERSION, 0xff), objectId);
