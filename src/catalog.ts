export type {
  CandidateOptions,
  CatalogDaemon,
  CatalogEvent,
  DoubtfulProvider,
  Eligibility,
  NodeCatalog,
  Outcome,
  ProbeAllOptions,
  ProbeReport,
  ProviderHealth,
  ProviderSnapshot,
  RankedProvider,
  Skip,
  SkippedProvider,
} from './catalog/catalog.ts';
export type { FailureKind } from './catalog/failures.ts';
export type {
  BatchOp,
  Engine,
  EngineName,
  EntriesOptions,
  Precondition,
  Table,
  WriteOptions,
} from './engine/engine.ts';
export type { ProbeMode } from './profiles/observe.ts';
export { type OpenCatalogOptions, openCatalog } from './vault/open-catalog.ts';
