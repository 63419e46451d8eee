import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { CredentialReader } from '../credentials.ts';
import type { AdapterDeps } from '../driver.ts';
import type { WireAnswer } from '../wire/answer.ts';
import { authHeaders, sendAuthorised } from '../wire/auth.ts';
import {
  createWireClient,
  isRepeatable,
  type TlsIdentity,
  type WireClient,
  type WireRequest,
} from '../wire/client.ts';
import { statusError } from '../wire/errors.ts';
import { asList, asNode, type Node, xmlEntries } from '../wire/xml.ts';

export interface WebDavPlace extends TlsIdentity {
  /** The collection that is the provider's home. It must be there. */
  readonly url: string;
  /** `username` and `password`, or `token`. Asked before each request; the source keeps what it gave. */
  readonly credentials: CredentialReader;
}

/** Some servers lock what a request touches and refuse all others at once, instead of letting them wait. */
const LOCKED = 423;
const LOCK_ATTEMPTS = 12;
const LOCK_WAIT_MS = 20;
const LOCK_MAX_WAIT_MS = 500;
/** What servers answer to a write below a collection that is not there; 500 is nginx. */
const NO_FOLDER: ReadonlySet<unknown> = new Set([404, 409, 500]);

export class WebDavClient {
  readonly #origin: string;
  /** Path of the collection, with a slash at its end. */
  readonly #home: string;
  readonly #credentials: CredentialReader;
  readonly #wire: WireClient;
  readonly #deps: AdapterDeps;
  readonly #made = new Set<string>();

  constructor({ url, credentials, ...tls }: WebDavPlace, deps: AdapterDeps) {
    const { origin, pathname } = new URL(url);
    this.#origin = origin;
    this.#home = pathname.endsWith('/') ? pathname : `${pathname}/`;
    this.#credentials = credentials;
    this.#wire = createWireClient({ origin, tls });
    this.#deps = deps;
  }

  /** @param request its path is relative to the home. @throws HoldfastError for every status that is not 2xx. */
  async call(request: WireRequest): Promise<WireAnswer> {
    const { clock, random } = this.#deps;
    const repeatable = isRepeatable(request);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#callOnce(request);
      } catch (error) {
        if (statusOf(error) !== LOCKED || !repeatable || attempt >= LOCK_ATTEMPTS) throw error;
        const share = ((random(1)[0] ?? 0) + 1) / 256;
        await clock.sleep(share * Math.min(LOCK_MAX_WAIT_MS, LOCK_WAIT_MS * 2 ** attempt), request.signal);
      }
    }
  }

  /** Renames, over what may be there. */
  move(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
    const headers = { destination: `${this.#origin}${this.#home}${to}`, overwrite: 'T' };
    return this.#done({ method: 'MOVE', path: from, headers, signal });
  }

  remove(path: string, signal: AbortSignal | undefined): Promise<void> {
    return this.#done({ method: 'DELETE', path, signal }).catch(ifAbsent);
  }

  /** Makes a collection whose parent exists, unless it was made before. */
  async ensureFolder(path: string, signal: AbortSignal | undefined): Promise<void> {
    if (this.#made.has(path)) return;
    const make = (): Promise<void> => this.#done({ method: 'MKCOL', path, signal });
    // Apache answers 403 to the loser of a race for the same folder; then it is there now.
    const again = (error: unknown): Promise<void> => {
      if (statusOf(error) !== 403) throw error;
      return make();
    };
    await make()
      .catch(again)
      .catch((error: unknown) => {
        if (statusOf(error) === 405) return; // it is there
        throw statusOf(error) === 409 || statusOf(error) === 404 ? homeMissing(error) : error;
      });
    this.#made.add(path);
  }

  /** Forgets what was made; true if the failure may come from a collection that is gone. */
  mayLackFolder(error: unknown): boolean {
    this.#made.clear();
    return NO_FOLDER.has(statusOf(error));
  }

  close(): Promise<void> {
    return this.#wire.close();
  }

  async #callOnce(request: WireRequest): Promise<WireAnswer> {
    const answer = await sendAuthorised(this.#credentials, isRepeatable(request), (secrets) => {
      const headers = { ...request.headers, ...authHeaders(secrets) };
      return this.#wire.send({ ...request, path: `${this.#home}${request.path}`, headers });
    });
    if (answer.status >= 200 && answer.status < 300) return answer;
    await answer.discard();
    throw statusError(answer, this.#deps.clock);
  }

  async #done(request: WireRequest): Promise<void> {
    await (await this.call(request)).discard();
  }
}

const statusOf = (error: unknown): unknown =>
  error instanceof HoldfastError ? error.context.status : undefined;

export function ifAbsent(error: unknown): undefined {
  if (!isHoldfastError(error, 'NotFound')) throw error;
}

export function homeMissing(cause: unknown): HoldfastError {
  return new HoldfastError('Unavailable', 'the collection that is this provider is not there', {
    code: 'provider_missing',
    status: 'permanent',
    hint: 'Create the collection at the server, or correct the url of this provider in the configuration.',
    cause,
  });
}

export interface Member {
  /** Last part of its path. */
  readonly name: string;
  readonly isFolder: boolean;
  /** Undefined where the server does not tell, as for a collection. */
  readonly size: number | undefined;
  /** By the server's clock; undefined where it does not tell. */
  readonly modifiedUnixMs: number | undefined;
}

export const MEMBERS_REQUEST =
  '<?xml version="1.0"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/></prop></propfind>';

/** What a `PROPFIND` shows, the resource asked for included (RFC 4918, 9.1). @param maxBytes of the answer. */
export async function* membersOf(
  answer: WireAnswer,
  maxBytes: number,
): AsyncGenerator<Member, void, undefined> {
  for await (const response of xmlEntries(answer, 'response', maxBytes)) {
    const member = memberOf(response);
    if (member !== undefined) yield member;
  }
}

function memberOf({ href, propstat }: Node): Member | undefined {
  if (typeof href !== 'string') return undefined;
  const props = asList(propstat).map((stat) => asNode(asNode(stat).prop));
  const isFolder = props.some((prop) => Object.hasOwn(asNode(prop.resourcetype), 'collection'));
  const textOf = (key: string): unknown =>
    props.map((prop) => prop[key]).find((text) => typeof text === 'string' && text !== '');
  const length = textOf('getcontentlength');
  const modified = Date.parse(String(textOf('getlastmodified')));
  return {
    name: href.replace(/\/$/, '').split('/').at(-1) ?? '',
    isFolder,
    size: typeof length === 'string' && /^\d{1,15}$/.test(length) ? Number(length) : undefined,
    modifiedUnixMs: Number.isNaN(modified) ? undefined : modified,
  };
}
