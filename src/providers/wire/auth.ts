import type { Credentials } from '../credentials.ts';

/** `authorization` from fields `token`, or `username` and `password`; nothing without either. */
export function authHeaders(credentials: Credentials): Record<string, string> {
  const { token, username, password } = credentials;
  if (token !== undefined) return { authorization: `Bearer ${token}` };
  if (username === undefined || password === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}
