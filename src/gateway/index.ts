export type { FallbackPolicy, StoragePolicy } from './context.ts';
export { createGateway, type GatewayOptions } from './gateway.ts';
export type { ManifestSummary, ObjectStore, ProviderSummary, StoredBlob, StoredObject } from './store.ts';
export { type CacheBudgets, createVaultStore, type VaultStoreOptions } from './vault-store.ts';
