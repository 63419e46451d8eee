import { createHash } from 'node:crypto';
import { concatBytes, equalBytes, utf8Decode, utf8Encode } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { Ed25519, Signer } from '../ed25519/ed25519.ts';

/** Signed notes and checkpoints as c2sp.org/signed-note and c2sp.org/tlog-checkpoint have them. */

/** Who signs a log: a name, which is also the log's origin, and an Ed25519 key. */
export interface NoteKey {
  readonly name: string;
  readonly publicKey: Uint8Array;
}

export interface NoteSigner extends NoteKey {
  readonly signer: Signer;
}

const ED25519 = 1;
const KEY_NAME = /^[^\s+\p{Cc}]{1,255}$/u;
const PRIVATE = 'PRIVATE+KEY';

export const isKeyName = (name: string): boolean => KEY_NAME.test(name);

export const sha256 = (data: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(data).digest());

const keyId = ({ name, publicKey }: NoteKey): Uint8Array =>
  sha256(concatBytes(utf8Encode(`${name}\n`), Uint8Array.of(ED25519), publicKey)).slice(0, 4);

export const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** Strict: what is encoded anew must be the same text. */
export function fromBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? new Uint8Array(bytes) : undefined;
}

const idText = (key: NoteKey): string => Buffer.from(keyId(key)).toString('hex');

/** The verifier key that tools take: `name+id+base64`. */
export const verifierKey = (key: NoteKey): string =>
  `${key.name}+${idText(key)}+${toBase64(concatBytes(Uint8Array.of(ED25519), key.publicKey))}`;

/** The signer key as tools keep it. @param seed 32 bytes. */
export const signerKey = (key: NoteKey, seed: Uint8Array): string =>
  `${PRIVATE}+${key.name}+${idText(key)}+${toBase64(concatBytes(Uint8Array.of(ED25519), seed))}`;

/** @returns undefined for what is none, or has the id of another. */
export function parseVerifierKey(text: string): NoteKey | undefined {
  const [name = '', id, ...rest] = text.split('+');
  // Base64 may have a plus of its own.
  const bytes = fromBase64(rest.join('+'));
  if (!isKeyName(name) || bytes?.length !== 33 || bytes[0] !== ED25519) return undefined;
  const key = { name, publicKey: bytes.slice(1) };
  return idText(key) === id ? key : undefined;
}

/** @returns undefined for what is none, or has the id of another. */
export function parseSignerKey(text: string, { signer }: Pick<Ed25519, 'signer'>): NoteSigner | undefined {
  if (!text.startsWith(`${PRIVATE}+`)) return undefined;
  const [name = '', id, ...rest] = text.slice(PRIVATE.length + 1).split('+');
  const bytes = fromBase64(rest.join('+'));
  if (!isKeyName(name) || bytes?.length !== 33 || bytes[0] !== ED25519) return undefined;
  const made = signer(bytes.slice(1));
  const key = { name, publicKey: made.publicKey, signer: made };
  return idText(key) === id ? key : undefined;
}

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

const checkpointText = ({ origin, size, root }: Checkpoint): string =>
  `${origin}\n${size}\n${toBase64(root)}\n`;

/** The whole file: text, empty line, and our signature. */
export function signCheckpoint(checkpoint: Checkpoint, key: NoteSigner): Uint8Array {
  const text = checkpointText(checkpoint);
  const signature = concatBytes(keyId(key), key.signer.sign(utf8Encode(text)));
  return utf8Encode(`${text}\n— ${key.name} ${toBase64(signature)}\n`);
}

/** Cosignatures of some witnesses, post-quantum ones too. */
export const MAX_NOTE = 262_144;
const SIGNATURE_LINE = /^— ([^ ]+) ([A-Za-z0-9+/]+={0,2})$/u;

export interface OpenedCheckpoint extends Checkpoint {
  /** Lines of others, unchecked: what keys they have is for whoever trusts them. */
  readonly cosignatures: number;
}

/** @throws HoldfastError `Corrupt`, code `anchor_malformed`: it is no checkpoint, or not signed by the key. */
export function openCheckpoint(
  bytes: Uint8Array,
  key: NoteKey,
  { verify }: Pick<Ed25519, 'verify'>,
): OpenedCheckpoint {
  const note = textIn(bytes);
  if (note === undefined) throw unreadable('it is no text');
  const cut = note.lastIndexOf('\n\n');
  if (cut < 0 || !note.endsWith('\n') || bytes.length > MAX_NOTE) throw unreadable('it is no signed note');
  const text = note.slice(0, cut + 1);
  const checkpoint = readText(text);
  const lines = note.slice(cut + 2, -1).split('\n');
  let cosignatures = 0;
  let isSigned = false;
  for (const line of lines) {
    const [, name, encoded = ''] = SIGNATURE_LINE.exec(line) ?? [];
    const signature = fromBase64(encoded);
    if (name === undefined || signature === undefined || signature.length < 5)
      throw unreadable('a line of its signatures is none');
    if (name !== key.name || !equalBytes(signature.subarray(0, 4), keyId(key))) {
      cosignatures++;
      continue;
    }
    if (!verify(key.publicKey, utf8Encode(text), signature.slice(4)))
      throw unreadable('its signature is wrong');
    isSigned = true;
  }
  if (!isSigned) throw unreadable(`it is not signed by ${verifierKey(key)}`);
  if (checkpoint.origin !== key.name) throw unreadable(`it is of the log ${checkpoint.origin}`);
  return { ...checkpoint, cosignatures };
}

const SIZE = /^(?:0|[1-9]\d{0,15})$/;

/** Extension lines are of no use to us, and would not be audited. */
function readText(text: string): Checkpoint {
  const [origin = '', size = '', encoded = '', end, ...more] = text.split('\n');
  const root = fromBase64(encoded);
  if (!isKeyName(origin) || !SIZE.test(size) || root?.length !== 32 || end !== '' || more.length > 0)
    throw unreadable('its text is no checkpoint');
  if (!Number.isSafeInteger(Number(size))) throw unreadable('its size is too large');
  return { origin, size: Number(size), root };
}

/** @returns undefined for what is no text, or begins with a mark that decoding would drop. */
export function textIn(bytes: Uint8Array): string | undefined {
  try {
    const text = utf8Decode(bytes);
    return equalBytes(utf8Encode(text), bytes) ? text : undefined;
  } catch {
    return undefined;
  }
}

const unreadable = (why: string): HoldfastError =>
  new HoldfastError('Corrupt', `this is no checkpoint of the log: ${why}`, { code: 'anchor_malformed' });
