import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { CredentialReader } from '../credentials.ts';
import type { AdapterDeps } from '../driver.ts';
import type { WireAnswer } from '../wire/answer.ts';
import { authHeaders, sendAuthorised } from '../wire/auth.ts';
import { createWireClient, isRepeatable, type TlsIdentity, type WireRequest } from '../wire/client.ts';
import { statusError } from '../wire/errors.ts';

export interface WebDavPlace extends TlsIdentity {
  /** The collection that is the provider's home. It must be there. */
  readonly url: string;
  /** `username` and `password`, or `token`. Asked before each request; whoever gives them caches. */
  readonly credentials: CredentialReader;
}

export interface WebDavClient {
  /** @param request its path is relative to the home. @throws HoldfastError for every status that is not 2xx. */
  call(request: WireRequest): Promise<WireAnswer>;
  /** Renames, over what may be there. */
  move(from: string, to: string, signal: AbortSignal | undefined): Promise<void>;
  remove(path: string, signal: AbortSignal | undefined): Promise<void>;
  /** Makes a collection whose parent exists, unless it was made before. */
  ensureFolder(path: string, signal: AbortSignal | undefined): Promise<void>;
  /** Forgets what was made; true if the failure may come from a collection that is gone. */
  mayLackFolder(error: unknown): boolean;
  close(): Promise<void>;
}

/** Some servers lock what a request touches and refuse all others at once, instead of letting them wait. */
const LOCKED = 423;
const LOCK_ATTEMPTS = 12;
const LOCK_WAIT_MS = 20;
const LOCK_MAX_WAIT_MS = 500;
/** What servers answer to a write below a collection that is not there; 500 is nginx. */
const NO_FOLDER: ReadonlySet<unknown> = new Set([404, 409, 500]);

export function createWebDavClient(
  { url, credentials, ...tls }: WebDavPlace,
  { clock, random }: AdapterDeps,
): WebDavClient {
  const { origin, pathname } = new URL(url);
  const home = pathname.endsWith('/') ? pathname : `${pathname}/`;
  const wire = createWireClient({ origin, tls });
  const made = new Set<string>();

  const callOnce = async (request: WireRequest): Promise<WireAnswer> => {
    const answer = await sendAuthorised(credentials, isRepeatable(request), (secrets) => {
      const headers = { ...request.headers, ...authHeaders(secrets) };
      return wire.send({ ...request, path: `${home}${request.path}`, headers });
    });
    if (answer.status >= 200 && answer.status < 300) return answer;
    await answer.discard();
    throw statusError(answer, clock);
  };
  const call = async (request: WireRequest): Promise<WireAnswer> => {
    const repeatable = isRepeatable(request);
    for (let attempt = 1; ; attempt++) {
      try {
        return await callOnce(request);
      } catch (error) {
        if (statusOf(error) !== LOCKED || !repeatable || attempt >= LOCK_ATTEMPTS) throw error;
        const share = ((random(1)[0] ?? 0) + 1) / 256;
        await clock.sleep(share * Math.min(LOCK_MAX_WAIT_MS, LOCK_WAIT_MS * 2 ** attempt), request.signal);
      }
    }
  };
  const done = async (request: WireRequest): Promise<void> => (await call(request)).discard();

  return {
    call,
    move: (from, to, signal) => {
      const headers = { destination: `${origin}${home}${to}`, overwrite: 'T' };
      return done({ method: 'MOVE', path: from, headers, signal });
    },
    remove: (path, signal) => done({ method: 'DELETE', path, signal }).catch(ifAbsent),
    async ensureFolder(path, signal) {
      if (made.has(path)) return;
      const make = (): Promise<void> => done({ method: 'MKCOL', path, signal });
      // Apache answers 403 to whoever loses a race for the same folder; then it is there now.
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
      made.add(path);
    },
    mayLackFolder(error) {
      made.clear();
      return NO_FOLDER.has(statusOf(error));
    },
    close: () => wire.close(),
  };
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
