import { scryptSync } from 'node:crypto';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { scrypt } from '@noble/hashes/scrypt.js';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/core/errors.ts';
import { decodeKeyFile, encodeKeyFile, needsPassphrase } from '../../src/keys/key-file.ts';
import { mutation } from '../coding/compress/samples.ts';
import { fixedRandom } from '../helpers/fixed-random.ts';

const RUNS = process.env.SLOW === '1' ? 20_000 : 1000;
const ROOT = Uint8Array.from({ length: 32 }, (_, i) => i);
const MALFORMED = expect.objectContaining({ kind: 'Corrupt', code: 'bad_key_file' });
const WRONG = expect.objectContaining({ kind: 'PermissionDenied', code: 'wrong_passphrase' });
const passphrase = (text: string) => async (): Promise<string> => text;
const notAsked = async (): Promise<string> => {
  throw new Error('no passphrase is needed');
};

interface Wrapped {
  holdfast_key: number;
  protection: string;
  n: number;
  r: number;
  p: number;
  salt: string;
  sealed: string;
}

/** A key file by the format document and noble alone, at a cost that tests can pay. */
function independent(text: string, cost = { n: 2 ** 14, r: 8, p: 1 }): Wrapped {
  const salt = Buffer.alloc(32, 0xaa);
  const nonce = Buffer.alloc(24, 0xbb);
  const key = scrypt(text, salt, { N: cost.n, r: cost.r, p: cost.p, dkLen: 32, maxmem: 2 ** 31 });
  const aad = Buffer.from(`holdfast key file 1 scrypt ${cost.n} ${cost.r} ${cost.p} ${salt.toString('hex')}`);
  const sealed = Buffer.concat([nonce, xchacha20poly1305(key, nonce, aad).encrypt(ROOT)]);
  return {
    holdfast_key: 1,
    protection: 'scrypt',
    ...cost,
    salt: salt.toString('hex'),
    sealed: sealed.toString('hex'),
  };
}

describe('scrypt', () => {
  test('both implementations agree with RFC 7914, section 12', () => {
    const wanted =
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162' +
      '2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640';
    const [N, r, p] = [1024, 8, 16];
    expect(scryptSync('password', 'NaCl', 64, { N, r, p }).toString('hex')).toBe(wanted);
    expect(Buffer.from(scrypt('password', 'NaCl', { N, r, p, dkLen: 64 })).toString('hex')).toBe(wanted);
  });
});

describe('key file', () => {
  let wrapped: string;
  beforeAll(async () => {
    wrapped = await encodeKeyFile(ROOT, 'open sesame', fixedRandom('key file'));
  });

  test('gives back the root it holds, wrapped or bare', async () => {
    const bare = await encodeKeyFile(ROOT, undefined, fixedRandom('x'));
    expect(needsPassphrase(bare)).toBe(false);
    expect(await decodeKeyFile(bare, notAsked)).toEqual(ROOT);
    expect(needsPassphrase(wrapped)).toBe(true);
    expect(await decodeKeyFile(wrapped, passphrase('open sesame'))).toEqual(ROOT);
    await expect(decodeKeyFile(wrapped, passphrase('open sesame '))).rejects.toThrowError(WRONG);
    expect(wrapped).not.toContain(Buffer.from(ROOT).toString('hex'));
  });

  test('opens what an independent implementation wrote', async () => {
    const text = JSON.stringify(independent('open sesame'));
    expect(await decodeKeyFile(text, passphrase('open sesame'))).toEqual(ROOT);
  });

  test('a passphrase is the same however its letters are composed', async () => {
    const text = JSON.stringify(independent('sésame'.normalize('NFKC')));
    expect(await decodeKeyFile(text, passphrase('sésame'.normalize('NFD')))).toEqual(ROOT);
    expect(await decodeKeyFile(text, passphrase('ｓésame'))).toEqual(ROOT);
  });

  test('nothing in it can be changed: cost, salt and sealed root are bound together', async () => {
    const file = independent('open sesame');
    const flip = (hex: string, at: number): string =>
      hex.slice(0, at) + (hex[at] === '0' ? '1' : '0') + hex.slice(at + 1);
    const changed: Partial<Wrapped>[] = [
      { n: 2 ** 15 },
      { r: 9 },
      { p: 2 },
      { salt: flip(file.salt, 5) },
      ...[0, 47, 48, 111, 112, 143].map((at) => ({ sealed: flip(file.sealed, at) })),
    ];
    for (const change of changed) {
      const text = JSON.stringify({ ...file, ...change });
      await expect(decodeKeyFile(text, passphrase('open sesame')), text).rejects.toThrowError(WRONG);
    }
  });

  test('a cost that would exhaust the machine, or that scrypt does not know, is refused unpaid', async () => {
    const file = independent('x');
    const refused: Record<string, unknown>[] = [
      { n: 2 ** 21 },
      { n: 2 ** 20 + 1 },
      { n: 1000 },
      { n: 0 },
      { n: -16 },
      { n: 16.5 },
      { n: '16' },
      { r: 17 },
      { r: 0 },
      { p: 5 },
      { p: 0 },
      { n: 2 ** 17, r: 1, p: 1, salt: 'ff' },
      // Each within its bounds, together over 1 GiB or over eight times our time.
      { n: 2 ** 20, r: 9 },
      { n: 2 ** 20, r: 8, p: 2 },
      { n: 2 ** 19, r: 8, p: 3 },
    ];
    for (const change of refused) {
      const text = JSON.stringify({ ...file, ...change });
      await expect(decodeKeyFile(text, passphrase('x')), JSON.stringify(change)).rejects.toThrowError(
        MALFORMED,
      );
    }
  });

  test('a cost so low that passphrases are guessed is refused before one is asked for', async () => {
    for (const change of [{ n: 2 }, { n: 16 }, { n: 2 ** 13 }, { r: 1 }, { n: 2 ** 16, r: 1 }]) {
      const text = JSON.stringify({ ...independent('x'), ...change });
      await expect(decodeKeyFile(text, notAsked), JSON.stringify(change)).rejects.toMatchObject({
        kind: 'PermissionDenied',
        code: 'weak_key_file',
      });
    }
  });

  test('fields that are missing, unknown or of another form are refused', () => {
    const file = independent('x');
    const without = (key: keyof Wrapped): unknown => ({ ...file, [key]: undefined });
    const texts = [
      ...(Object.keys(file) as (keyof Wrapped)[]).map((key) => JSON.stringify(without(key))),
      JSON.stringify({ ...file, more: 1 }),
      JSON.stringify({ ...file, root: '00'.repeat(32) }),
      JSON.stringify({ ...file, holdfast_key: 2 }),
      JSON.stringify({ ...file, protection: 'argon2' }),
      JSON.stringify({ ...file, salt: file.salt.toUpperCase() }),
      JSON.stringify({ ...file, sealed: `${file.sealed}00` }),
      JSON.stringify(file).replace('{', '{"__proto__":{},'),
      '',
      'null',
      '[]',
      '"key"',
      '{}',
      '{"holdfast_key":1,"protection":"none","root":"00"}',
    ];
    for (const text of texts) expect(() => needsPassphrase(text), text).toThrowError(MALFORMED);
  });

  test('a damaged file is refused as corrupt or read as what it says; nothing else is thrown', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(wrapped, '{"holdfast_key":1,"protection":"none"}'),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        (text, mutations) => {
          const start: Uint8Array = Buffer.from(text);
          const hostile = mutations.reduce((bytes, mutate) => mutate(bytes), start);
          try {
            expect(typeof needsPassphrase(Buffer.from(hostile).toString())).toBe('boolean');
          } catch (error) {
            expect(error).toBeInstanceOf(HoldfastError);
            expect(error).toMatchObject({ kind: 'Corrupt', code: 'bad_key_file' });
          }
        },
      ),
      { numRuns: RUNS },
    );
  });
});
