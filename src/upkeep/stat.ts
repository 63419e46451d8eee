import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { DamageLog } from '../object/damage.ts';
import type { VaultContext } from '../pipeline/context.ts';
import type { Certificate } from '../placement/certificate.ts';
import { openManifest } from '../records/manifests.ts';
import { resolveReference } from '../records/names.ts';
import { type LiveCertificate, liveCertificate } from './live-certificate.ts';

export interface ObjectStat {
  readonly manifest: BlobAddress;
  readonly name: string | undefined;
  /** Versions the name has had; 0 when asked for by address. */
  readonly version: number;
  readonly size: number;
  readonly contentType: string;
  readonly createdMs: number;
  readonly chunks: number;
  readonly code: string;
  readonly compression: string;
  readonly providers: readonly string[];
  /** As it was put. */
  readonly certificate: Certificate;
  /** As it is with the providers that are left. */
  readonly live: LiveCertificate;
}

/** What is known of an object without reading it. @throws HoldfastError `NotFound`. */
export async function statObject(
  context: VaultContext,
  reference: string,
  options: AbortOptions = {},
): Promise<ObjectStat> {
  const { manifest, pointer } = await resolveReference(context, reference, options);
  const { record, secrets } = await openManifest(context, manifest, new DamageLog(), options);
  return {
    manifest,
    name: pointer?.name ?? secrets.name,
    version: pointer?.version ?? 0,
    size: secrets.size,
    contentType: secrets.contentType,
    createdMs: secrets.createdMs,
    chunks: record.chunks,
    code: record.certificate.code,
    compression: record.compression,
    providers: record.providers,
    certificate: record.certificate,
    live: await liveCertificate(context, record, options.signal),
  };
}
