import { resolve } from 'node:path';
import type { BoundAddress, Listener, ListenerTlsFiles } from '../../http/listener.ts';
import type { Service } from '../../http/service.ts';
import { type Io, output } from '../io.ts';
import { type ServingSettings, usage } from './settings.ts';

/** Listens, says where, and serves until the command is told to stop; then lets requests finish. */
export async function serve(
  service: Pick<Service, 'listen' | 'drain'>,
  listeners: readonly Listener[],
  io: Io,
  json: boolean,
): Promise<void> {
  const bound: BoundAddress[] = [];
  for (const listener of listeners) bound.push(await service.listen(listener));
  output(io, json, { listening: bound }, () => bound.map(describe).join('\n'));
  await aborted(io.signal);
  await service.drain();
}

/** @throws HoldfastError `ConfigInvalid` (`usage`) */
export function listenersOf(settings: ServingSettings, io: Io): Listener[] {
  const { bind, unix } = settings;
  const listeners: Listener[] = [];
  const tls = tlsOf(settings, io);
  if (bind !== undefined) {
    const [, host = '', port = ''] = /^(.+):(\d{1,5})$/.exec(bind) ?? [];
    if (host === '' || Number(port) > 65_535)
      throw usage('--bind is HOST:PORT', 'For example 127.0.0.1:7700.');
    listeners.push({ kind: 'tcp', host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port), tls });
  }
  if (unix !== undefined) listeners.push({ kind: 'unix', path: resolve(io.cwd, unix) });
  if (listeners.length === 0)
    throw usage(
      'there is nowhere to listen',
      'Pass --bind HOST:PORT, --unix PATH or both, or set them in the configuration.',
    );
  return listeners;
}

function tlsOf({ tlsCert, tlsKey, clientCa, bind }: ServingSettings, io: Io): ListenerTlsFiles | undefined {
  if (tlsCert === undefined && tlsKey === undefined && clientCa === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined || bind === undefined) {
    throw usage(
      'TLS needs --bind, --tls-cert and --tls-key',
      'Add --client-ca to ask clients for certificates too.',
    );
  }
  const at = (path: string): string => resolve(io.cwd, path);
  const clientCaFile = clientCa === undefined ? undefined : at(clientCa);
  return { certFile: at(tlsCert), keyFile: at(tlsKey), clientCaFile };
}

const describe = (address: BoundAddress): string =>
  `listening on ${address.kind === 'unix' ? address.path : address.url}`;

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolvePromise) => {
    if (signal.aborted) resolvePromise();
    else signal.addEventListener('abort', () => resolvePromise(), { once: true });
  });
}
