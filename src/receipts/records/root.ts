import { concatBytes, utf8Encode } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import { decodeNode, encodeNode } from '../../manifest/dag-cbor.ts';
import { Fields } from '../../manifest/fields.ts';
import type { Ed25519, Signer } from '../ed25519/ed25519.ts';
import { malformed } from './fields.ts';

/** Records of each file of an epoch but its last. */
export const RECORDS_PER_FILE = 4_096;
export const MAX_FILES = 8_192;
export const MAX_PROVIDERS = 1_024;

/** What an epoch's records say of one provider. */
export interface ProviderTotals {
  readonly provider: string;
  /** Allowed reads, and those of them that their readers signed. */
  readonly reads: number;
  readonly signed: number;
  /** Different readers of the signed: different first 16 bytes of their keys. */
  readonly readers: number;
  readonly bytes: number;
  readonly signedBytes: number;
  readonly executions: number;
  readonly cpuUs: number;
  /** Bytes. */
  readonly credited: number;
  /** Why none are credited, though some may be signed. */
  readonly reason?: 'few_signed';
}

export interface EpochTotals {
  /** Records. */
  readonly count: number;
  /** Of the allowed reads. */
  readonly bytes: number;
  readonly credited: number;
  /** Denied reads. */
  readonly denied: number;
  /** By the bytes of their ids. */
  readonly providers: readonly ProviderTotals[];
}

export interface PreviousRoot {
  readonly epoch: number;
  /** BLAKE3 of the file. */
  readonly digest: Uint8Array;
}

/** `<epoch>.root`: what one hour comes to, signed and never changed. */
export interface EpochRoot extends EpochTotals {
  readonly gateway: Uint8Array;
  readonly epoch: number;
  readonly root: Uint8Array;
  /** Hashes of the trees of the files. */
  readonly subtrees: readonly Uint8Array[];
  readonly previous: PreviousRoot | undefined;
  readonly sig: Uint8Array;
}

const CONTEXT = utf8Encode('holdfast 2026-11 epoch root v1\0');

const fieldsOf = (root: Omit<EpochRoot, 'sig'>): Record<string, unknown> => ({
  v: 1,
  kind: 'root',
  gateway: root.gateway,
  epoch: root.epoch,
  hash: 'blake3',
  root: root.root,
  subtrees: root.subtrees,
  count: root.count,
  bytes: root.bytes,
  credited: root.credited,
  denied: root.denied,
  providers: root.providers.map(({ signedBytes, cpuUs, ...same }) => ({
    ...same,
    signed_bytes: signedBytes,
    cpu_us: cpuUs,
  })),
  previous: root.previous ?? null,
});

const signedBytes = (root: Omit<EpochRoot, 'sig'>): Uint8Array =>
  concatBytes(CONTEXT, encodeNode(fieldsOf(root)));

/** The root's file. @param signer of the gateway that the root names. */
export function encodeRoot(root: Omit<EpochRoot, 'sig'>, signer: Signer): Uint8Array {
  return encodeNode({ ...fieldsOf(root), sig: signer.sign(signedBytes(root)) });
}

export function isRootSigned(root: EpochRoot, { verify }: Pick<Ed25519, 'verify'>): boolean {
  return verify(root.gateway, signedBytes(root), root.sig);
}

/** Whether it is signed only {@link isRootSigned} tells. @throws HoldfastError `Corrupt`, code `receipt_malformed`. */
export function decodeRoot(bytes: Uint8Array): EpochRoot {
  return reading(bytes, 'root', (fields) => {
    const root: EpochRoot = {
      gateway: fields.bytes('gateway', 32),
      epoch: fields.uint('epoch'),
      root: fields.bytes('root', 32),
      subtrees: fields.list('subtrees', MAX_FILES, (value) => asHash(value, fields, 'subtrees')),
      count: fields.uint('count', undefined, 1),
      bytes: fields.uint('bytes'),
      credited: fields.uint('credited'),
      denied: fields.uint('denied'),
      providers: fields.list('providers', MAX_PROVIDERS, readTotals),
      previous: readPrevious(fields.take('previous')),
      sig: fields.bytes('sig', 64),
    };
    fields.oneOf('hash', ['blake3']);
    if (root.subtrees.length !== Math.ceil(root.count / RECORDS_PER_FILE))
      throw fields.bad('subtrees', 'one hash for each file');
    return root;
  });
}

function readTotals(value: unknown): ProviderTotals {
  const fields = new Fields(value, 'provider of a root');
  const totals: ProviderTotals = {
    provider: fields.text('provider', 255),
    reads: fields.uint('reads'),
    signed: fields.uint('signed'),
    readers: fields.uint('readers'),
    bytes: fields.uint('bytes'),
    signedBytes: fields.uint('signed_bytes'),
    executions: fields.uint('executions'),
    cpuUs: fields.uint('cpu_us'),
    credited: fields.uint('credited'),
    ...(fields.has('reason') ? { reason: fields.oneOf('reason', ['few_signed']) } : {}),
  };
  fields.end();
  return totals;
}

function readPrevious(value: unknown): PreviousRoot | undefined {
  if (value === null) return undefined;
  const fields = new Fields(value, 'previous of a root');
  const previous = { epoch: fields.uint('epoch'), digest: fields.bytes('digest', 32) };
  fields.end();
  return previous;
}

/** That a record is in the tree of a root. */
export interface InclusionProof {
  readonly index: number;
  readonly path: readonly Uint8Array[];
  readonly record: Uint8Array;
  /** The root's file. */
  readonly root: Uint8Array;
}

const MAX_PATH = 40;

export const encodeProof = (proof: InclusionProof): Uint8Array =>
  encodeNode({ v: 1, kind: 'inclusion', ...proof });

/** @throws HoldfastError `Corrupt`, code `receipt_malformed`. */
export function decodeProof(bytes: Uint8Array): InclusionProof {
  return reading(bytes, 'inclusion', (fields) => ({
    index: fields.uint('index'),
    path: fields.list('path', MAX_PATH, (value) => asHash(value, fields, 'path')),
    record: fields.bytes('record'),
    root: fields.bytes('root'),
  }));
}

function asHash(value: unknown, fields: Fields, key: string): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== 32) throw fields.bad(key, '32 bytes each');
  return value;
}

/** Reads a map of one kind. @throws HoldfastError `Corrupt`, code `receipt_malformed`. */
export function reading<T>(bytes: Uint8Array, kind: string, read: (fields: Fields) => T): T {
  try {
    const fields = new Fields(decodeNode(bytes), kind);
    fields.uint('v', 1, 1);
    fields.oneOf('kind', [kind]);
    const value = read(fields);
    fields.end();
    return value;
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    throw malformed(error.message);
  }
}
