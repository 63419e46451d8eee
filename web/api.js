/** Asks the service that this page came from, and nobody else. */

const TIMEOUT_MS = 15_000;
/** Survives a reload of this tab, and ends with it. It is never part of an address. */
const TOKEN = 'holdfast.token';

/**
 * Why there was no answer.
 * @typedef {'away' | 'timeout' | 'unauthorized' | 'forbidden' | 'busy' | 'failed' | 'missing' | 'sealed'} Why
 */

export class ApiError extends Error {
  /**
   * @param {Why} why
   * @param {string} message
   * @param {string} [corrId]
   */
  constructor(why, message, corrId) {
    super(message);
    this.why = why;
    this.corrId = corrId;
  }
}

/** @type {string | undefined} */
let token = readToken();

function readToken() {
  try {
    return sessionStorage.getItem(TOKEN) ?? undefined;
  } catch {
    return undefined; // storage is switched off: the token lives as long as the page
  }
}

export const hasToken = () => token !== undefined;

/** @param {string | undefined} given */
export function setToken(given) {
  token = given;
  try {
    if (given === undefined) sessionStorage.removeItem(TOKEN);
    else sessionStorage.setItem(TOKEN, given);
  } catch {
    // See above.
  }
}

/** The bytes a token may have: others cannot be sent. */
export const isToken = (/** @type {string} */ text) => /^[A-Za-z0-9._~+/=-]{1,512}$/.test(text);

/**
 * @param {string} path relative to the page
 * @param {Readonly<Record<string, string | number | readonly string[] | undefined>>} query
 */
function targetOf(path, query) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one));
  }
  const text = search.toString();
  return new URL(text === '' ? path : `${path}?${text}`, document.baseURI);
}

/**
 * @typedef {{ query?: Parameters<typeof targetOf>[1], signal?: AbortSignal | undefined, anyStatus?: boolean }} AskOptions
 */

/**
 * The JSON at a path. Waits no longer than a quarter of a minute.
 * @param {string} path
 * @param {AskOptions} [options]
 * @returns {Promise<any>}
 * @throws {ApiError}
 */
export const get = (path, options = {}) => ask(path, options, (answer) => answer.json());

/** The longest file that is taken into memory. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/**
 * Has the browser keep what is at a path as a file: with the token, which a link would not send.
 * @param {string} path
 * @param {AskOptions & { name: string }} options
 * @throws {ApiError}
 */
export async function download(path, { name, ...options }) {
  const file = await ask(path, options, (answer) => {
    if (Number(answer.headers.get('content-length') ?? 0) > MAX_FILE_BYTES) {
      throw new ApiError('failed', 'The file is too long for a browser.');
    }
    return answer.blob();
  });
  const url = URL.createObjectURL(file);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/**
 * @template T
 * @param {string} path
 * @param {AskOptions} options
 * @param {(answer: Response) => T | Promise<T>} read
 * @returns {Promise<T>}
 * @throws {ApiError}
 */
async function ask(path, { query = {}, signal, anyStatus = false }, read) {
  const stop = new AbortController();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    stop.abort();
  }, TIMEOUT_MS);
  /** @type {Record<string, string>} */
  const headers = { accept: 'application/json, */*;q=0.5' };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(targetOf(path, query), {
      headers,
      signal: signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]),
      cache: 'no-store',
      credentials: 'same-origin',
      redirect: 'error',
    });
    if (!answer.ok && !anyStatus) throw problemOf(answer.status, await answer.json());
    return await read(answer);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (signal?.aborted) throw signal.reason;
    if (isLate) throw new ApiError('timeout', `No answer within ${TIMEOUT_MS / 1000} seconds.`);
    if (answer === undefined) throw new ApiError('away', 'The connection failed.');
    throw new ApiError('failed', `The answer (status ${answer.status}) could not be read.`);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {number} status
 * @param {any} body
 */
function problemOf(status, body) {
  const message = typeof body?.message === 'string' ? body.message.slice(0, 500) : `Status ${status}.`;
  const corrId = typeof body?.corr_id === 'string' ? body.corr_id.slice(0, 100) : undefined;
  // Not the token's fault: the service has no key itself.
  if (body?.error === 'PermissionDenied') return new ApiError('sealed', message, corrId);
  /** @type {Readonly<Record<number, Why>>} */
  const known = { 401: 'unauthorized', 403: 'forbidden', 404: 'missing', 429: 'busy', 503: 'busy' };
  return new ApiError(known[status] ?? 'failed', message, corrId);
}
