import { portableAead } from '../../src/coding/aead-portable.ts';
import { chunkAad } from '../../src/coding/chunk-cipher.ts';
import { CODEC_IDS } from '../../src/coding/compress/codec.ts';
import { rleCodec } from '../../src/coding/compress/rle.ts';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { portableBlake3 as blake3 } from '../../src/core/b3/portable.ts';
import { concatBytes, fromHex, toHex, utf8Encode } from '../../src/core/bytes.ts';
import type { RandomBytes } from '../../src/core/random.ts';
import { deriveObjectKeys, deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { encodeKeyFile } from '../../src/keys/key-file.ts';
import { Cid } from '../../src/manifest/cid.ts';
import { encodeIndexNode, type Link } from '../../src/manifest/links.ts';
import {
  ancestorsFrom,
  openPointer,
  type Pointer,
  pointerHash,
  sealPointer,
} from '../../src/manifest/pointer.ts';
import { encodeRoot, type RootInput } from '../../src/manifest/root.ts';
import { encodeSegmentNode, type SegmentRecord, sealSegment } from '../../src/manifest/segment.ts';

/** Makes every byte of `test/vectors/manifest-v1.json` from fixed keys, times and randomness. */

/** Draw k of a record, counted from 0, is bytes of 0x80 + k. */
function countedRandom(): RandomBytes {
  let draws = 0;
  return (length) => new Uint8Array(length).fill(0x80 + draws++);
}

const counted = (from: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => from + i);

const ROOT_KEY = counted(0x00, 32);
const OBJECT_KEY = counted(0x20, 32);
const OBJECT_ID = counted(0x40, 16);
const PASSPHRASE = 'correct horse battery staple';
const NAME = 'notes/hello.txt';
const CREATED_MS = 1_793_000_000_000;
const CODE = { algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 } as const;
const SHARDS = 3;
const SHARD_LENGTH = 512;
const PROVIDERS = ['p1', 'p2', 'p3'];

const CHUNKS = [
  { lead: 'p1', salt: counted(0x50, 16), plain: utf8Encode('Hold fast. '.repeat(60)), codec: 'none' },
  { lead: 'p2', salt: counted(0x60, 16), plain: new Uint8Array(300).fill(0x61), codec: 'rle' },
] as const;
/** Providers by chunk and shard. */
const PLACES = [0, 1, 2, 1, 2, 0];

const vaultKeys = vaultKeysOf(deriveSubkeys(ROOT_KEY));
const objectKeys = deriveObjectKeys(OBJECT_KEY);

function makeChunk(index: number) {
  const { lead, salt, plain, codec } = CHUNKS[index]!;
  const stored = codec === 'none' ? plain : rleCodec.compress(plain);
  const frame = new Uint8Array(2 * SHARD_LENGTH);
  frame.set(stored);
  const aad = chunkAad({
    objectId: OBJECT_ID,
    index,
    last: index === CHUNKS.length - 1,
    plainLength: plain.length,
    codec: CODEC_IDS[codec],
  });
  const key = objectKeys.chunkKey(lead, salt, index);
  const tag = portableAead.seal(key, aad, frame);
  const data = [frame.slice(0, SHARD_LENGTH), frame.slice(SHARD_LENGTH)];
  // The only parity row of a (2, 1) code is all ones.
  const shards = [...data, data[0]!.map((byte, i) => byte ^ data[1]![i]!)];
  return { lead, salt, plain, codec, stored, aad, key, tag, shards };
}

/** A segment of consecutive chunks with its packs. */
function makeSegment(first: number, count: number, random: RandomBytes) {
  const chunks = Array.from({ length: count }, (_, i) => makeChunk(first + i));
  const wanted = PLACES.slice(SHARDS * first, SHARDS * (first + count));
  const providers = [...new Set(wanted)];
  const places = Uint8Array.from(wanted, (provider) => providers.indexOf(provider));
  const shards = chunks.flatMap((chunk) => chunk.shards);
  const isData = (at: number): boolean => at % SHARDS < CODE.dataShards;
  const packs = providers.map((_, pack) => {
    const held = [...places.keys()].filter((at) => places[at] === pack);
    const inOrder = [...held.filter(isData), ...held.filter((at) => !isData(at))];
    return concatBytes(...inOrder.map((at) => shards[at]!));
  });
  const secrets = {
    leads: chunks.map(({ lead }) => lead),
    plainLens: chunks.map(({ plain }) => plain.length),
    storedLens: chunks.map(({ stored }) => stored.length),
    codecs: Uint8Array.from(chunks, ({ codec }) => CODEC_IDS[codec]),
    salts: concatBytes(...chunks.map(({ salt }) => salt)),
  };
  const record: SegmentRecord = {
    firstChunk: first,
    chunkLens: chunks.map(() => 2 * SHARD_LENGTH),
    tags: concatBytes(...chunks.map(({ tag }) => tag)),
    shards: concatBytes(...shards.map((shard) => blake3.hash(shard))),
    packs: packs.map((pack, i) => ({
      provider: PROVIDERS[providers[i]!]!,
      address: addressOf(blake3.hash(pack)),
      length: pack.length,
    })),
    places,
    sealed: sealSegment(objectKeys.sealed, OBJECT_ID, first, secrets, random),
  };
  return { record, packs, plainBytes: secrets.plainLens.reduce((a, b) => a + b, 0) };
}

const addressOfBytes = (bytes: Uint8Array): BlobAddress => addressOf(blake3.hash(bytes));

function makeRoot(body: RootInput['body']): Uint8Array {
  const plain = concatBytes(...CHUNKS.map((chunk) => chunk.plain));
  const input: RootInput = {
    objectId: OBJECT_ID,
    code: CODE,
    compression: 'rle',
    chunkLen: 2 * SHARD_LENGTH,
    chunks: CHUNKS.length,
    providers: PROVIDERS,
    certificate: {
      code: 'reed-solomon(2+1)',
      providers: 3,
      domains: { level: 'provider', count: 3 },
      tolerates: 1,
      worst_case: ['p1', 'p2'],
    },
    body,
    secrets: {
      name: NAME,
      contentType: 'text/plain',
      size: plain.length,
      plainHash: blake3.hash(plain),
      createdMs: CREATED_MS,
    },
  };
  return encodeRoot(input, OBJECT_KEY, vaultKeys.wrap, countedRandom());
}

function makeNodes() {
  const whole = makeSegment(0, 2, countedRandom());
  const [first, second] = [makeSegment(0, 1, countedRandom()), makeSegment(1, 1, countedRandom())];
  const segments = [first, second].map(({ record }) => encodeSegmentNode(OBJECT_ID, record));
  const links: Link[] = [first, second].map(({ plainBytes }, i) => ({
    cid: new Cid(addressOfBytes(segments[i]!)),
    chunks: 1,
    plainBytes,
  }));
  const index = encodeIndexNode(OBJECT_ID, links, objectKeys.sealed, countedRandom());
  const above = {
    cid: new Cid(addressOfBytes(index)),
    chunks: 2,
    plainBytes: first.plainBytes + second.plainBytes,
  };
  return {
    roots: [
      makeRoot({ depth: 0, segment: whole.record }),
      makeRoot({ depth: 1, links }),
      makeRoot({ depth: 2, links: [above] }),
    ],
    segments,
    index,
    packs: [...whole.packs, ...first.packs, ...second.packs],
  };
}

function makePointers(manifest: BlobAddress) {
  const nameKey = vaultKeys.nameKey(NAME);
  const seal = (pointer: Pointer): Uint8Array =>
    sealPointer(pointer, nameKey, vaultKeys.pointer, countedRandom());
  const size = CHUNKS.reduce((sum, { plain }) => sum + plain.length, 0);
  const base = {
    name: NAME,
    size,
    createdMs: CREATED_MS,
    writer: new Uint8Array(16),
    ancestors: new Uint8Array(0),
  };
  const first = seal({ ...base, version: 1, manifest, previous: new Uint8Array(32) });
  const gone = { ...base, size: 0, version: 2, manifest: undefined, previous: blake3.hash(first) };
  return [first, seal(gone)];
}

/** The whole file. All byte strings are lower-case hexadecimal. */
export async function buildVectors() {
  const { roots, segments, index, packs } = makeNodes();
  const pointers = makePointers(addressOfBytes(roots[0]!));
  const blob = (bytes: Uint8Array): { address: string; bytes: string } => ({
    address: addressOfBytes(bytes),
    bytes: toHex(bytes),
  });
  return {
    about:
      'docs/format/manifest.md, pack.md and keys.md, version 1. Byte strings are hexadecimal. Randomness: the k-th draw within one record, from 0, is bytes of 0x80 + k.',
    vault: {
      root_key: toHex(ROOT_KEY),
      id: vaultKeys.id,
      wrap_key: toHex(vaultKeys.wrap),
      pointer_key: toHex(vaultKeys.pointer),
    },
    key_files: {
      passphrase: PASSPHRASE,
      bare: await encodeKeyFile(ROOT_KEY, undefined, countedRandom()),
      wrapped: await encodeKeyFile(ROOT_KEY, PASSPHRASE, countedRandom()),
    },
    object: {
      object_id: toHex(OBJECT_ID),
      object_key: toHex(OBJECT_KEY),
      key_commitment: toHex(objectKeys.commitment),
      manifest_mac_key: toHex(objectKeys.manifestMac),
      sealed_key: toHex(objectKeys.sealed),
      provider_keys: { p1: toHex(objectKeys.providerKey('p1')), p2: toHex(objectKeys.providerKey('p2')) },
      name: NAME,
      content_type: 'text/plain',
      created_ms: CREATED_MS,
    },
    chunks: CHUNKS.map((_, i) => {
      const { lead, salt, plain, codec, stored, aad, key, tag, shards } = makeChunk(i);
      return {
        lead,
        salt: toHex(salt),
        codec,
        plain: toHex(plain),
        stored: toHex(stored),
        key: toHex(key),
        aad: toHex(aad),
        tag: toHex(tag),
        shard_digests: shards.map((shard) => toHex(blake3.hash(shard))),
      };
    }),
    packs: packs.map(blob),
    segment_nodes: segments.map(blob),
    index_node: blob(index),
    roots: roots.map((bytes, depth) => ({ depth, ...blob(bytes) })),
    pointers: pointers.map((sealed, i) => ({
      version: i + 1,
      manifest: i === 0 ? addressOfBytes(roots[0]!) : null,
      name_key: vaultKeys.nameKey(NAME),
      slot: vaultKeys.slotName(NAME),
      sealed: toHex(sealed),
      slot_content: toHex(concatBytes(fromHex(vaultKeys.nameKey(NAME)), sealed)),
    })),
  };
}

/** `test/vectors/pointer-v2.json`. */
export function buildPointerVectors() {
  const nameKey = vaultKeys.nameKey(NAME);
  const v1 = makePointers(addressOf(counted(0, 32)))[0]!;
  const writer = counted(0x70, 16);
  const base = { name: NAME, size: 960, createdMs: CREATED_MS, writer };
  const above: Pointer[] = [openPointer(v1, nameKey, vaultKeys.pointer)];
  for (let version = 2; version <= 20; version++) {
    const manifest = version === 3 ? undefined : addressOf(counted(version, 32));
    const size = manifest === undefined ? 0 : base.size;
    above.push({ ...base, size, version, manifest, ancestors: ancestorsFrom(blake3, [above.at(-1)!]) });
  }
  const shown = [above[1]!, above[2]!, above[19]!];
  return {
    about:
      'docs/format/manifest.md, "Names", version 2 of the pointer, above a pointer of version 1. The vault and the name are those of manifest-v1.json.',
    name_key: nameKey,
    slot: vaultKeys.slotName(NAME),
    before: { sealed: toHex(v1), content_hash: toHex(pointerHash(blake3, above[0]!)) },
    pointers: shown.map((pointer) => ({
      version: pointer.version,
      manifest: pointer.manifest ?? null,
      writer: toHex(pointer.writer),
      ancestors: toHex(pointer.ancestors),
      content_hash: toHex(pointerHash(blake3, pointer)),
      sealed: toHex(sealPointer(pointer, nameKey, vaultKeys.pointer, countedRandom())),
    })),
  };
}

export type PointerVectors = ReturnType<typeof buildPointerVectors>;

export type Vectors = Awaited<ReturnType<typeof buildVectors>>;
