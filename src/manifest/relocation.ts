import { addressOf, type BlobAddress, digestOf } from '../core/address.ts';
import { Cid } from './cid.ts';
import { decodeNode, encodeNode } from './dag-cbor.ts';
import { Fields } from './fields.ts';
import type { PackRecord } from './segment.ts';

/** A pack that holds shards of a segment and is not among the packs that the segment's node names. */
export interface RelocatedPack extends PackRecord {
  /** The shards it holds, ascending: `chunk × totalShards + shard`. They stand in it by the rule of packs. */
  readonly shards: readonly number[];
}

/** Where shards of one segment were moved to. See `docs/format/relocations.md`. */
export interface RelocationRecord {
  /** Address of the segment's node, or of the root that the segment stands in. */
  readonly segment: BlobAddress;
  readonly movedMs: number;
  /** Each shard at most once. */
  readonly packs: readonly RelocatedPack[];
}

const RELOCATION_VERSION = 1;
/** Relocations of one segment that a reader looks at, the newest. */
export const MAX_RELOCATIONS = 16;
/** Packs that one of them names. */
export const MAX_RELOCATED_PACKS = 64;
/** More shards than a segment's node has room for. */
const MAX_MASK_BYTES = 4096;

export function encodeRelocation({ segment, movedMs, packs }: RelocationRecord): Uint8Array {
  return encodeNode({
    version: RELOCATION_VERSION,
    node: 'relocation',
    segment: new Cid(segment),
    moved_ms: movedMs,
    packs: packs.map((pack) => [pack.provider, digestOf(pack.address), pack.length, maskOf(pack.shards)]),
  });
}

/** Whether it is true only the shards' digests tell. @throws HoldfastError `Corrupt`. */
export function decodeRelocation(bytes: Uint8Array): RelocationRecord {
  const fields = new Fields(decodeNode(bytes), 'relocation');
  fields.uint('version', RELOCATION_VERSION, RELOCATION_VERSION);
  fields.oneOf('node', ['relocation']);
  const segment = fields.cid('segment').address;
  const movedMs = fields.uint('moved_ms');
  const seen = new Set<number>();
  const packs = fields.list('packs', MAX_RELOCATED_PACKS, (value) => readPack(value, fields, seen));
  if (packs.length === 0) throw fields.bad('packs', 'at least one');
  fields.end();
  return { segment, movedMs, packs };
}

/** @param seen shards of the packs before; added to. */
function readPack(value: unknown, fields: Fields, seen: Set<number>): RelocatedPack {
  if (!Array.isArray(value) || value.length !== 4) {
    throw fields.bad('packs', '[provider, digest, length, shards]');
  }
  const [provider, digest, length, mask] = value as [unknown, unknown, unknown, unknown];
  if (typeof provider !== 'string' || provider.length === 0 || provider.length > 256) {
    throw fields.bad('packs', 'a provider id');
  }
  if (!(digest instanceof Uint8Array) || digest.length !== 32) throw fields.bad('packs', 'a 32-byte digest');
  if (!Number.isSafeInteger(length) || (length as number) < 1) throw fields.bad('packs', 'a length');
  if (!(mask instanceof Uint8Array) || mask.length > MAX_MASK_BYTES || (mask.at(-1) ?? 0) === 0) {
    throw fields.bad('packs', 'a bit for each shard, without zero bytes at the end');
  }
  const shards = shardsIn(mask);
  for (const at of shards) if (seen.size === seen.add(at).size) throw fields.bad('packs', 'each shard once');
  return { provider, address: addressOf(digest), length: length as number, shards };
}

/** Bit `at % 8`, the lowest first, of byte `at / 8`. */
function maskOf(shards: readonly number[]): Uint8Array {
  const mask = new Uint8Array(Math.floor(Math.max(...shards) / 8) + 1);
  for (const at of shards) mask[at >> 3]! |= 1 << (at & 7);
  return mask;
}

function shardsIn(mask: Uint8Array): number[] {
  const shards: number[] = [];
  for (let at = 0; at < 8 * mask.length; at++) if ((mask[at >> 3]! >> (at & 7)) & 1) shards.push(at);
  return shards;
}
