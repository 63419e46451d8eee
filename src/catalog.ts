export type {
  CandidateOptions,
  CatalogDaemon,
  CatalogEvent,
  Eligibility,
  LeftOut,
  NodeCatalog,
  Outcome,
  ProbeAllOptions,
  ProbeReport,
  ProviderHealth,
  ProviderSnapshot,
  RankedProvider,
} from './catalog/catalog.ts';
export type { FailureKind } from './catalog/failure-kind.ts';
export type { Skip } from './catalog/rank.ts';
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
