import { type Clock, withDeadline } from '../core/clock.ts';
import { isHoldfastError } from '../core/errors.ts';
import { entryOf } from '../core/maps.ts';
import type { ReceiptReader } from './reader.ts';
import { decodeGrant } from './records/records.ts';

type Fetch = typeof globalThis.fetch;

/** What became of the acknowledgement of one read. */
export interface AckOutcome {
  /** That was read. */
  readonly url: string;
  /** That came. */
  readonly bytes: number;
  readonly accepted: boolean;
  /** Why not: what the gateway says, or `unsent` where it could not be told in time. */
  readonly reason?: string;
}

/** As `fetch`, and acknowledges what it read. */
export interface ReceiptFetch {
  /**
   * The answer is that of `fetch`. When its body has ended, or was given up, the bytes that came are acknowledged to the gateway that
   * asked for it. Nothing of that is waited for, and nothing of it fails the read.
   */
  (...request: Parameters<typeof globalThis.fetch>): Promise<Response>;
  /** Sends what is held back, and resolves when the gateways were told of all reads that have ended, or could not be. Never rejects. */
  settled(): Promise<void>;
}

export interface ReceiptFetchParts {
  readonly reader: ReceiptReader;
  readonly fetch: Fetch;
  readonly clock: Clock;
  /** Told of every acknowledgement when it is decided. Must not throw. */
  readonly onAck?: ((outcome: AckOutcome) => void) | undefined;
}

interface Pending {
  readonly url: string;
  readonly bytes: number;
  readonly ack: Uint8Array;
  /** It may be on the gateway's disk already. */
  wasSent: boolean;
}

/** Of one gateway, with the credentials that it was read with. */
interface Outbox {
  readonly to: string;
  readonly authorization: string | undefined;
  pending: Pending[];
  sending: Promise<void> | undefined;
  cancelTimer: (() => void) | undefined;
}

const GRANT_HEADER = 'holdfast-read';
/** Acknowledgements wait so long for others to go with. */
const GATHER_MS = 100;
const MAX_TOGETHER = 256;
/** Of one gateway. What is one too many is not sent. */
const MAX_PENDING = 4_096;
const MAX_GATEWAYS = 64;
const POST_MS = 5_000;
/** Pauses before it is tried again: a gateway waits a minute. */
const PAUSES_MS = [1_000, 4_000] as const;
const MAX_ANSWER_BYTES = 256 * 1024;
const AGAIN: ReadonlySet<string> = new Set(['overloaded', 'unwritten']);

export function createReceiptFetch(parts: ReceiptFetchParts): ReceiptFetch {
  const outboxes = new Outboxes(parts);
  const read = async (...[input, init]: Parameters<Fetch>): Promise<Response> => {
    const answer = await parts.fetch(input, init);
    const header = answer.headers.get(GRANT_HEADER);
    if (header === null || answer.body === null) return answer;
    const asked = askedOf(input);
    // An answer that a program has put together itself does not say whence it is.
    const url = answer.url || asked.href;
    const began = begin(parts.reader, header, new URL(url).origin);
    if (began === undefined) return answer;
    const { length, finish } = began;
    const authorization = authorizationOf(asked, url, input, init);
    const end = (bytes: number): void => {
      const came = Math.min(bytes, length);
      outboxes.add(authorization, { url, bytes: came, ack: finish(came), wasSent: false });
    };
    return withBody(answer, counted(answer.body, end));
  };
  return Object.assign(read, { settled: () => outboxes.settled() });
}

/** Undefined for a grant that is none: the read is no worse for it. */
function begin(
  reader: ReceiptReader,
  header: string,
  from: string,
): { readonly length: number; finish(bytes: number): Uint8Array } | undefined {
  try {
    const grant = Buffer.from(header, 'base64url');
    return { length: decodeGrant(grant).length, finish: reader.begin(grant, from) };
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return undefined;
    throw error;
  }
}

const requestIn = (input: Parameters<Fetch>[0]): Request | undefined =>
  typeof input === 'string' || input instanceof URL ? undefined : input;

const askedOf = (input: Parameters<Fetch>[0]): URL => new URL(requestIn(input)?.url ?? String(input));

/** What the read was allowed by; never for another origin, to which it was led. */
function authorizationOf(
  asked: URL,
  answered: string,
  ...[input, init]: Parameters<Fetch>
): string | undefined {
  if (asked.origin !== new URL(answered).origin) return undefined;
  const headers = new Headers(init?.headers ?? requestIn(input)?.headers);
  return headers.get('authorization') ?? undefined;
}

/** Passes a body on, and says once how much of it came. */
function counted(
  body: ReadableStream<Uint8Array>,
  onEnd: (bytes: number) => void,
): ReadableStream<Uint8Array> {
  const source = body.getReader();
  let bytes = 0;
  let ended = false;
  const end = (): void => {
    if (!ended) onEnd(bytes);
    ended = true;
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await source.read();
          if (done) {
            end();
            controller.close();
            return;
          }
          bytes += value.length;
          controller.enqueue(value);
        } catch (error) {
          end();
          controller.error(error);
        }
      },
      async cancel(reason) {
        end();
        await source.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/** The same answer with another body. */
function withBody(answer: Response, body: ReadableStream<Uint8Array>): Response {
  const { status, statusText, headers, url, redirected, type } = answer;
  const changed = new Response(body, { status, statusText, headers });
  return Object.defineProperties(changed, {
    url: { value: url },
    redirected: { value: redirected },
    type: { value: type },
  });
}

/** Acknowledgements on their way, gathered for each gateway. */
class Outboxes {
  readonly #parts: ReceiptFetchParts;
  readonly #outboxes = new Map<string, Outbox>();

  constructor(parts: ReceiptFetchParts) {
    this.#parts = parts;
  }

  /** Undefined: to as many others something is being sent. */
  #of(url: string, authorization: string | undefined): Outbox | undefined {
    const to = new URL('/receipts/acks', url).href;
    const id = `${to} ${authorization ?? ''}`;
    for (const [key, { pending, sending }] of this.#outboxes) {
      if (this.#outboxes.size < MAX_GATEWAYS) break;
      if (pending.length === 0 && sending === undefined) this.#outboxes.delete(key);
    }
    if (this.#outboxes.size >= MAX_GATEWAYS && !this.#outboxes.has(id)) return undefined;
    return entryOf(this.#outboxes, id, () => ({
      ...{ to, authorization, pending: [], sending: undefined, cancelTimer: undefined },
    }));
  }

  add(authorization: string | undefined, one: Pending): void {
    const outbox = this.#of(one.url, authorization);
    if (outbox === undefined || outbox.pending.length >= MAX_PENDING) {
      this.#decide(one, 'unsent');
      return;
    }
    outbox.pending.push(one);
    if (outbox.pending.length >= MAX_TOGETHER) void this.#send(outbox);
    else
      outbox.cancelTimer ??= this.#parts.clock.timer(GATHER_MS, () => void this.#send(outbox), {
        idle: true,
      });
  }

  async settled(): Promise<void> {
    await Promise.all([...this.#outboxes.values()].map((outbox) => this.#send(outbox)));
  }

  #send(outbox: Outbox): Promise<void> {
    outbox.cancelTimer?.();
    outbox.cancelTimer = undefined;
    outbox.sending ??= this.#sendAll(outbox).finally(() => {
      outbox.sending = undefined;
    });
    return outbox.sending;
  }

  async #sendAll(outbox: Outbox): Promise<void> {
    while (outbox.pending.length > 0) {
      let left: readonly Pending[] = outbox.pending.splice(0, MAX_TOGETHER);
      for (const pauseMs of [...PAUSES_MS, undefined]) {
        left = await this.#post(outbox, left);
        if (left.length === 0 || pauseMs === undefined) break;
        await this.#parts.clock.sleep(pauseMs, undefined, { idle: true });
      }
      for (const one of left) this.#decide(one, 'unsent');
    }
  }

  /** @returns those of which nothing is decided. */
  async #post({ to, authorization }: Outbox, batch: readonly Pending[]): Promise<readonly Pending[]> {
    const reasons = await this.#ask(to, authorization, batch).catch(() => undefined);
    const left: Pending[] = [];
    for (const [i, one] of batch.entries()) {
      const reason = reasons?.[i];
      if (reason === undefined || AGAIN.has(reason)) left.push(one);
      else this.#decide(one, reason === 'duplicate' && one.wasSent ? '' : reason);
      one.wasSent = true;
    }
    return left;
  }

  /** Why each was not taken, in its place; empty where it was. */
  async #ask(
    to: string,
    authorization: string | undefined,
    batch: readonly Pending[],
  ): Promise<readonly (string | undefined)[]> {
    const { clock, fetch } = this.#parts;
    const headers = { 'content-type': 'application/cbor-seq', ...(authorization && { authorization }) };
    const body = Buffer.concat(batch.map(({ ack }) => ack));
    return withDeadline(clock, POST_MS, 'acknowledge', async (signal) => {
      const answer = await fetch(to, { method: 'POST', headers, body, signal, redirect: 'error' });
      return reasonsIn(answer.status, await textOf(answer));
    });
  }

  #decide({ url, bytes }: Pending, reason: string): void {
    const outcome = { url, bytes, accepted: reason === '' };
    this.#parts.onAck?.(reason === '' ? outcome : { ...outcome, reason });
  }
}

async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const piece of body ?? []) {
    text += decoder.decode(piece, { stream: true });
    if (text.length > MAX_ANSWER_BYTES) break;
  }
  return text;
}

function reasonsIn(status: number, text: string): readonly (string | undefined)[] {
  if (status !== 200) return [];
  const { results } = JSON.parse(text) as { readonly results?: unknown };
  if (!Array.isArray(results)) return [];
  return results.map((result: { readonly accepted?: unknown; readonly reason?: unknown } | null) => {
    if (result?.accepted === true) return '';
    return typeof result?.reason === 'string' ? result.reason.slice(0, 64) : undefined;
  });
}
