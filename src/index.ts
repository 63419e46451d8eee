export { createKeyFile } from './compose/home.ts';
export { type NamedObject, type OpenVaultOptions, openVault, type Vault } from './compose/open-vault.ts';
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
export type { Damage, DamageProblem } from './pipeline/damage.ts';
export type { DeepResult } from './pipeline/deep.ts';
export type { DeleteResult } from './pipeline/delete.ts';
export type { GetOptions, ObjectReader } from './pipeline/get/get.ts';
export type { ManifestEntry } from './pipeline/manifests.ts';
export type { PutOptions, PutResult } from './pipeline/put/put.ts';
export type { FailedAttempt, PutProgress } from './pipeline/put/session.ts';
export type { RecoverResult } from './pipeline/recover/recover.ts';
export type { ByteSource, ObjectInput } from './pipeline/source.ts';
export type { ObjectStat } from './pipeline/stat.ts';
export type { VerifyOptions, VerifyResult } from './pipeline/verify.ts';
export type { Certificate } from './placement/certificate.ts';
