import { addressOf, type BlobAddress, digestOf } from '../../core/address.ts';
import { byteLength, toHex, utf8Encode } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import type { CredentialReader } from '../credentials.ts';
import type { WireAnswer } from '../wire/answer.ts';
import { authHeaders, sendAuthorised } from '../wire/auth.ts';
import { createWireClient, type TlsIdentity } from '../wire/client.ts';
import { statusError } from '../wire/errors.ts';

type Signal = AbortSignal | undefined;

/** Kubo's RPC (docs.ipfs.tech/reference/kubo/rpc): every call is a POST, every failure a 500 with a message. */
export interface KuboRpc {
  /** @throws HoldfastError `NotFound` for a block that this node does not hold. */
  call(command: string, query: Readonly<Record<string, string>>, signal: Signal): Promise<WireAnswer>;
  upload(
    command: string,
    query: Readonly<Record<string, string>>,
    parts: readonly Uint8Array[],
    signal: Signal,
  ): Promise<WireAnswer>;
  close(): Promise<void>;
}

export interface RpcOptions extends TlsIdentity {
  readonly url: string;
  readonly credentials: CredentialReader;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** Kubo has no codes; these are the messages of blocks that are not there, and of a full repository. */
const NOT_FOUND = /not found|could not find|not pinned/i;
const FULL = /no space left|storage max|quota/i;

export function createKuboRpc({ url, credentials, clock, random, ...tls }: RpcOptions): KuboRpc {
  const { origin, pathname } = new URL(url);
  const base = `${pathname.replace(/\/$/, '')}/api/v0`;
  const wire = createWireClient({ origin, tls });

  const send: KuboRpc['upload'] = async (command, query, parts, signal) => {
    const boundary = toHex(random(16));
    const body = parts.length === 0 ? undefined : formData(parts, boundary);
    const path = `${base}/${command}?${new URLSearchParams(query)}`;
    const described =
      body === undefined
        ? {}
        : {
            'content-type': `multipart/form-data; boundary=${boundary}`,
            'content-length': String(byteLength(body)),
          };
    const answer = await sendAuthorised(credentials, true, (secrets) => {
      const headers = { ...authHeaders(secrets), ...described };
      return wire.send({ method: 'POST', path, headers, body, signal });
    });
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw rpcError(answer, await answer.text().catch(() => ''), clock);
  };
  return {
    call: (command, query, signal) => send(command, query, [], signal),
    upload: send,
    close: () => wire.close(),
  };
}

function formData(parts: readonly Uint8Array[], boundary: string): Uint8Array[] {
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="data"; filename="data"\r\nContent-Type: application/octet-stream\r\n\r\n`;
  return [utf8Encode(head), ...parts, utf8Encode(`\r\n--${boundary}--\r\n`)];
}

function rpcError(answer: WireAnswer, body: string, clock: Clock): HoldfastError {
  if (answer.status === 500 && NOT_FOUND.test(body)) return statusError(answer, clock, 'NotFound');
  if (answer.status === 500 && FULL.test(body)) return statusError(answer, clock, 'QuotaExceeded');
  return statusError(answer, clock);
}

/** The objects of an answer that is a run of JSON objects, one a line. */
export async function* jsonLines(
  answer: WireAnswer,
): AsyncGenerator<Readonly<Record<string, unknown>>, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of answer.body) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE) throw unreadable();
    for (const line of lines) if (line.trim() !== '') yield parseLine(line);
  }
  if (rest.trim() !== '') yield parseLine(rest);
}

const MAX_LINE = 64 * 1024;

function parseLine(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch {
    // falls through
  }
  throw unreadable();
}

export const unreadable = (): HoldfastError =>
  new HoldfastError('Unavailable', 'the IPFS node answered something that cannot be read', {
    code: 'bad_answer',
  });

/**
 * A blob's address as a CID and back, so no table is kept: version 1, codec raw (0x55), multihash BLAKE3 (0x1e) of
 * 32 bytes, in base32 (github.com/multiformats/cid, RFC 4648 section 6 without padding).
 */
const HEAD: readonly number[] = [0x01, 0x55, 0x1e, 0x20];
const DIGITS = 'abcdefghijklmnopqrstuvwxyz234567';
const CID = /^b[a-z2-7]{58}$/;

export function cidOf(address: BlobAddress): string {
  let out = 'b';
  let held = 0;
  let bits = 0;
  for (const byte of [...HEAD, ...digestOf(address)]) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += DIGITS[(held >> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? out : out + DIGITS[(held << (5 - bits)) & 31];
}

/** Undefined for a CID of any other kind. */
export function addressOfCid(cid: string): BlobAddress | undefined {
  if (!CID.test(cid)) return undefined;
  const bytes: number[] = [];
  let held = 0;
  let bits = 0;
  for (const digit of cid.slice(1)) {
    held = (held << 5) | DIGITS.indexOf(digit);
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push(held >> bits);
    held &= (1 << bits) - 1;
  }
  // Bits left over must be zero, or two texts would spell one address.
  if (held !== 0 || HEAD.some((byte, i) => bytes[i] !== byte)) return undefined;
  return addressOf(Uint8Array.from(bytes.slice(HEAD.length)));
}
