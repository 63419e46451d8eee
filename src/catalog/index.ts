export type {
  CatalogDaemon,
  CatalogEvent,
  CatalogOptions,
  Eligibility,
  LeftOut,
  NodeCatalog,
  Outcome,
  ProbeReport,
  ProviderHealth,
  ProviderSnapshot,
  RankedProvider,
} from './catalog.ts';
export { FAILURE_KINDS, type FailureKind, STALLED } from './failure-kind.ts';
export { describeFailure, type LastFailure } from './last-failure.ts';
export { openNodeCatalog } from './node-catalog.ts';
export { type CatalogPolicy, DEFAULT_CATALOG_POLICY } from './policy.ts';
export {
  type CreditBalance,
  configuredCredits,
  createUsageStore,
  type Settlement,
} from './quota.ts';
export { ROOM_REASONS, SILENT_REASONS, type Skip, type SkipReason } from './rank.ts';
