import { concatBytes, utf8Encode } from '../../core/bytes.ts';
import type { Ed25519, Signer } from '../ed25519/ed25519.ts';
import { bytesOf, type Cursor, flag, integer, literal, malformed, textOf } from './fields.ts';
import { keyOf, kindAt, placesOf, Shape, withoutField } from './shape.ts';

/** What a reader is given with a read, so that it can acknowledge it. */
export interface ReadGrant {
  readonly kind: 'grant';
  /** Public key of the gateway. */
  readonly gateway: Uint8Array;
  /** Digest of the root node of what is read. */
  readonly manifest: Uint8Array;
  /** Who is credited; empty for nobody. */
  readonly provider: string;
  /** What it is served for; empty for none. */
  readonly domain: string;
  /** Commitments that only the gateway can open. */
  readonly pathHash: Uint8Array;
  readonly clientHash: Uint8Array;
  /** 32 bytes, single-use. */
  readonly readId: Uint8Array;
  /** Milliseconds since the Unix epoch. */
  readonly issued: number;
  /** Bytes that the read is to give. */
  readonly length: number;
}

/** One read: acknowledged by the reader, or not, or denied. */
export interface ReadAck extends Omit<ReadGrant, 'kind'> {
  readonly kind: 'read';
  /** Bytes that came. */
  readonly bytes: number;
  /** When it ended, milliseconds since the Unix epoch. */
  readonly ts: number;
  readonly allowed: boolean;
  /** Why it was denied. */
  readonly reason?: string;
  /** The reader's public key and signature: both or none. */
  readonly pk?: Uint8Array;
  readonly sig?: Uint8Array;
}

/** Denied reads that were counted only. */
export interface Denials {
  readonly kind: 'denials';
  readonly gateway: Uint8Array;
  readonly reason: string;
  readonly reads: number;
  /** Times of the first and the last. */
  readonly from: number;
  readonly to: number;
}

/** What a dynamic page cost the node that ran it. */
export interface ExecutionReceipt {
  readonly kind: 'execution';
  readonly gateway: Uint8Array;
  readonly manifest: Uint8Array;
  readonly provider: string;
  readonly domain: string;
  readonly pathHash: Uint8Array;
  /** 16 bytes, random. */
  readonly executionId: Uint8Array;
  /** Microseconds. */
  readonly cpuUs: number;
  readonly diskRead: number;
  readonly diskWritten: number;
  readonly ts: number;
  /** The node's. */
  readonly pk: Uint8Array;
  readonly sig: Uint8Array;
}

export type Receipt = ReadAck | Denials | ExecutionReceipt;

const hash = bytesOf(32);
const signature = bytesOf(64);
const name = textOf(255);
const reason = textOf(64, /^[a-z0-9_]{1,64}$/);

const GRANTED = {
  gateway: hash,
  manifest: hash,
  provider: name,
  domain: name,
  pathHash: hash,
  clientHash: hash,
  issued: integer,
  length: integer,
};

const SHAPES = {
  read: new Shape<ReadAck>(
    {
      ...GRANTED,
      kind: literal('read'),
      readId: hash,
      bytes: integer,
      ts: integer,
      allowed: flag,
      reason,
      pk: hash,
      sig: signature,
    },
    ['reason', 'pk', 'sig'],
  ),
  denials: new Shape<Denials>({
    kind: literal('denials'),
    gateway: hash,
    reason,
    reads: integer,
    from: integer,
    to: integer,
  }),
  execution: new Shape<ExecutionReceipt>({
    kind: literal('execution'),
    gateway: hash,
    manifest: hash,
    provider: textOf(255, /^./su),
    domain: name,
    pathHash: hash,
    executionId: bytesOf(16),
    cpuUs: integer,
    diskRead: integer,
    diskWritten: integer,
    ts: integer,
    pk: hash,
    sig: signature,
  }),
};

const GRANT = new Shape<ReadGrant>({ ...GRANTED, kind: literal('grant'), readId: hash });
/** What the id of a read authenticates: its first half only is in it. */
const UNISSUED = new Shape<ReadGrant>({ ...GRANTED, kind: literal('grant'), readId: bytesOf(16) });

/** @throws TypeError for what is no receipt of the format. */
export function encodeReceipt(receipt: Receipt): Uint8Array {
  const problem = problemOf(receipt);
  if (problem !== undefined) throw new TypeError(problem);
  // Each shape takes what its kind says it is.
  return (SHAPES[receipt.kind] as Shape<Receipt>).encode(receipt);
}

/** The receipt at the cursor, which is then behind it. @throws HoldfastError `Corrupt`, code `receipt_malformed`. */
export const readReceipt = (cursor: Cursor): Receipt => read(cursor);

/** What an hour's sums take of a record. */
export type Counted = Pick<Receipt, 'gateway'> &
  (
    | Pick<ReadAck, 'kind' | 'allowed' | 'provider' | 'bytes' | 'pk'>
    | Pick<Denials, 'kind' | 'reads'>
    | Pick<ExecutionReceipt, 'kind' | 'provider' | 'cpuUs'>
  );

const COUNTED: readonly string[] = [
  ...['gateway', 'kind', 'allowed', 'provider', 'bytes', 'pk', 'reads', 'cpuUs'],
  // What is looked at besides.
  ...['length', 'reason', 'sig'],
];
const isCounted = (name: string): boolean => COUNTED.includes(name);
const COUNTED_OF: Readonly<Record<Receipt['kind'], readonly boolean[]>> = {
  read: SHAPES.read.chosen(isCounted),
  denials: SHAPES.denials.chosen(isCounted),
  execution: SHAPES.execution.chosen(isCounted),
};

/** The same of a receipt's parts that are counted, in half the time: what the rest of it is, it looks at only. */
export const readCounted = (cursor: Cursor): Counted => read(cursor, COUNTED_OF);

function read(cursor: Cursor, only?: typeof COUNTED_OF): Receipt {
  const kind = kindAt(cursor);
  if (!Object.hasOwn(SHAPES, kind)) throw malformed('an unknown kind');
  const its = kind as Receipt['kind'];
  const receipt: Receipt = SHAPES[its].read(cursor, only?.[its]);
  const problem = problemOf(receipt);
  if (problem !== undefined) throw malformed(problem);
  return receipt;
}

/** @throws HoldfastError `Corrupt`, code `receipt_malformed`. */
export function decodeReceipt(bytes: Uint8Array): Receipt {
  return whole(bytes, readReceipt);
}

export const encodeGrant = (grant: ReadGrant): Uint8Array => GRANT.encode(grant);

/** @throws HoldfastError `Corrupt`, code `receipt_malformed`. */
export const decodeGrant = (bytes: Uint8Array): ReadGrant => whole(bytes, (cursor) => GRANT.read(cursor));

/** The fields of a grant or of a read, as the second half of its id authenticates them. */
export function unissued(read: ReadGrant | ReadAck): Uint8Array {
  return UNISSUED.encode({ ...read, kind: 'grant', readId: read.readId.subarray(0, 16) });
}

function whole<T>(bytes: Uint8Array, read: (cursor: Cursor) => T): T {
  const cursor = { bytes, at: 0 };
  const found = read(cursor);
  if (cursor.at !== bytes.length) throw malformed('bytes behind its end');
  return found;
}

function problemOf(receipt: Receipt): string | undefined {
  if (receipt.kind === 'denials') return receipt.reads < 1 ? 'denials of no read' : undefined;
  if (receipt.kind !== 'read') return undefined;
  const { allowed, bytes, length, reason, pk, sig } = receipt;
  if ((pk === undefined) !== (sig === undefined)) return 'a key or a signature alone';
  if (bytes > length) return 'more bytes came than the read was to give';
  if (allowed) return reason === undefined ? undefined : 'a reason though it was allowed';
  if (reason === undefined) return 'denied without a reason';
  return bytes > 0 || pk !== undefined ? 'a denied read that gave something or is signed' : undefined;
}

const SIGNED = {
  read: utf8Encode('holdfast 2026-11 read ack v1\0'),
  execution: utf8Encode('holdfast 2026-11 execution receipt v1\0'),
};

function signedBytes(receipt: ReadAck | ExecutionReceipt): Uint8Array {
  const shape = SHAPES[receipt.kind] as Shape<ReadAck | ExecutionReceipt>;
  return concatBytes(SIGNED[receipt.kind], shape.encode(receipt, 'sig'));
}

const NO_SIGNATURE = new Uint8Array(64);

/** Acknowledges a read with the bytes that came. @param signer of the reader's key for this epoch of this gateway. */
export function signAck(
  grant: ReadGrant,
  came: { readonly bytes: number; readonly ts: number },
  signer: Signer,
): ReadAck {
  const { bytes, ts } = came;
  return signed({ ...grant, kind: 'read', bytes, ts, allowed: true, pk: signer.publicKey }, signer);
}

/** @param signer of the node that ran it. */
export function signExecution(
  execution: Omit<ExecutionReceipt, 'kind' | 'pk' | 'sig'>,
  signer: Signer,
): ExecutionReceipt {
  return signed(
    { ...execution, kind: 'execution', pk: signer.publicKey, sig: NO_SIGNATURE } as ExecutionReceipt,
    signer,
  );
}

function signed<T extends ReadAck | ExecutionReceipt>(receipt: T, signer: Signer): T {
  return { ...receipt, sig: signer.sign(signedBytes(receipt)) };
}

const SIG = Uint8Array.of(0x63, 0x73, 0x69, 0x67);

/**
 * Whether the signature is valid; true where there is none. On another thread, where there are any.
 * @param bytes of the receipt.
 */
export async function isSignedRight(
  receipt: Receipt,
  bytes: Uint8Array,
  ed25519: Pick<Ed25519, 'verifyApart'>,
): Promise<boolean> {
  if (receipt.kind === 'denials' || receipt.pk === undefined || receipt.sig === undefined) return true;
  const signed = concatBytes(SIGNED[receipt.kind], ...withoutField(bytes, SIG));
  return ed25519.verifyApart(receipt.pk, signed, receipt.sig);
}

/** What is in one record at most: the id of a read or an execution. */
export function idOf(receipt: Receipt): Uint8Array | undefined {
  if (receipt.kind === 'denials') return undefined;
  return receipt.kind === 'read' ? receipt.readId : receipt.executionId;
}

/** Whom a root has a place for: an allowed read's provider, or an execution's. */
export const providerIn = (receipt: Receipt): string | undefined =>
  receipt.kind === 'denials' || (receipt.kind === 'read' && !receipt.allowed) ? undefined : receipt.provider;

/** What a gateway that starts has to know of a record. */
export interface Glimpse {
  readonly id: Uint8Array | undefined;
  readonly provider: string | undefined;
}

const GLIMPSED = ['read_id', 'execution_id', 'provider', 'allowed'].map(keyOf);
const executionId = bytesOf(16);
const places = GLIMPSED.map(() => -1);

/**
 * {@link idOf} and {@link providerIn} of the record at the cursor, which is then behind it, in a fifth of the time that all of
 * it takes. Whether the record is right it does not tell.
 * @throws HoldfastError `Corrupt`, code `receipt_malformed`, where it cannot be gone over.
 */
export function glimpse(cursor: Cursor): Glimpse {
  placesOf(cursor, GLIMPSED, places);
  const [read, execution, provider, allowed] = places as [number, number, number, number];
  const { bytes } = cursor;
  const isCredited = provider >= 0 && (allowed < 0 || flag.read({ bytes, at: allowed }));
  return {
    id:
      read >= 0
        ? hash.read({ bytes, at: read })
        : execution >= 0
          ? executionId.read({ bytes, at: execution })
          : undefined,
    provider: isCredited ? name.read({ bytes, at: provider }) : undefined,
  };
}
