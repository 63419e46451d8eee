import { HoldfastError } from '../../core/errors.ts';
import { decodeNode, encodeNode } from '../../manifest/dag-cbor.ts';
import { Fields } from '../../manifest/fields.ts';
import type { AnchorItem } from './anchor.ts';

const KINDS = ['epoch', 'blob'] as const;
const MAX_KEY = 128;
const KEY = /^[!-~]{1,128}$/;

/** The bytes of a leaf: docs/format/anchor.md, "Entries". @throws HoldfastError `ConfigInvalid`, code `bad_option`. */
export function encodeEntry({ kind, key, digest, total }: AnchorItem): Uint8Array {
  if (!KEY.test(key) || digest.length !== 32 || !Number.isSafeInteger(total) || total < 0)
    throw new HoldfastError('ConfigInvalid', `the ${kind} ${key} cannot be anchored as it is given`, {
      code: 'bad_option',
    });
  return encodeNode({ v: 1, kind, key, digest, total });
}

/** @throws HoldfastError `Corrupt`. */
export function decodeEntry(bytes: Uint8Array): AnchorItem {
  const fields = new Fields(decodeNode(bytes), 'entry of an anchor');
  fields.uint('v', 1, 1);
  const item = {
    kind: fields.oneOf('kind', KINDS),
    key: fields.text('key', MAX_KEY),
    digest: fields.bytes('digest', 32),
    total: fields.uint('total'),
  };
  fields.end();
  if (!KEY.test(item.key)) throw fields.bad('key', 'printable characters without spaces');
  return item;
}
