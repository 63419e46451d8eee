import { type DecodeOptions, decode, type EncodeOptions, encode, Token, Type } from 'cborg';
import { equalBytes } from '../core/bytes.ts';
import { asHoldfastError, HoldfastError } from '../core/errors.ts';
import { Cid } from './cid.ts';
import { type CborLimits, scanCbor } from './scan.ts';

/** DAG-CBOR (ipld.io/specs/codecs/dag-cbor): strict, canonical CBOR whose only tag is 42, a link. */
const CID_TAG = 42;

/** What a node may cost before it is decoded. A node is under 1 MiB by format. */
const NODE_LIMITS: CborLimits = { maxBytes: 1024 * 1024, maxDepth: 12, maxItems: 200_000 };

const ENCODE: EncodeOptions = {
  float64: true,
  typeEncoders: {
    Object: (value: unknown): Token[] | null => {
      if (!(value instanceof Cid)) return null;
      const multibase = new Uint8Array(37);
      multibase.set(value.bytes, 1);
      return [new Token(Type.tag, CID_TAG), new Token(Type.bytes, multibase)];
    },
    number: (value: unknown): null => {
      if (!Number.isSafeInteger(value)) throw new TypeError(`not a safe integer: ${value}`);
      return null;
    },
    undefined: (): never => {
      throw new TypeError('undefined has no place in a node');
    },
  },
};

const DECODE: DecodeOptions = {
  allowIndefinite: false,
  allowUndefined: false,
  allowNaN: false,
  allowInfinity: false,
  allowBigInt: false,
  strict: true,
  rejectDuplicateMapKeys: true,
  tags: {
    [CID_TAG]: (content: () => unknown): Cid => {
      const bytes = content();
      if (!(bytes instanceof Uint8Array) || bytes[0] !== 0) throw new TypeError('malformed link');
      return Cid.fromBytes(bytes.subarray(1));
    },
  },
};

export const encodeNode = (value: unknown): Uint8Array => encode(value, ENCODE);

/**
 * Decodes one node and accepts it only in its one canonical form.
 * @throws HoldfastError `Corrupt`.
 */
export function decodeNode(bytes: Uint8Array, limits: CborLimits = NODE_LIMITS): unknown {
  scanCbor(bytes, limits);
  let value: unknown;
  let again: Uint8Array;
  try {
    value = decode(bytes, DECODE);
    again = encode(value, ENCODE);
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause;
    throw asHoldfastError(
      new HoldfastError('Corrupt', 'malformed DAG-CBOR', { code: 'malformed_cbor', cause }),
    );
  }
  if (!equalBytes(bytes, again)) {
    throw new HoldfastError('Corrupt', 'not in canonical form', { code: 'not_canonical' });
  }
  return value;
}
