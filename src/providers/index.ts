export type {
  AdapterCapabilities,
  BlobAdapter,
  BlobStat,
  DeleteSlotOptions,
  FetchOptions,
  FetchStreamOptions,
  ListOptions,
  ListSlotsOptions,
  ProbeResult,
  ReadOptions,
  Slot,
  SlotName,
  SlotVersion,
  StoreResult,
  StoreStreamOptions,
} from './adapter.ts';
export { DEFAULT_FETCH_BYTES, isSlotName, MAX_BLOB_BYTES, MAX_SLOT_BYTES } from './adapter.ts';
export type { CredentialReader, CredentialSource } from './credentials.ts';
export type { AdapterDeps, Driver, Upload } from './driver.ts';
export {
  type AdapterEntry,
  createAdapter,
  createProvider,
  type ProviderDeps,
  type ProviderEntry,
} from './factory.ts';
export { adapterFromDriver } from './from-driver.ts';
export { createFsAdapter, type FsOptions, initFsProvider } from './fs/index.ts';
export {
  type Attempt,
  type AttemptObserver,
  type BandwidthOptions,
  type BreakerOptions,
  type BreakerState,
  type ConcurrencyOptions,
  type FaultOptions,
  type FaultPlan,
  type FaultyAdapter,
  type LayerOptions,
  type LogOptions,
  type LogSink,
  type MetricsOptions,
  type Operation,
  type RetryOptions,
  redact,
  type TimeoutOptions,
  withBandwidthLimit,
  withBreaker,
  withConcurrencyLimit,
  withFaults,
  withLayers,
  withLog,
  withMetrics,
  withRetry,
  withTimeout,
} from './layers/index.ts';
export { createMemoryAdapter, type MemoryOptions } from './memory/index.ts';
export type { DomainLabels, Provider } from './provider.ts';
export { createRegistry, type Registry } from './registry.ts';
export { fetchVerified } from './verified.ts';
