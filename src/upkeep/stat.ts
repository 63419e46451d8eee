import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { DamageLog } from '../object/damage.ts';
import { type PublicManifest, publicNodes, publicSegments } from '../object/manifest-tree.ts';
import { locate, packsOf, type SegmentView } from '../object/places.ts';
import { type Certificate, Certifier } from '../placement/certificate.ts';
import { NOT_PLACED } from '../placement/domains.ts';
import type { RecordsContext } from '../records/context.ts';
import { openManifest } from '../records/manifests.ts';
import { type NameCopies, nameCopies } from '../records/name-copies.ts';
import { resolveReference } from '../records/names.ts';

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
  /** Where its name is kept; undefined when asked for by address. */
  readonly nameCopies: NameCopies | undefined;
}

/** What an object survives now, as far as is known without reading its shards. */
export interface LiveCertificate {
  readonly certificate: Certificate;
  /** Its providers that are not counted: no longer configured, or known not to answer. */
  readonly without: readonly string[];
}

/** What is known of an object without reading it; its name's slots are asked. @throws HoldfastError `NotFound`. */
export async function statObject(
  context: RecordsContext,
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
    live: await liveCertificate(context, { manifest, record }, options.signal),
    nameCopies: pointer && (await nameCopies(context, pointer, options)),
  };
}

/**
 * The certificate with the providers that are left. Where all are and no shard was moved, it is the one that was put;
 * else it is computed from the places of the shards, which takes the manifest's nodes and nothing else.
 */
async function liveCertificate(
  context: RecordsContext,
  object: PublicManifest,
  signal: AbortSignal | undefined,
): Promise<LiveCertificate> {
  const { directory } = context;
  const { certificate, providers: stored } = object.record;
  // Told once: one that answers again in between would be counted by neither the certificate nor `without`.
  const answering = new Set(directory.all().flatMap(({ id }) => (directory.isResponsive(id) ? [id] : [])));
  const isThere = (id: string): boolean => answering.has(id);
  const moved = await wasMoved(context, object, signal);
  if (!moved && stored.every(isThere)) return { certificate, without: [] };
  const providers = directory.all();
  const placeOf = new Map(providers.map(({ id }, place) => [id, place]));
  for (const id of placeOf.keys()) if (!isThere(id)) placeOf.delete(id);
  const keepers = new Set(moved ? [] : stored);
  let certifier: Certifier | undefined;
  for await (const view of publicSegments(context, object, new DamageLog(), signal)) {
    certifier ??= new Certifier({ code: view.code, providers, failureDomain: certificate.domains.level });
    addChunks(certifier, view, placeOf);
    if (moved) for (const { provider } of packsOf(view)) keepers.add(provider);
  }
  const without = [...keepers].filter((id) => !isThere(id)).sort();
  return { certificate: certifier?.certificate() ?? certificate, without };
}

function addChunks(certifier: Certifier, view: SegmentView, placeOf: ReadonlyMap<string, number>): void {
  for (let chunk = 0; chunk < view.shardLengths.length; chunk++) {
    const places = Uint8Array.from(
      { length: view.code.totalShards },
      (_, shard) => placeOf.get(locate(view, chunk, shard).pack.provider) ?? NOT_PLACED,
    );
    certifier.add(places);
  }
}

/** Whether shards of an object were moved since it was put. */
async function wasMoved(
  context: RecordsContext,
  { manifest, record }: PublicManifest,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const relocationsOf = await context.relocations.open({ signal, fresh: true });
  if (relocationsOf === undefined) return false;
  const isMoved = async (segment: BlobAddress): Promise<boolean> =>
    (await relocationsOf(segment)).some(({ recorded }) => recorded);
  if (!('links' in record.body)) return isMoved(manifest);
  for await (const { address, depth } of publicNodes(context, record, new DamageLog(), signal)) {
    if (depth === 0 && (await isMoved(address))) return true;
  }
  return false;
}
