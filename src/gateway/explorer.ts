import type { GatewayContext, StoragePolicy } from './context.ts';
import type { ManifestSummary, ProviderSummary } from './store.ts';

export const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

export interface ManifestsPage {
  readonly manifests: readonly ManifestSummary[];
  /** In force for what is put now; each manifest says itself what it was put with. */
  readonly policy: StoragePolicy;
}

/** Undefined unless it is a whole number from 1 to 1000. */
export function checkLimit(value: unknown): number | undefined {
  const whole = typeof value === 'number' && Number.isSafeInteger(value);
  return whole && value >= 1 && value <= MAX_LIMIT ? value : undefined;
}

export const manifestsPage = async (
  { store, policy }: GatewayContext,
  limit: number,
  signal: AbortSignal,
): Promise<ManifestsPage> => ({ manifests: await store.manifests(limit, signal), policy });

export const providersPage = ({
  store,
}: GatewayContext): { readonly providers: readonly ProviderSummary[] } => ({ providers: store.providers() });
