export type {
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
export { openNodeCatalog } from './node-catalog.ts';
export { type CatalogPolicy, DEFAULT_CATALOG_POLICY } from './policy.ts';
export { CREDIT_BYTES, type CreditBalance, configuredCredits, type Settlement } from './quota.ts';
export { SKIP_REASONS, type Skip, type SkipReason } from './rank.ts';
