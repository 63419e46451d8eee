export type { CatalogPolicy, ProbeReport, ProviderSnapshot } from './catalog/catalog.ts';
export { SKIP_REASONS, type SkipReason } from './catalog/catalog.ts';
export type { LeftOut } from './catalog/directory.ts';
export type { LastFailure } from './catalog/failures.ts';
export type { CreditBalance, ServedReads, SettledEpoch, Settlement } from './catalog/quota.ts';
export type { ConfigInput, ProviderInput } from './config/load.ts';
export { SECTION_NAMES, type SectionName } from './config/schema.ts';
export type {
  AnchorConfig,
  ChunkMode,
  ChunksConfig,
  CompressionAlgorithm,
  CompressionConfig,
  Config,
  ConfigWarning,
  DaemonConfig,
  EncryptionConfig,
  EngineConfig,
  ErasureAlgorithm,
  ErasureConfig,
  FallbackPolicy,
  FountainConfig,
  FountainKind,
  GatewayConfig,
  IntegrityConfig,
  LimitsConfig,
  NodeConfig,
  PacksConfig,
  PlacementConfig,
  ProviderConfig,
  RepairConfig,
  RetentionConfig,
  RolloutConfig,
  ScrubConfig,
  ServingConfig,
  SettlementConfig,
  StoragePolicy,
} from './config/types.ts';
export type { AbortOptions } from './core/abort.ts';
export type { BlobAddress } from './core/address.ts';
export type { EngineErrorCodes } from './core/engine-error-codes.ts';
export type { ErrorCodeTable } from './core/error-codes.ts';
export {
  ERROR_KINDS,
  type ErrorCode,
  type ErrorDetail,
  type ErrorKind,
  type ErrorStatus,
  HoldfastError,
  isHoldfastError,
} from './core/errors.ts';
export type { EngineName } from './engine/engine.ts';
export type { FallbackUse } from './manifest/root.ts';
export type { Damage, DamageProblem } from './object/damage.ts';
export type { FailedAttempt } from './pipeline/put/failures.ts';
export type { PutOptions } from './pipeline/put/put.ts';
export type { PutProgress, PutResult } from './pipeline/put/put-result.ts';
export type { ByteSource, ObjectInput } from './pipeline/source.ts';
export type { Certificate } from './placement/certificate.ts';
export type { DomainLevel } from './placement/domains.ts';
export type { LostHour } from './receipts/settlement/anchor-watch.ts';
export type { EpochStanding } from './receipts/settlement/watcher.ts';
export type { ChoreRecord } from './records/chore-log.ts';
export type { Fork } from './records/forks.ts';
export type { NameCopies } from './records/name-copies.ts';
export type { ListObjectsOptions, NamePrefix } from './records/name-listing.ts';
export type { NamedObject } from './records/name-page.ts';
export type { DamagedName } from './records/name-record.ts';
export type { Poison } from './records/poison.ts';
export type { AuditOptions, AuditResult, ProviderAudit } from './upkeep/audit/audit.ts';
export type { DeleteResult } from './upkeep/delete.ts';
export type { EvacuationProgress, EvacuationRunResult, LeftThere } from './upkeep/evacuate/evacuate.ts';
export type { EvacuationPlan, RefusedPart } from './upkeep/evacuate/evacuation-plan.ts';
export type { Balance, RebalancePlan, RebalanceRunResult } from './upkeep/evacuate/rebalance.ts';
export type { GcOptions, GcResult } from './upkeep/gc.ts';
export type { ProviderOrphans, WhyKept } from './upkeep/orphans.ts';
export type { RecodePlan, RecodeResult, RecodeTask } from './upkeep/recode.ts';
export type { RecoverResult } from './upkeep/recover/recover.ts';
export type { WhyLost } from './upkeep/repair/lost.ts';
export type { ChunkRepairResult } from './upkeep/repair/repair-chunk.ts';
export type {
  RepairEntry,
  RepairHistoryOptions,
  RepairKind,
  RepairStatus,
} from './upkeep/repair/repair-log.ts';
export type { RepairRunResult } from './upkeep/repair/repair-run.ts';
export type { ProviderScrub, ScrubOptions, ScrubProgress, ScrubResult } from './upkeep/scrub/scrub.ts';
export type { ScrubCounts, Subset } from './upkeep/scrub/state.ts';
export type { LiveCertificate, ObjectStat } from './upkeep/stat.ts';
export type { Backlog, RepairWaits, TrashStatus, Upkeep } from './upkeep/status.ts';
export type { DamageStatus, NamesStatus, ScrubStatus, Survival } from './upkeep/survival.ts';
export type { DeepResult, VerifyOptions, VerifyResult } from './upkeep/verify.ts';
export { createVault } from './vault/create-vault.ts';
export { openVault } from './vault/open-vault.ts';
export type { GetOptions, GetProgress, ObjectReader, WholeOptions } from './vault/reader.ts';
export type { SettledFolder, SettleResult } from './vault/settlement.ts';
export type {
  ChunkOptions,
  EvacuateOptions,
  EvacuateResult,
  EvacuationForecast,
  ListManifestsOptions,
  LostProvider,
  ManifestEntry,
  PlanEvacuationOptions,
  ProviderStatus,
  RebalanceForecast,
  RebalanceOptions,
  RebalanceResult,
  RecodeOptions,
  RepairOptions,
  RepairResult,
  Vault,
  VaultProviders,
  VaultStatus,
} from './vault/vault.ts';
export type {
  AnyAdapterKind,
  CatalogPolicyInput,
  CreateVaultOptions,
  OpenVaultOptions,
  ProviderOverride,
} from './vault/vault-options.ts';
