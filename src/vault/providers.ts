import type { Config } from '../config/types.ts';
import type { Provider } from '../providers/provider.ts';
import { createProvider, type ProviderDeps } from '../providers/provider.ts';

/** The configured providers, each with its layers. */
export function buildProviders(
  config: Config,
  deps: Omit<ProviderDeps, 'callTimeoutMs' | 'maxAttempts'>,
): Promise<Provider[]> {
  const { requestMs: callTimeoutMs, maxAttempts } = config.limits;
  return Promise.all(
    config.providers.map((provider) => createProvider(provider, { ...deps, callTimeoutMs, maxAttempts })),
  );
}
