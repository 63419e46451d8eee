import type { RootRecord } from '../manifest/root.ts';
import { DamageLog } from '../object/damage.ts';
import { publicSegments } from '../object/segment-view.ts';
import type { VaultContext } from '../pipeline/context.ts';
import { type Certificate, Certifier } from '../placement/certificate.ts';
import { NOT_PLACED } from '../placement/domains.ts';

/** What an object survives now, as far as is known without reading its shards. */
export interface LiveCertificate {
  readonly certificate: Certificate;
  /** Its providers that are not counted: no longer configured, or known not to answer. */
  readonly without: readonly string[];
}

/**
 * The certificate with the providers that are left. Where all are, it is the one that was put; else it is computed from
 * the places of the shards, which takes the manifest's nodes and nothing else.
 */
export async function liveCertificate(
  context: VaultContext,
  root: RootRecord,
  signal?: AbortSignal,
): Promise<LiveCertificate> {
  const { directory } = context;
  const isThere = (id: string): boolean => directory.get(id) !== undefined && directory.isResponsive(id);
  const without = root.providers.filter((id) => !isThere(id));
  if (without.length === 0) return { certificate: root.certificate, without };
  const providers = directory.all();
  const placeOf = new Map(providers.map(({ id }, place) => [id, place]));
  for (const id of without) placeOf.delete(id);
  let certifier: Certifier | undefined;
  for await (const { view } of publicSegments(context, root, new DamageLog(), signal)) {
    const { code, record, shardLengths } = view;
    const failureDomain = root.certificate.domains.level;
    certifier ??= new Certifier({ code, providers, failureDomain });
    const packPlaces = record.packs.map(({ provider }) => placeOf.get(provider) ?? NOT_PLACED);
    for (let chunk = 0; chunk < shardLengths.length; chunk++) {
      const at = chunk * code.totalShards;
      const packs = record.places.subarray(at, at + code.totalShards);
      certifier.add(Uint8Array.from(packs, (pack) => packPlaces[pack]!));
    }
  }
  return { certificate: certifier?.certificate() ?? root.certificate, without };
}
