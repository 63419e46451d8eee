import type { Clock } from '../../core/clock.ts';
import { type ErrorKind, HoldfastError } from '../../core/errors.ts';
import { remoteText } from '../../core/remote-text.ts';
import type { CredentialReader } from '../credentials.ts';
import type { WireAnswer } from '../wire/answer.ts';
import { authHeaders, sendAuthorised } from '../wire/auth.ts';
import { createWireClient, isRepeatable, type TlsIdentity, type WireRequest } from '../wire/client.ts';
import { statusError } from '../wire/errors.ts';

export interface NodePlace extends TlsIdentity {
  /** Of the node's root: `https://node.example.org:7420`. */
  readonly url: string;
  /** A Unix socket to reach the node by. */
  readonly socketPath?: string | undefined;
  /** Field `token`. Asked before each request; the source keeps what it gave. */
  readonly credentials: CredentialReader;
}

export interface NodeClient {
  /** @param request its path starts with a slash. @throws HoldfastError for every status that is not 2xx. */
  call(request: WireRequest): Promise<WireAnswer>;
  close(): Promise<void>;
}

/** Kinds that mean the same to us as to the node; others (its disk denies it access, say) are its own affair. */
const SHARED: readonly ErrorKind[] = [
  'NotFound',
  'HashMismatch',
  'RangeNotSatisfiable',
  'QuotaExceeded',
  'RateLimited',
  'Unavailable',
  'Timeout',
  'Corrupt',
];

export function createNodeClient(place: NodePlace, clock: Clock): NodeClient {
  const { origin, pathname } = new URL(place.url);
  const base = pathname.replace(/\/$/, '');
  const wire = createWireClient({ origin, tls: place, socketPath: place.socketPath });
  return {
    async call(request) {
      const answer = await sendAuthorised(place.credentials, isRepeatable(request), (secrets) => {
        const headers = { ...request.headers, ...authHeaders(secrets) };
        return wire.send({ ...request, path: `${base}${request.path}`, headers });
      });
      if (answer.status >= 200 && answer.status < 300) return answer;
      throw nodeError(answer, await answer.text().catch(() => ''), clock);
    },
    close: () => wire.close(),
  };
}

function nodeError(answer: WireAnswer, body: string, clock: Clock): HoldfastError {
  const name = fieldOf(body, 'error');
  const corrId = fieldOf(body, 'corr_id');
  let kind = SHARED.find((known) => known === name);
  // Of an upload it is ours; of a read it says that what the node keeps has rotted.
  if (kind === 'HashMismatch' && answer.status >= 500) kind = 'Corrupt';
  const error = withStatedLimit(statusError(answer, clock, kind, name ?? reasonsOf(body)), answer);
  return corrId === undefined ? error : error.with({ context: { corrId } });
}

/** A node that finds a body too long says how long it may be. */
function withStatedLimit(error: HoldfastError, answer: WireAnswer): HoldfastError {
  const stated = answer.header('holdfast-max-body') ?? '';
  return /^\d{1,15}$/.test(stated) ? error.with({ context: { maxBodyBytes: Number(stated) } }) : error;
}

function fieldOf(body: string, field: string): string | undefined {
  const value = parseJson(body)[field];
  return typeof value === 'string' ? remoteText(value) : undefined;
}

const MAX_REASONS = 8;

/** Why a node is not ready. */
function reasonsOf(body: string): string | undefined {
  const { reasons } = parseJson(body);
  return Array.isArray(reasons)
    ? remoteText(reasons.slice(0, MAX_REASONS).map(String).join(', '))
    : undefined;
}

/** The object that a text spells, or an empty one. */
export function parseJson(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

export const badAnswer = (what: string): HoldfastError =>
  new HoldfastError('Unavailable', `the node's answer is not usable: ${what}`, { code: 'bad_answer' });
