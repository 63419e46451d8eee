import { type ScryptOptions, scrypt } from 'node:crypto';
import * as v from 'valibot';
import { fromHex, toHex, utf8Encode } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import { seal, unseal } from './seal.ts';

/** RFC 7914 cost: 128 MiB and about a third of a second. */
const COST = { n: 2 ** 17, r: 8, p: 1 } as const;
/** The most a key file may ask for, so that a hostile one cannot exhaust the machine. */
const MAX_COST = { n: 2 ** 20, r: 16, p: 4 } as const;
/** The most for n·r·p: 1 GiB of memory (128·n·r) and eight times the time that our own files take. */
const MAX_WORK = 2 ** 23;
/** The least for n·r, which is 16 MiB. With less a passphrase is guessed too fast. No version of ours wrote such a file. */
const MIN_BLOCKS = 2 ** 17;

const hex = (bytes: number): v.GenericSchema<string> =>
  v.pipe(v.string(), v.regex(/^[0-9a-f]*$/), v.length(2 * bytes));
const atMost = (max: number): v.GenericSchema<number> =>
  v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(max));

const KeyFile = v.variant('protection', [
  v.strictObject({ holdfast_key: v.literal(1), protection: v.literal('none'), root: hex(32) }),
  v.strictObject({
    holdfast_key: v.literal(1),
    protection: v.literal('scrypt'),
    n: v.pipe(
      atMost(MAX_COST.n),
      v.check((n) => Number.isInteger(Math.log2(n))),
    ),
    r: atMost(MAX_COST.r),
    p: atMost(MAX_COST.p),
    salt: hex(32),
    sealed: hex(72),
  }),
]);

/** @throws HoldfastError `PermissionDenied`, code `weak_key_file`; `Corrupt`, code `bad_key_file`. */
function checkCost({ n, r, p }: Cost): void {
  if (n * r * p > MAX_WORK) throw badKeyFile();
  if (n * r >= MIN_BLOCKS) return;
  throw new HoldfastError(
    'PermissionDenied',
    'the key file is wrapped so cheaply that its passphrase can be guessed',
    {
      code: 'weak_key_file',
      hint: 'Holdfast wraps keys at n = 131072, r = 8, p = 1. Restore the file that it wrote, or wrap the root again at n = 16384, r = 8 or more.',
      context: { n, r, p },
    },
  );
}

/** A vault's root key as text for its file. With a passphrase it is wrapped; without, the file is the secret. */
export async function encodeKeyFile(
  root: Uint8Array,
  passphrase: string | undefined,
  random: RandomBytes,
): Promise<string> {
  if (passphrase === undefined) {
    return `${JSON.stringify({ holdfast_key: 1, protection: 'none', root: toHex(root) }, null, 2)}\n`;
  }
  const salt = random(32);
  const key = await derive(passphrase, salt, COST);
  const sealed = toHex(seal(key, aadOf(COST, salt), root, random));
  return `${JSON.stringify({ holdfast_key: 1, protection: 'scrypt', ...COST, salt: toHex(salt), sealed }, null, 2)}\n`;
}

/** Tells whether {@link decodeKeyFile} will ask for a passphrase. @throws HoldfastError `Corrupt` */
export function needsPassphrase(text: string): boolean {
  return parse(text).protection === 'scrypt';
}

/**
 * @param passphrase called only for a wrapped key.
 * @throws HoldfastError `Corrupt` for a malformed file, or one that asks for too much; `PermissionDenied`, code
 * `wrong_passphrase`, or `weak_key_file` before the passphrase is asked for.
 */
export async function decodeKeyFile(text: string, passphrase: () => Promise<string>): Promise<Uint8Array> {
  const file = parse(text);
  if (file.protection === 'none') return fromHex(file.root);
  checkCost(file);
  const salt = fromHex(file.salt);
  const key = await derive(await passphrase(), salt, file);
  try {
    return unseal(key, aadOf(file, salt), fromHex(file.sealed));
  } catch (cause) {
    throw new HoldfastError('PermissionDenied', 'the passphrase does not open this key file', {
      code: 'wrong_passphrase',
      hint: 'Check HOLDFAST_PASSPHRASE, HOLDFAST_PASSPHRASE_FILE or what was typed; nothing was changed.',
      cause,
    });
  }
}

function parse(text: string): v.InferOutput<typeof KeyFile> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const result = v.safeParse(KeyFile, json);
  if (result.success) return result.output;
  throw badKeyFile();
}

function badKeyFile(): HoldfastError {
  return new HoldfastError('Corrupt', 'not a Holdfast key file, or a damaged one', {
    code: 'bad_key_file',
    hint: 'Restore the key file from a backup: without it the objects cannot be read.',
  });
}

interface Cost {
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

const aadOf = (cost: Cost, salt: Uint8Array): Uint8Array =>
  utf8Encode(`holdfast key file 1 scrypt ${cost.n} ${cost.r} ${cost.p} ${toHex(salt)}`);

function derive(passphrase: string, salt: Uint8Array, cost: Cost): Promise<Uint8Array> {
  const options: ScryptOptions = {
    N: cost.n,
    r: cost.r,
    p: cost.p,
    maxmem: 128 * cost.r * (cost.n + cost.p + 2) + 2 ** 20,
  };
  const refused = (cause: unknown): HoldfastError =>
    new HoldfastError('Corrupt', 'unusable key file cost', { code: 'bad_key_file', cause });
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, key: Buffer): void => {
      if (error) reject(refused(error));
      else resolve(new Uint8Array(key));
    };
    try {
      scrypt(passphrase.normalize('NFKC'), salt, 32, options, done);
    } catch (cause) {
      reject(refused(cause)); // OpenSSL judges the parameters before it starts
    }
  });
}
