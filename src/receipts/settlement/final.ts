import { encodeNode } from '../../manifest/dag-cbor.ts';
import { reading } from '../records/root.ts';

/** `<epoch>.final`: that the root of an hour was found anchored, and where. It is no proof: the anchor is. */
export interface EpochFinal {
  readonly gateway: Uint8Array;
  readonly epoch: number;
  /** BLAKE3 of the root's file. */
  readonly digest: Uint8Array;
  /** Kind of the anchor. */
  readonly anchor: string;
  /** For people. */
  readonly where: string;
  /** How deep it lay. */
  readonly depth: number;
  /** When it was found there, milliseconds since the Unix epoch. */
  readonly at: number;
}

/** Of a final. */
export const MAX_FINAL_BYTES = 4_096;
const MAX_WHERE = 1_024;

export const encodeFinal = (final: EpochFinal): Uint8Array =>
  encodeNode({ v: 1, kind: 'final', ...final, where: final.where.slice(0, MAX_WHERE) });

/** @throws HoldfastError `Corrupt`, code `receipt_malformed`. */
export const decodeFinal = (bytes: Uint8Array): EpochFinal =>
  reading(bytes, 'final', (fields) => ({
    gateway: fields.bytes('gateway', 32),
    epoch: fields.uint('epoch'),
    digest: fields.bytes('digest', 32),
    anchor: fields.text('anchor', 32),
    where: fields.text('where', MAX_WHERE),
    depth: fields.uint('depth', undefined, 1),
    at: fields.uint('at'),
  }));
