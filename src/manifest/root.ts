import type { CodeParams } from '../coding/erasure/params.ts';
import { concatBytes, equalBytes } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import { deriveObjectKeys, keyedHash, type ObjectKeys } from '../keys/derivation.ts';
import { seal, unseal } from '../keys/seal.ts';
import { type CertificateRecord, certificateFields, readCertificate } from './certificate.ts';
import { codeFields, readCodeFields, totalShards } from './code-fields.ts';
import { decodeNode, encodeNode } from './dag-cbor.ts';
import { Fields } from './fields.ts';
import { MAX_CHUNK_BYTES, MAX_DEPTH, MAX_LINKS, NODE_VERSION } from './limits.ts';
import { joinLinks, type Link, linkFields, type PublicLink, readLinkFields } from './links.ts';
import { readSegmentFields, type SegmentRecord, segmentFields } from './segment.ts';

/** The root's body: one segment inside it, or links to nodes. */
type Body =
  | { readonly depth: 0; readonly segment: SegmentRecord }
  | { readonly depth: number; readonly links: readonly PublicLink[] };

/** The public part of a manifest. */
export interface RootRecord {
  readonly objectId: Uint8Array;
  readonly code: CodeParams;
  /** Codec the object was put with; each chunk's own is sealed. */
  readonly compression: string;
  /** Longest chunk, bytes of ciphertext. */
  readonly chunkLen: number;
  readonly chunks: number;
  /** Ids of the providers that hold shards, sorted. */
  readonly providers: readonly string[];
  readonly certificate: CertificateRecord;
  readonly body: Body;
  readonly commitment: Uint8Array;
  readonly wraps: readonly KeyWrap[];
  readonly sealed: Uint8Array;
  readonly mac: Uint8Array;
}

/** Which of what only stands in for another wrote an object. */
export interface FallbackUse {
  readonly erasure: boolean;
  readonly compression: boolean;
}

/** Fallbacks have no mark of their own in a root: they are this coder and this compressor. */
export const fallbacksIn = ({
  code,
  compression,
}: Pick<RootRecord, 'code' | 'compression'>): FallbackUse => ({
  erasure: code.algorithm === 'xor',
  compression: compression === 'rle',
});

/** The object key, sealed for one reader. `vault`: by the vault's wrap key. */
interface KeyWrap {
  readonly recipient: 'vault';
  readonly sealed: Uint8Array;
}

/** What only readers learn. */
interface RootSecrets {
  readonly name?: string | undefined;
  readonly contentType: string;
  readonly size: number;
  /** BLAKE3 of the plaintext. */
  readonly plainHash: Uint8Array;
  readonly createdMs: number;
  /** Bytes of plaintext below each link; empty when the segment is inside. */
  readonly linkLens: readonly number[];
}

export interface RootInput extends Omit<RootRecord, 'commitment' | 'wraps' | 'sealed' | 'mac' | 'body'> {
  readonly body:
    | { readonly depth: 0; readonly segment: SegmentRecord }
    | { readonly depth: number; readonly links: readonly Link[] };
  readonly secrets: Omit<RootSecrets, 'linkLens'>;
}

/** Seals, authenticates and encodes a root. @param objectKey 32 bytes. */
export function encodeRoot(
  input: RootInput,
  objectKey: Uint8Array,
  wrapKey: Uint8Array,
  random: RandomBytes,
): Uint8Array {
  const keys = deriveObjectKeys(objectKey);
  const links = 'links' in input.body ? input.body.links : [];
  const fields = {
    version: NODE_VERSION,
    node: 'root',
    object_id: input.objectId,
    encryption_alg: 'chacha20-poly1305',
    compression_alg: input.compression,
    ...codeFields(input.code),
    chunk_len: input.chunkLen,
    chunks: input.chunks,
    providers: [...input.providers],
    certificate: certificateFields(input.certificate),
    depth: input.body.depth,
    ...('links' in input.body
      ? { links: linkFields(links) }
      : { segment: segmentFields(input.body.segment) }),
    key_commitment: keys.commitment,
    wraps: [['vault', seal(wrapKey, wrapAad(input.objectId), objectKey, random)]],
    sealed: seal(keys.sealed, rootAad(input.objectId), encodeSecrets(input.secrets, links), random),
  };
  const mac = keyedHash(keys.manifestMac, encodeNode(fields));
  return encodeNode({ ...fields, mac });
}

/** Reads the public part. Nothing in it is authenticated until {@link openRoot}. @throws HoldfastError `Corrupt`. */
export function decodeRoot(bytes: Uint8Array): RootRecord {
  const fields = new Fields(decodeNode(bytes), 'manifest');
  const version = fields.uint('version');
  if (version !== NODE_VERSION) {
    throw new HoldfastError('Corrupt', `manifest version ${version} is not understood`, {
      code: 'unknown_version',
      hint: 'It was written by a newer Holdfast: update this one.',
    });
  }
  fields.oneOf('node', ['root']);
  const objectId = fields.bytes('object_id', 16);
  fields.oneOf('encryption_alg', ['chacha20-poly1305']);
  const compression = fields.text('compression_alg', 64);
  const code = readCodeFields(fields);
  const chunkLen = fields.uint('chunk_len', MAX_CHUNK_BYTES);
  const chunks = fields.uint('chunks', Number.MAX_SAFE_INTEGER, 1);
  const providers = fields.list('providers', 65_535, (value) => {
    if (typeof value !== 'string' || value.length > 256) throw fields.bad('providers', 'provider ids');
    return value;
  });
  const certificate = readCertificate(fields.take('certificate'));
  const body = readBody(fields, totalShards(code));
  const commitment = fields.bytes('key_commitment', 32);
  const wraps = fields.list('wraps', 64, (value): KeyWrap => {
    if (
      !Array.isArray(value) ||
      value.length !== 2 ||
      value[0] !== 'vault' ||
      !(value[1] instanceof Uint8Array)
    ) {
      throw fields.bad('wraps', '[recipient, sealed key]');
    }
    return { recipient: 'vault', sealed: value[1] };
  });
  const sealed = fields.bytes('sealed');
  const mac = fields.bytes('mac', 32);
  fields.end();
  return {
    objectId,
    code,
    compression,
    chunkLen,
    chunks,
    providers,
    certificate,
    body,
    commitment,
    wraps,
    sealed,
    mac,
  };
}

function readBody(fields: Fields, shards: number): Body {
  const depth = fields.uint('depth', MAX_DEPTH);
  if (depth > 0) {
    const links = readLinkFields(fields);
    if (links.length === 0) throw fields.bad('links', 'at least one');
    return { depth, links };
  }
  const inner = new Fields(fields.take('segment'), 'segment');
  const segment = readSegmentFields(inner, shards);
  inner.end();
  return { depth: 0, segment };
}

/** A manifest whose key was found and whose public part proved authentic. */
export interface OpenRoot {
  readonly record: RootRecord;
  readonly keys: ObjectKeys;
  readonly secrets: RootSecrets;
  /** Links with their plain lengths; empty when the segment is inside. */
  readonly links: readonly Link[];
}

/**
 * Unwraps the object key, checks the commitment in constant time, authenticates every public field, then opens
 * the sealed part.
 * @throws HoldfastError `PermissionDenied`, code `not_a_reader`, when no wrap opens; `Corrupt` otherwise.
 */
export function openRoot(bytes: Uint8Array, wrapKey: Uint8Array): OpenRoot {
  const record = decodeRoot(bytes);
  const objectKey = unwrap(record, wrapKey);
  const keys = deriveObjectKeys(objectKey);
  if (!equalBytes(keys.commitment, record.commitment)) throw unauthentic('key commitment');
  if (!equalBytes(keyedHash(keys.manifestMac, withoutMac(bytes)), record.mac))
    throw unauthentic('public part');
  const { secrets, links } = readSecrets(
    unseal(keys.sealed, rootAad(record.objectId), record.sealed),
    record,
  );
  return { record, keys, secrets, links };
}

function unwrap(record: RootRecord, wrapKey: Uint8Array): Uint8Array {
  for (const wrap of record.wraps) {
    try {
      const key = unseal(wrapKey, wrapAad(record.objectId), wrap.sealed);
      if (key.length === 32) return key;
    } catch {
      // Wrapped for someone else.
    }
  }
  throw new HoldfastError('PermissionDenied', "this vault's key does not open the object", {
    code: 'not_a_reader',
    hint: 'Use the key file of the vault that put it (--home).',
  });
}

function withoutMac(bytes: Uint8Array): Uint8Array {
  const { mac: _, ...fields } = decodeNode(bytes) as Record<string, unknown>;
  return encodeNode(fields);
}

function encodeSecrets(secrets: Omit<RootSecrets, 'linkLens'>, links: readonly Link[]): Uint8Array {
  return encodeNode({
    ...(secrets.name === undefined ? {} : { name: secrets.name }),
    content_type: secrets.contentType,
    size: secrets.size,
    plain_hash: secrets.plainHash,
    created_ms: secrets.createdMs,
    link_lens: links.map((link) => link.plainBytes),
  });
}

function readSecrets(plain: Uint8Array, record: RootRecord): { secrets: RootSecrets; links: Link[] } {
  const fields = new Fields(decodeNode(plain), 'sealed manifest');
  const name = fields.has('name') ? fields.text('name') : undefined;
  const contentType = fields.text('content_type', 256);
  const size = fields.uint('size');
  const plainHash = fields.bytes('plain_hash', 32);
  const createdMs = fields.uint('created_ms');
  const linkLens = fields.uints('link_lens', MAX_LINKS);
  const links = joinLinks('links' in record.body ? record.body.links : [], linkLens, fields);
  fields.end();
  return { secrets: { name, contentType, size, plainHash, createdMs, linkLens }, links };
}

function unauthentic(what: string): HoldfastError {
  return new HoldfastError('Corrupt', `the manifest's ${what} does not authenticate`, {
    code: 'authentication',
  });
}

const rootAad = (objectId: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(NODE_VERSION, 0xfe), objectId);
const wrapAad = (objectId: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(NODE_VERSION, 0xfd), objectId);
