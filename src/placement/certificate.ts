import type { LinearCode } from '../coding/erasure/linear-code.ts';
import { HoldfastError } from '../core/errors.ts';
import { entryOf } from '../core/maps.ts';
import { type DomainLevel, domainOf, NOT_PLACED, type PlacementProvider } from './domains.ts';
import { type FatalSet, smallestFatalSet } from './losses.ts';

/**
 * What an object survives: plain data, as it stands in the manifest's public part. True of the places it was computed
 * from, and of nothing else.
 */
export interface Certificate {
  /** The code's name, e.g. `lrc(16+5+3+3w)`. */
  readonly code: string;
  /** Providers that hold at least one shard. */
  readonly providers: number;
  /** The level at which losses are counted, and how many domains of it hold a shard. */
  readonly domains: { readonly level: DomainLevel; readonly count: number };
  /** Any this many domains may vanish together and every byte can still be had. −1: bytes are lost already. */
  readonly tolerates: number;
  /**
   * Labels of a smallest set of domains whose loss is fatal, in the order of the providers: `tolerates + 1` of them.
   * Empty when nothing need vanish (−1), when there is nothing to lose, and when a code of over 32 shards was too
   * large to be searched through; then `tolerates` is what was proven.
   */
  readonly worst_case: readonly string[];
}

export interface CertifyOptions {
  readonly code: LinearCode;
  /** The list that placements count in. */
  readonly providers: readonly Pick<PlacementProvider, 'id' | 'domain'>[];
  readonly failureDomain: DomainLevel;
}

/** A map from shard to place in the list of providers, {@link NOT_PLACED} for a shard that is nowhere. */
export type ShardPlaces = Uint8Array | readonly number[];

/**
 * Computes the certificate of an object whose chunks are shown one by one, so that objects of any length fit. Equal
 * maps cost a look-up, and maps that part the shards alike are searched once, whoever holds the parts.
 */
export class Certifier {
  readonly #code: LinearCode;
  readonly #level: DomainLevel;
  /** Per provider, the number of its domain; domains are numbered in the order of their first provider. */
  readonly #domainOf: readonly number[];
  readonly #labels: readonly string[];
  readonly #seen = new Set<string>();
  readonly #providersUsed = new Set<number>();
  readonly #domainsUsed = new Set<number>();
  #tolerates = Number.POSITIVE_INFINITY;
  #worst: readonly number[] = [];

  constructor({ code, providers, failureDomain }: CertifyOptions) {
    const labels = providers.map((provider) => domainOf(provider, failureDomain));
    this.#code = code;
    this.#level = failureDomain;
    this.#labels = [...new Set(labels)];
    const numbers = new Map(this.#labels.map((label, number) => [label, number]));
    this.#domainOf = labels.map((label) => numbers.get(label)!);
  }

  /** @throws HoldfastError `Corrupt` (code `bad_placement`) for a map of another length or a provider not listed. */
  add(places: ShardPlaces): void {
    const key = places instanceof Uint8Array ? String.fromCharCode(...places) : `,${places.join()}`;
    if (this.#seen.has(key)) return;
    if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
    this.#seen.add(key);
    const { gone, domains, blocks } = this.#part(places);
    for (const place of places) if (place !== NOT_PLACED) this.#providersUsed.add(place);
    for (const domain of domains) this.#domainsUsed.add(domain);
    const { tolerates, worst } = searched(this.#code, blocks, gone);
    if (tolerates >= this.#tolerates) return;
    this.#tolerates = tolerates;
    this.#worst = (worst ?? []).map((block) => domains[block]!).sort((a, b) => a - b);
  }

  certificate(): Certificate {
    const nothing = this.#tolerates === Number.POSITIVE_INFINITY;
    return {
      code: this.#code.name,
      providers: this.#providersUsed.size,
      domains: { level: this.#level, count: this.#domainsUsed.size },
      tolerates: nothing ? this.#labels.length : this.#tolerates,
      worst_case: this.#worst.map((domain) => this.#labels[domain]!),
    };
  }

  /** Blocks in the order of their first shard, the domain of each, and the shards that are nowhere. */
  #part(places: ShardPlaces): { gone: number[]; domains: number[]; blocks: number[][] } {
    if (places.length !== this.#code.totalShards) {
      throw badPlacement(`names ${places.length} shards where the code has ${this.#code.totalShards}`);
    }
    const gone: number[] = [];
    const byDomain = new Map<number, number[]>();
    places.forEach((place, shard) => {
      if (place === NOT_PLACED) {
        gone.push(shard);
        return;
      }
      const domain = this.#domainOf[place];
      if (domain === undefined)
        throw badPlacement(`puts shard ${shard} at provider ${place}, which is not listed`);
      entryOf(byDomain, domain, () => []).push(shard);
    });
    return { gone, domains: [...byDomain.keys()], blocks: [...byDomain.values()] };
  }
}

/** The certificate of an object from the places of its chunks; duplicates cost next to nothing. */
export function certify(
  options: CertifyOptions & { readonly placements: Iterable<ShardPlaces> },
): Certificate {
  const certifier = new Certifier(options);
  for (const places of options.placements) certifier.add(places);
  return certifier.certificate();
}

const MAX_SEEN = 4096;
const MAX_KNOWN = 256;
const known = new WeakMap<LinearCode, Map<string, FatalSet>>();

/** {@link smallestFatalSet}, remembered per code for the last partitions. */
function searched(
  code: LinearCode,
  blocks: readonly (readonly number[])[],
  gone: readonly number[],
): FatalSet {
  const cache = known.get(code) ?? new Map<string, FatalSet>();
  known.set(code, cache);
  const key = `${gone.join()}|${blocks.map((block) => block.join()).join('|')}`;
  const found = cache.get(key) ?? smallestFatalSet(code, blocks, gone);
  if (!cache.has(key) && cache.size >= MAX_KNOWN) cache.clear();
  cache.set(key, found);
  return found;
}

function badPlacement(problem: string): HoldfastError {
  return new HoldfastError('Corrupt', `a placement ${problem}`, { code: 'bad_placement' });
}

/** One plain sentence for `put`, `stat` and `verify`. */
export function describeCertificate(certificate: Certificate): string {
  const { tolerates, domains, worst_case: worst, code } = certificate;
  const fatal = worst.length === 0 ? '' : `; losing ${worst.join(' + ')} would be fatal`;
  if (tolerates < 0) return `cannot be read: the ${code} shards that are left do not suffice`;
  if (tolerates === 0) return `cannot survive the loss of even one ${domains.level}${fatal}`;
  return `survives the loss of any ${tolerates} of ${domains.count} ${plural(domains.level, domains.count)}${fatal}`;
}

/** Why a certificate is less than what is asked for, or undefined when it is not. */
export function shortfall(certificate: Certificate, minTolerates: number): string | undefined {
  if (certificate.tolerates >= minTolerates) return undefined;
  const { level } = certificate.domains;
  const asked = `${minTolerates} ${plural(level, minTolerates)}`;
  return `the object must survive the loss of any ${asked}, but it ${describeCertificate(certificate)}`;
}

const plural = (level: DomainLevel, count: number): string => (count === 1 ? level : `${level}s`);
