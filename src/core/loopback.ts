/** Whether a host, as an address names it, is this machine: what is sent there crosses no network. */
export const isLoopback = (host: string): boolean =>
  /^(?:.+\.)?localhost$/i.test(host) || /^\[?::1\]?$/.test(host) || /^127(?:\.\d{1,3}){3}$/.test(host);

/** Whether what is sent to this address can be overheard on the way. */
export function isCleartext(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !isLoopback(hostname);
}
