export type { ConfigInput, ProviderInput } from './config/object.ts';
export type { Config } from './config/types.ts';
export type { AbortOptions } from './core/abort.ts';
export type { BlobAddress } from './core/address.ts';
export {
  ERROR_KINDS,
  type ErrorCode,
  type ErrorKind,
  type ErrorStatus,
  HoldfastError,
  isHoldfastError,
} from './core/errors.ts';
export type { Damage, DamageProblem } from './object/damage.ts';
export type { FailedAttempt } from './pipeline/put/failures.ts';
export type { PutOptions, PutProgress, PutResult } from './pipeline/put/put.ts';
export type { ByteSource, ObjectInput } from './pipeline/source.ts';
export type { Certificate } from './placement/certificate.ts';
export type { ListObjectsOptions, NamePrefix } from './records/name-listing.ts';
export type { NamedObject } from './records/name-page.ts';
export type { DeleteResult } from './upkeep/delete.ts';
export type { RecoverResult } from './upkeep/recover/recover.ts';
export type { ObjectStat } from './upkeep/stat.ts';
export type { DeepResult, VerifyOptions, VerifyResult } from './upkeep/verify.ts';
export { createVault } from './vault/create-vault.ts';
export { openVault } from './vault/open-vault.ts';
export type { GetOptions, GetProgress, ObjectReader, WholeOptions } from './vault/reader.ts';
export type {
  ListManifestsOptions,
  ManifestEntry,
  ProviderStatus,
  Vault,
  VaultProviders,
} from './vault/vault.ts';
export type {
  AnyAdapterKind,
  CatalogPolicyInput,
  CreateVaultOptions,
  OpenVaultOptions,
  ProviderOverride,
} from './vault/vault-options.ts';
