import { keyPath as at, type Problems } from './problems.ts';
import type { Config, NodeConfig, ProviderConfig, ServingConfig } from './types.ts';

/** What keys of `[node]` and `[gateway]` may say alone but not together. */
export function checkServing(
  { node, gateway, providers }: Pick<Config, 'node' | 'gateway' | 'providers'>,
  problems: Problems,
): void {
  checkTls('node', node, problems);
  checkTls('gateway', gateway, problems);
  checkBackends(node, providers, problems);
}

function checkTls(section: string, { tlsCert, tlsKey, clientCa }: ServingConfig, problems: Problems): void {
  if (tlsCert === '' && tlsKey === '' && clientCa === '') return;
  if (tlsCert !== '' && tlsKey !== '') return;
  const keys = ['tlsCert', 'tlsKey', 'clientCa'].map((key) => at(section, key));
  problems.addConflict(keys, 'TLS is only half described', 'tls_cert and tls_key together');
}

function checkBackends(
  { root, amnesia, backends }: NodeConfig,
  providers: readonly ProviderConfig[],
  problems: Problems,
): void {
  const key = at('node', 'backends');
  const unknown = backends.find((id) => !providers.some((provider) => provider.id === id));
  if (unknown !== undefined) {
    const ids = providers.map(({ id }) => id).join(', ');
    problems.add(key, `"${unknown}" is no provider`, `ids of [[providers]]: ${ids}`);
  } else if (new Set(backends).size < backends.length) {
    problems.add(key, 'names one twice', 'each provider once');
  }
  const places = [backends.length > 0 && 'backends', root !== '' && 'root', amnesia && 'amnesia'].filter(
    (place) => place !== false,
  );
  if (places.length < 2) return;
  const keys = places.map((place) => at('node', place));
  problems.addConflict(keys, `${places.join(' and ')} exclude each other`, `one of ${places.join(', ')}`);
}
