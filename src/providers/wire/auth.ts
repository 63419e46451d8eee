import { HoldfastError } from '../../core/errors.ts';
import type { CredentialReader, Credentials } from '../credentials.ts';
import type { WireAnswer } from './answer.ts';

/** `authorization` from fields `token`, or `username` and `password`; nothing without either. */
export function authHeaders(credentials: Credentials): Record<string, string> {
  const { token, username, password } = credentials;
  if (token !== undefined) return { authorization: `Bearer ${token}` };
  if (username === undefined || password === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}

/**
 * Sends with the present secrets and, where the server refuses them and the source has others now, once more.
 * @param repeatable whether `send` can be called twice; if not, the caller is told to.
 */
export async function sendAuthorised<T>(
  credentials: CredentialReader<T>,
  repeatable: boolean,
  send: (secrets: T) => Promise<WireAnswer>,
): Promise<WireAnswer> {
  const used = await credentials();
  const answer = await send(used);
  if (answer.status !== 401 && answer.status !== 403) return answer;
  // A source that cannot be read now leaves the server's refusal as what there is to say.
  const others = await credentials.refused?.(used).catch(() => false);
  if (others !== true) return answer;
  await answer.discard();
  if (repeatable) return send(await credentials());
  throw new HoldfastError('Unavailable', 'the credentials were rotated in the middle of an upload', {
    code: 'credentials_rotated',
    hint: 'Try again: the new ones were read.',
  });
}

/** What gives a secret away to who listens; a signature made with one does not. */
const SECRET = /^(?:basic|bearer)\s/i;

/** @throws HoldfastError `ConfigInvalid` (`cleartext_secret`) for a secret on its way over an open network. */
export function refuseCleartext(origin: string, headers: Readonly<Record<string, string>>): void {
  if (!SECRET.test(headers.authorization ?? '') && headers['x-amz-security-token'] === undefined) return;
  throw new HoldfastError('ConfigInvalid', `a secret would go to ${origin} unencrypted`, {
    code: 'cleartext_secret',
    hint: 'Use https:// for this provider; plain http:// with credentials is for this machine only.',
  });
}
