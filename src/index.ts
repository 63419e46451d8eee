export type { ConfigInput, ProviderInput } from './config/object.ts';
export type { Config } from './config/types.ts';
export type { AbortOptions } from './core/abort.ts';
export type { BlobAddress } from './core/address.ts';
export {
  ERROR_KINDS,
  type ErrorKind,
  type ErrorStatus,
  HoldfastError,
  isHoldfastError,
} from './core/errors.ts';
export type { Damage, DamageProblem } from './object/damage.ts';
export type { GetOptions, ObjectReader } from './pipeline/get/get.ts';
export type { FailedAttempt } from './pipeline/put/failures.ts';
export type { PutOptions, PutProgress, PutResult } from './pipeline/put/put.ts';
export type { ByteSource, ObjectInput } from './pipeline/source.ts';
export type { Certificate } from './placement/certificate.ts';
export type { ManifestEntry } from './records/manifests.ts';
export type { DeleteResult } from './upkeep/delete.ts';
export type { RecoverResult } from './upkeep/recover/recover.ts';
export type { ObjectStat } from './upkeep/stat.ts';
export type { DeepResult, VerifyOptions, VerifyResult } from './upkeep/verify.ts';
export { createKeyFile } from './vault/home.ts';
export { type NamedObject, type OpenVaultOptions, openVault, type Vault } from './vault/open-vault.ts';
