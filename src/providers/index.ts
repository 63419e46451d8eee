export type { Blake3, Blake3Hasher } from '../core/b3/blake3.ts';
export type { Clock, TimerOptions } from '../core/clock.ts';
export { bool, bytes, decimal, type Field, integer, listOf, oneOf, text } from '../core/fields.ts';
export type { RandomBytes } from '../core/random.ts';
export type {
  AdapterCapabilities,
  BlobAdapter,
  BlobEntry,
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
  StoreOptions,
  StoreResult,
  StoreStreamOptions,
} from './adapter.ts';
export { DEFAULT_FETCH_BYTES, isSlotName, MAX_BLOB_BYTES, MAX_SLOT_BYTES } from './adapter.ts';
export {
  type CredentialDeps,
  type CredentialReader,
  type CredentialSource,
  type Credentials,
  credentialsFrom,
} from './credentials.ts';
export { type AdapterDeps, bufferedUpload, type Driver, noSlots, readsOf, type Upload } from './driver.ts';
export { adapterFromDriver } from './from-driver.ts';
export { createFsAdapter, type FsOptions } from './fs/driver.ts';
export type { FsKeys } from './fs/index.ts';
export { initFsProvider } from './fs/layout.ts';
export { createSlots, type GenerationStore, generationOf, type Slots } from './generations.ts';
export { fetchVerified, notFound, slotConflict, unsupported } from './guard.ts';
export type { HttpKeys } from './http/index.ts';
export type { IpfsKeys } from './ipfs/index.ts';
export { credentials, fromHome, path, refuseCleartext, TLS_KEYS, url, word } from './keys.ts';
export {
  type AdapterKey,
  type AdapterKind,
  type EntryOf,
  type KeysOf,
  type OpenDeps,
  type OptionsOf,
  optional,
  type Refuse,
  required,
} from './kind.ts';
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
export { inOrder } from './listing.ts';
export { createMemoryAdapter, type MemoryOptions } from './memory/driver.ts';
export type { MemoryKeys } from './memory/index.ts';
export type { DomainLabels, Provider } from './provider.ts';
export { createProvider, type ProviderDeps, type ProviderEntry, type ProviderTerms } from './provider.ts';
export {
  type AdapterEntry,
  type AdapterKinds,
  type AnyEntry,
  adapterKinds,
  openAdapter,
} from './registry.ts';
export type { S3Keys } from './s3/index.ts';
export type { Answers, Question, Secret, Setup } from './setup.ts';
export type { SftpKeys } from './sftp/index.ts';
export { systemDeps } from './system-deps.ts';
export type { ClientTlsFiles } from './tls-files.ts';
export type { WebDavKeys } from './webdav/index.ts';
