import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { decodeRoot, type RootRecord } from '../../src/manifest/root.ts';
import { publicTree, walkManifest } from '../../src/object/manifest-tree.ts';
import { locate, type Place, type SegmentView, viewSegment } from '../../src/object/places.ts';
import { relocate } from '../../src/object/relocations.ts';
import { Certifier } from '../../src/placement/certificate.ts';
import { domainOf, NOT_PLACED, type PlacementProvider } from '../../src/placement/domains.ts';
import { solvePlacement } from '../../src/placement/solve.ts';
import { storedRelocations } from '../../src/records/relocations.ts';
import type { StateDisk } from './disk.ts';
import type { SimProvider } from './provider.ts';
import { blake3 } from './seat.ts';

interface Watched {
  readonly disk: StateDisk;
  readonly providers: readonly SimProvider[];
  readonly domains: readonly Pick<PlacementProvider, 'id' | 'domain'>[];
}

/** An object as its nodes say, which never changes. */
interface KnownObject {
  readonly manifest: BlobAddress;
  readonly record: RootRecord;
  readonly nodes: readonly BlobAddress[];
  readonly segments: ReadonlyMap<BlobAddress, SegmentView>;
}

const hashes = new WeakMap<Uint8Array, BlobAddress>();

/** The address that bytes have. */
function addressed(bytes: Uint8Array): BlobAddress {
  const known = hashes.get(bytes);
  if (known !== undefined) return known;
  const address = addressOf(blake3.hash(bytes));
  hashes.set(bytes, address);
  return address;
}

/** What is really there: it looks into providers and the state, asks nobody, and takes no time. */
export class Truth {
  readonly #run: Watched;
  readonly #known = new Map<BlobAddress, KnownObject>();

  constructor(run: Watched) {
    this.#run = run;
  }

  /** Manifests that stand by the records, and whose nodes somebody has or had. */
  async standing(): Promise<KnownObject[]> {
    const { live } = this.#run.disk;
    const objects: KnownObject[] = [];
    for await (const [manifest] of live.table('manifest_times').entries()) {
      if ((await live.table('ending').get(manifest)) !== undefined) continue;
      const object = await this.#object(manifest as BlobAddress);
      if (object !== undefined) objects.push(object);
    }
    return objects;
  }

  /** Its segments, with their shards where the records say that they are. */
  async *segmentsOf({ segments }: KnownObject): AsyncGenerator<SegmentView> {
    for (const address of segments.keys()) yield await this.#placed(segments.get(address)!, address);
  }

  /** Domains that may vanish of what is there of an object; −1: some of it is lost. */
  async survives(object: KnownObject): Promise<number> {
    let least = Number.POSITIVE_INFINITY;
    for await (const view of this.segmentsOf(object))
      least = Math.min(least, this.#tolerates(object.record, view));
    return least;
  }

  /** Domains that may vanish of what is there of a segment; undefined where it is not known. */
  async toleratesOf(segment: BlobAddress): Promise<number | undefined> {
    for (const object of this.#known.values()) {
      const view = object.segments.get(segment);
      if (view !== undefined) return this.#tolerates(object.record, await this.#placed(view, segment));
    }
    return undefined;
  }

  /** The fewest losses that an object survives, by what is noted: damage that was found, and who was declared lost. */
  async leastKnown(): Promise<number> {
    const { live } = this.#run.disk;
    const noted = new Set<string>();
    for await (const [key] of live.table('damage').entries()) noted.add(key.slice(key.indexOf('/') + 1));
    const lost = new Set<string>();
    for await (const [id] of live.table('lost_providers').entries()) lost.add(id);
    const counts = (provider: string, address: string): boolean =>
      !lost.has(provider) && !noted.has(`${provider}/${address}`) && this.#has(provider, address);
    let least = Number.POSITIVE_INFINITY;
    for (const object of await this.standing()) {
      for await (const view of this.segmentsOf(object))
        least = Math.min(least, this.#tolerates(object.record, view, counts));
      for (const node of object.nodes) least = Math.min(least, this.#domainsOf(node, object, counts) - 1);
    }
    return least;
  }

  /** Whether shards of an object that stands are in this blob. */
  async isInUse(provider: string, address: string): Promise<boolean> {
    for (const object of await this.standing()) {
      for await (const view of this.segmentsOf(object)) {
        for (const { pack } of placesOf(view)) {
          if (pack.provider === provider && pack.address === address) return true;
        }
      }
    }
    return false;
  }

  /** What an object lacks of what it was promised. @param left providers that are there; others count for nothing. */
  async lacks(object: KnownObject, left: readonly string[]): Promise<string[]> {
    const { record, nodes } = object;
    const level = record.certificate.domains.level;
    const there = this.#run.domains.filter(({ id }) => left.includes(id));
    const code = createLinearCode(record.code);
    const { certificate } = solvePlacement({ code, providers: there, failureDomain: level });
    const wanted = Math.min(record.certificate.tolerates, certificate.tolerates);
    const lacking: string[] = [];
    for await (const view of this.segmentsOf(object)) {
      const missing = [...placesOf(view)].filter(({ pack }) => !this.#has(pack.provider, pack.address));
      if (missing.length > 0)
        lacking.push(
          `${missing.length} shards, one at ${missing[0]!.pack.provider} ${missing[0]!.pack.address}`,
        );
      const tolerates = this.#tolerates(record, view);
      if (tolerates < wanted) lacking.push(`it survives ${tolerates}, not ${wanted}`);
    }
    for (const node of nodes) {
      const domains = new Set(
        there.filter(({ id }) => this.#has(id, node)).map((provider) => domainOf(provider, level)),
      );
      const most = new Set(there.map((provider) => domainOf(provider, level))).size;
      if (domains.size < Math.min(record.certificate.tolerates + 1, most))
        lacking.push(`${domains.size} copies of a node`);
    }
    return lacking;
  }

  #tolerates(
    record: RootRecord,
    view: SegmentView,
    counts = (provider: string, address: string): boolean => this.#has(provider, address),
  ): number {
    const { domains } = this.#run;
    const { code } = view;
    const certifier = new Certifier({
      code,
      providers: domains,
      failureDomain: record.certificate.domains.level,
    });
    for (let chunk = 0; chunk < view.shardLengths.length; chunk++) {
      const places = Array.from({ length: code.totalShards }, (_, shard) => {
        const { provider, address } = locate(view, chunk, shard).pack;
        const place = counts(provider, address) ? domains.findIndex(({ id }) => id === provider) : -1;
        return place < 0 ? NOT_PLACED : place;
      });
      certifier.add(places);
    }
    return certifier.certificate().tolerates;
  }

  #has(provider: string, address: string): boolean {
    const blob = this.#run.providers.find(({ id }) => id === provider)?.blobs.get(address);
    return blob !== undefined && addressed(blob.bytes) === address;
  }

  #domainsOf(
    node: BlobAddress,
    { record }: KnownObject,
    counts: (provider: string, address: string) => boolean,
  ): number {
    const having = this.#run.domains.filter(({ id }) => counts(id, node));
    return new Set(having.map((provider) => domainOf(provider, record.certificate.domains.level))).size;
  }

  async #placed(view: SegmentView, segment: BlobAddress): Promise<SegmentView> {
    const { records } = await storedRelocations(this.#run.disk.live, segment);
    return relocate(
      view,
      records.map((record) => ({ ...record, recorded: true })),
    );
  }

  async #object(manifest: BlobAddress): Promise<KnownObject | undefined> {
    const known = this.#known.get(manifest);
    if (known !== undefined) return known;
    const root = this.#blob(manifest);
    if (root === undefined) return undefined;
    const record = decodeRoot(root);
    const code = createLinearCode(record.code);
    const segments = new Map<BlobAddress, SegmentView>();
    const nodes = new Set([manifest]);
    let whole = true;
    const tree = publicTree(record, async (address) => {
      const bytes = this.#blob(address);
      if (bytes === undefined) whole = false;
      return bytes;
    });
    for await (const { address, segment } of walkManifest(tree)) {
      if (address !== undefined) nodes.add(address);
      if (segment !== undefined) segments.set(address ?? manifest, viewSegment(segment, code));
    }
    if (!whole) return undefined;
    const object = { manifest, record, nodes: [...nodes], segments };
    this.#known.set(manifest, object);
    return object;
  }

  #blob(address: BlobAddress): Uint8Array | undefined {
    const holder = this.#run.providers.find(({ id }) => this.#has(id, address));
    return holder?.blobs.get(address)?.bytes;
  }
}

function* placesOf(view: SegmentView): Generator<Place> {
  for (let chunk = 0; chunk < view.shardLengths.length; chunk++)
    for (let shard = 0; shard < view.code.totalShards; shard++) yield locate(view, chunk, shard);
}
