// Preloaded into the built program: appends a line for each message that is sealed, before it is, to the file that
// HOLDFAST_TEST_SEALS names: hash of key and nonce, hash of additional data and plaintext, length of the plaintext, of the nonce.
import crypto from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { register, syncBuiltinESMExports } from 'node:module';

const { createCipheriv, createHash } = crypto;
const log = openSync(process.env.HOLDFAST_TEST_SEALS, 'a');
const hashOf = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex');
};
const record = (pair, message, length, nonce) =>
  writeSync(log, `${pair} ${message} ${length} ${nonce.length}\n`);

crypto.createCipheriv = (algorithm, key, nonce, options) => {
  const cipher = createCipheriv(algorithm, key, nonce, options);
  const { setAAD, update, final } = cipher;
  const plain = createHash('sha256');
  let [length, aad] = [0, new Uint8Array(0)];
  return Object.assign(cipher, {
    setAAD(bytes, more) {
      aad = bytes;
      return setAAD.call(cipher, bytes, more);
    },
    update(bytes, ...more) {
      plain.update(bytes);
      length += bytes.length;
      return update.call(cipher, bytes, ...more);
    },
    final() {
      record(hashOf(key, nonce), hashOf(aad, plain.digest()), length, nonce);
      return final.call(cipher);
    },
  });
};
syncBuiltinESMExports();

globalThis.holdfastTestSealed = (key, nonce, aad, plain) =>
  record(hashOf(key, nonce), hashOf(aad, createHash('sha256').update(plain).digest()), plain.length, nonce);

const SEAL = 'xchacha20poly1305(key, nonce, aad).encrypt(plain)';
const hooks = `export async function load(url, context, next) {
  const module = await next(url, context);
  const source = module.source?.toString() ?? '';
  const seal = ${JSON.stringify(SEAL)};
  if (!url.startsWith('file:') || !source.includes(seal)) return module;
  const recorded = '(globalThis.holdfastTestSealed(key, nonce, aad, plain), ' + seal + ')';
  return { ...module, source: source.replaceAll(seal, recorded) };
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
