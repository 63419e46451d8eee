import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { portableBlake3 } from '../../src/core/b3/portable.ts';
import { fromHex, toHex, utf8Decode } from '../../src/core/bytes.ts';
import { deriveGatewayKeys } from '../../src/keys/gateway.ts';
import { createOpensslEd25519 } from '../../src/receipts/ed25519/openssl.ts';
import { Grants } from '../../src/receipts/records/grants.ts';
import {
  decodeGrant,
  decodeReceipt,
  encodeGrant,
  encodeReceipt,
  isSignedRight,
  type Receipt,
  signAck,
  signExecution,
} from '../../src/receipts/records/records.ts';
import { decodeRoot, encodeRoot, isRootSigned } from '../../src/receipts/records/root.ts';
import { decodeFinal, encodeFinal } from '../../src/receipts/settlement/final.ts';
import { itemAt, recordByThePage, recordsOf, statedByThePage } from './page-reader.ts';

interface Written {
  readonly fields: Record<string, unknown>;
  readonly bytes: string;
}
const vectors: {
  readonly gateway_key: string;
  readonly epoch: number;
  readonly gateway: string;
  readonly keys: Record<'signing' | 'path' | 'client' | 'read_id', string>;
  readonly reader_seed: string;
  readonly node_seed: string;
  readonly path: string;
  readonly client: string;
  readonly grants: readonly Written[];
  readonly records: readonly Written[];
  readonly file: string;
  readonly leaves: readonly string[];
  readonly root: Written & { readonly digest: string };
  readonly next_root: string;
  readonly final: Written;
} = JSON.parse(await readFile(new URL('../vectors/receipt-v1.json', import.meta.url), 'utf8'));

const ed25519 = createOpensslEd25519();
const keys = deriveGatewayKeys(fromHex(vectors.gateway_key));
const gateway = ed25519.signer(keys.signingSeed);
const records = vectors.records.map(({ bytes }) => fromHex(bytes));

/** In the names and the notation of the vectors. */
function shown(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== 'object' || value === null) return value;
  const snake = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [snake(key), shown(item)]));
}

test('the keys of a gateway are derived as the page says', () => {
  const { path, client, readId } = keys.ofEpoch(vectors.epoch);
  const made = { signing: keys.signingSeed, path, client, read_id: readId };
  expect(shown(made)).toEqual(vectors.keys);
  expect(toHex(gateway.publicKey)).toBe(vectors.gateway);
});

test('a grant is issued with the bytes of the vectors', () => {
  const { fields, bytes } = vectors.grants[0]!;
  const grants = new Grants(gateway.publicKey, keys, () => fromHex((fields.read_id as string).slice(0, 32)));
  const grant = grants.issue(
    {
      manifest: fromHex(fields.manifest as string),
      provider: fields.provider as string,
      domain: fields.domain as string,
      ...{ path: vectors.path, client: vectors.client, length: fields.length as number },
    },
    fields.issued as number,
  );
  expect(toHex(encodeGrant(grant))).toBe(bytes);
  expect(decodeGrant(fromHex(bytes))).toEqual(grant);
});

test('every record of the vectors is read, shown, written and signed as the page says', async () => {
  const signers = { read: fromHex(vectors.reader_seed), execution: fromHex(vectors.node_seed) };
  for (const { fields, bytes } of vectors.records) {
    const receipt = decodeReceipt(fromHex(bytes));
    expect({ v: 1, ...(shown(receipt) as object) }).toEqual(fields);
    expect(toHex(encodeReceipt(receipt))).toBe(bytes);
    expect(await isSignedRight(receipt, fromHex(bytes), ed25519)).toBe(true);
    if (receipt.kind === 'denials' || receipt.sig === undefined) continue;
    const signer = ed25519.signer(signers[receipt.kind]);
    const again: Receipt =
      receipt.kind === 'execution'
        ? signExecution(receipt, signer)
        : signAck(grantOf(fields), { bytes: receipt.bytes, ts: receipt.ts }, signer);
    expect(toHex(encodeReceipt(again))).toBe(bytes);
  }
});

function grantOf(fields: Record<string, unknown>): ReturnType<typeof decodeGrant> {
  const written = vectors.grants.find((grant) => grant.fields.read_id === fields.read_id);
  if (written !== undefined) return decodeGrant(fromHex(written.bytes));
  const { bytes, ts, allowed, pk, sig, ...granted } = decodeReceipt(
    fromHex(vectors.records.find((record) => record.fields.read_id === fields.read_id)!.bytes),
  ) as Extract<Receipt, { kind: 'read' }>;
  return { ...granted, kind: 'grant' };
}

test('no record of the vectors is read with any one bit changed, unless it says something else', async () => {
  for (const bytes of [0, 5, 16, 17, 18].map((i) => records[i]!)) {
    const signed = decodeReceipt(bytes);
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      const [ours, theirs] = [decodeReceipt, recordByThePage].map((read) => attempt(() => read(changed)));
      expect([bit, ours === undefined]).toEqual([bit, theirs === undefined]);
      if (ours === undefined) continue;
      expect(toHex(encodeReceipt(ours as Receipt))).toBe(toHex(changed));
      if ('sig' in signed)
        expect([bit, await isSignedRight(ours as Receipt, changed, ed25519)]).toEqual([bit, false]);
    }
  }
});

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

test('no part of a record is read as a record', () => {
  for (const bytes of records)
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeReceipt(bytes.subarray(0, length))).toThrow('malformed receipt');
  expect(() => decodeReceipt(Buffer.concat([records[0]!, records[1]!]))).toThrow('bytes behind its end');
});

test('the root of the vectors is read, written and signed as the page says', () => {
  const bytes = fromHex(vectors.root.bytes);
  const root = decodeRoot(bytes);
  expect({ v: 1, kind: 'root', hash: 'blake3', ...(shown({ ...root, previous: null }) as object) }).toEqual(
    vectors.root.fields,
  );
  expect(isRootSigned(root, ed25519)).toBe(true);
  expect(toHex(encodeRoot(root, gateway))).toBe(vectors.root.bytes);
  expect(toHex(portableBlake3.hash(bytes))).toBe(vectors.root.digest);
  const next = decodeRoot(fromHex(vectors.next_root));
  expect(next.previous).toEqual({ epoch: vectors.epoch - 3, digest: new Uint8Array(32).fill(0x77) });
  expect(isRootSigned(next, ed25519)).toBe(true);
});

test('no root is taken with any one bit changed', () => {
  const bytes = fromHex(vectors.root.bytes);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const changed = Uint8Array.from(bytes);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    const root = attempt(() => decodeRoot(changed));
    expect([bit, root !== undefined && isRootSigned(root, ed25519)]).toEqual([bit, false]);
  }
});

test('the final of the vectors is read and written as the page says', () => {
  const bytes = fromHex(vectors.final.bytes);
  const final = decodeFinal(bytes);
  expect({ v: 1, kind: 'final', ...(shown(final) as object) }).toEqual(vectors.final.fields);
  expect(toHex(encodeFinal(final))).toBe(vectors.final.bytes);
  for (let length = 0; length < bytes.length; length++)
    expect(() => decodeFinal(bytes.subarray(0, length))).toThrow('malformed receipt');
});

test('a reader written from the page alone finds in the file what the root states', () => {
  const file = recordsOf(fromHex(vectors.file));
  expect(file.map(toHex)).toEqual(vectors.records.map(({ bytes }) => bytes));
  const [root] = itemAt(fromHex(vectors.root.bytes), 0);
  expect(root).toMatchObject(statedByThePage([file]));
});

test('text that is no well-formed UTF-8 is neither written nor read', () => {
  const receipt = decodeReceipt(records[5]!);
  expect(() => encodeReceipt({ ...receipt, domain: '\ud800' } as Receipt)).toThrow(TypeError);
  expect(() => encodeReceipt({ ...receipt, domain: 'x'.repeat(256) } as Receipt)).toThrow(TypeError);
  const named = encodeReceipt({ ...receipt, domain: 'abcdefgh' } as Receipt);
  const at = Buffer.from(named).indexOf('abcdefgh');
  expect(utf8Decode(named.subarray(at, at + 8))).toBe('abcdefgh');
  named[at] = 0xff;
  expect(() => decodeReceipt(named)).toThrow('a text is not UTF-8');
});
