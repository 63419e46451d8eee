import type { CodeParams } from '../coding/erasure/params.ts';
import { addressOf, type BlobAddress, digestOf } from '../core/address.ts';
import { portableBlake3 } from '../core/b3/portable.ts';
import { toHex } from '../core/bytes.ts';
import { type CertificateRecord, LEVELS } from './certificate.ts';
import { codeFields, readCodeFields, totalShards } from './code-fields.ts';
import { decodeNode, encodeNode } from './dag-cbor.ts';
import { Fields } from './fields.ts';
import { MAX_SEGMENT_CHUNKS } from './limits.ts';
import { type PackRecord, packFields, readPack } from './segment.ts';

/** Segments whose shards are placed alike: what the loss of a provider means is the same for all of them. */
export interface PlacementClass {
  /** 16 hex digits, the same wherever the rest is. */
  readonly id: string;
  readonly code: CodeParams;
  /** The level at which losses are counted. */
  readonly level: CertificateRecord['domains']['level'];
  /** The provider of each shard of a chunk; each map once, in the order of the format. */
  readonly maps: readonly (readonly string[])[];
}

/** What the index has of a segment. */
export interface IndexedShards {
  readonly manifest: BlobAddress;
  readonly chunks: number;
  /** Bytes of the chunks as they are stored, without what the code adds. */
  readonly bytes: number;
  /** Every pack that the vault keeps for the segment. */
  readonly packs: readonly PackRecord[];
}

const ROWS_VERSION = 1;
/** Packs of a node, and of as many relocations as are read. */
const MAX_ROW_PACKS = 2048;
const MAX_ROW_PROVIDERS = 65_535;

/** @param maps of the chunks, in any order, each as often as may be. */
export function placementClass({
  code,
  level,
  maps,
}: Pick<PlacementClass, 'code' | 'level' | 'maps'>): PlacementClass {
  const distinct = [...new Map(maps.map((map) => [map.join('\n'), map])).entries()];
  const ordered = distinct.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, map]) => map);
  const shape = { code, level, maps: ordered };
  return { ...shape, id: idOf(shape) };
}

/** @param latest the segment that was last written under it, so that a class that comes into use is not the same row. */
export function encodeClass(one: PlacementClass, latest: BlobAddress): Uint8Array {
  return encodeNode({ ...classFields(one), latest: digestOf(latest) });
}

/** @throws HoldfastError `Corrupt`, also for a row that is not of the class `id`. */
export function decodeClass(bytes: Uint8Array, id: string): PlacementClass {
  const fields = new Fields(decodeNode(bytes), 'placement class');
  fields.uint('version', ROWS_VERSION, ROWS_VERSION);
  const code = readCodeFields(fields);
  const level = fields.oneOf('level', LEVELS);
  const providers = fields.list('providers', MAX_ROW_PROVIDERS, (value) => {
    if (typeof value !== 'string' || value.length === 0 || value.length > 256) {
      throw fields.bad('providers', 'provider ids');
    }
    return value;
  });
  const shards = totalShards(code);
  const maps = fields.list('maps', MAX_SEGMENT_CHUNKS, (value) => {
    if (!(value instanceof Uint8Array) || value.length !== 2 * shards) {
      throw fields.bad('maps', 'two bytes for each shard');
    }
    const places = new DataView(value.buffer, value.byteOffset, value.length);
    return Array.from({ length: shards }, (_, shard) => {
      const provider = providers[places.getUint16(2 * shard)];
      if (provider === undefined) throw fields.bad('maps', 'places in the list of providers');
      return provider;
    });
  });
  fields.bytes('latest', 32);
  fields.end();
  const read = placementClass({ code, level, maps });
  if (read.id !== id || read.maps.length !== maps.length) throw fields.bad('maps', 'those of the class');
  return read;
}

export function encodeIndexed({ manifest, chunks, bytes, packs }: IndexedShards): Uint8Array {
  const row = { version: ROWS_VERSION, manifest: digestOf(manifest), chunks, bytes };
  return encodeNode({ ...row, packs: packs.map(packFields) });
}

/** @throws HoldfastError `Corrupt`. */
export function decodeIndexed(row: Uint8Array): IndexedShards {
  const fields = new Fields(decodeNode(row), 'indexed segment');
  fields.uint('version', ROWS_VERSION, ROWS_VERSION);
  const manifest = addressOf(fields.bytes('manifest', 32));
  const chunks = fields.uint('chunks', MAX_SEGMENT_CHUNKS, 1);
  const bytes = fields.uint('bytes', Number.MAX_SAFE_INTEGER, 1);
  const packs = fields.list('packs', MAX_ROW_PACKS, (value) => readPack(value, fields));
  fields.end();
  return { manifest, chunks, bytes, packs };
}

function classFields({ code, level, maps }: Omit<PlacementClass, 'id'>): Record<string, unknown> {
  const providers = [...new Set(maps.flat())].sort();
  const places = new Map(providers.map((provider, place) => [provider, place]));
  return {
    version: ROWS_VERSION,
    ...codeFields(code),
    level,
    providers,
    maps: maps.map((map) => {
      const bytes = new Uint8Array(2 * map.length);
      const view = new DataView(bytes.buffer);
      map.forEach((provider, shard) => void view.setUint16(2 * shard, places.get(provider)!));
      return bytes;
    }),
  };
}

const idOf = (shape: Omit<PlacementClass, 'id'>): string =>
  toHex(portableBlake3.hash(encodeNode(classFields(shape))).subarray(0, 8));
