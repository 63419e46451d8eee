import { createLinearCode } from '../../coding/erasure/code.ts';
import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import type { PlacementClass } from '../../manifest/shard-rows.ts';
import { Certifier } from '../../placement/certificate.ts';
import { domainOf, NOT_PLACED, type PlacementProvider } from '../../placement/domains.ts';
import type { RecordsContext } from '../../records/context.ts';
import { type DamageNote, damagedSegments, isNodeNote } from '../../records/damage.ts';
import { placementClasses, segmentsIn } from '../../records/shard-index.ts';

/** A segment, or a manifest node, that has lost something. */
export interface DueSegment {
  readonly manifest: BlobAddress;
  readonly segment: BlobAddress;
  /** False: it is known of a manifest node only, and whose address `segment` is. */
  readonly isSegment: boolean;
  /** Nothing is lost of it: it could survive more in other places. Default false. */
  readonly isShort?: boolean | undefined;
  /** As far as is known. */
  readonly chunks: number;
  /** What was found damaged of it. */
  readonly notes: readonly DamageNote[];
}

/** Segments whose shards are placed alike, and of which some are lost. */
interface DueClass {
  readonly id: string;
  /** Failure domains that may vanish still; −1: it is too late. */
  readonly tolerates: number;
  /** Until more than these have, in units that all classes share. */
  readonly expected: number;
}

export interface DueOptions extends AbortOptions {
  /** How often a provider may be lost, compared with others. Default: all alike. */
  readonly rateOf?: ((provider: string) => number) | undefined;
}

/**
 * What is due for repair, the most urgent first: whole classes of segments by what they still survive, then by how soon more than
 * that may be lost, so that a lost provider costs one look at each class and not one at each segment; before them what scrub, audit and reads found damaged,
 * of which nobody knows how bad it is before it is looked at. One that was repaired meanwhile may come all the same.
 */
export async function* dueSegments(
  context: RecordsContext,
  lost: ReadonlySet<string>,
  options: DueOptions,
): AsyncGenerator<DueSegment> {
  for await (const { segment, notes } of damagedSegments(context, options)) {
    const { manifest } = notes[0]!;
    yield { manifest, segment, isSegment: !notes.every(isNodeNote), chunks: 1, notes };
  }
  for (const { id } of await dueClasses(context, lost, options)) {
    throwIfAborted(options.signal, 'repair');
    for await (const { segment, manifest, chunks } of segmentsIn(context, id, options)) {
      yield { manifest, segment, isSegment: true, chunks, notes: [] };
    }
  }
}

/** Classes with shards at lost providers, the most urgent first. One rank test for each way in which a chunk is placed. */
async function dueClasses(
  context: RecordsContext,
  lost: ReadonlySet<string>,
  options: DueOptions,
): Promise<DueClass[]> {
  if (lost.size === 0) return [];
  const providers = context.directory.all();
  const due: DueClass[] = [];
  for await (const one of placementClasses(context, options)) {
    if (!one.maps.some((map) => map.some((id) => lost.has(id)))) continue;
    const tolerates = toleratesWithout(one, providers, lost);
    const expected = timeToLoss(domainRates(one, providers, lost, options.rateOf), tolerates);
    due.push({ id: one.id, tolerates, expected });
  }
  return due.sort((a, b) => a.tolerates - b.tolerates || a.expected - b.expected || (a.id < b.id ? -1 : 1));
}

/** The rates of the failure domains that a class hangs on: of each that of its worst provider. */
function domainRates(
  { level, maps }: PlacementClass,
  providers: readonly Pick<PlacementProvider, 'id' | 'domain'>[],
  lost: ReadonlySet<string>,
  rateOf: DueOptions['rateOf'] = () => 1,
): number[] {
  const used = new Set(maps.flat());
  const rates = new Map<string, number>();
  for (const provider of providers) {
    if (!used.has(provider.id) || lost.has(provider.id)) continue;
    const domain = domainOf(provider, level);
    rates.set(domain, Math.max(rates.get(domain) ?? 0, rateOf(provider.id)));
  }
  return [...rates.values()];
}

/**
 * The expected time until more of some failure domains are lost than may be, in the unit of their rates: each is lost once, by
 * itself, and what is left is lost at the mean rate of all. Pure.
 * @internal Tests compare it with times worked out by hand.
 */
export function timeToLoss(rates: readonly number[], tolerates: number): number {
  const sum = rates.reduce((all, rate) => all + rate, 0);
  if (sum <= 0) return tolerates < 0 ? 0 : Number.POSITIVE_INFINITY;
  let time = 0;
  for (let gone = 0; gone <= Math.min(tolerates, rates.length - 1); gone++)
    time += rates.length / (sum * (rates.length - gone));
  return time;
}

/** Failure domains that may vanish still of those that a class has without the providers that are lost; −1: it is too late. */
export function toleratesWithout(
  { code, level, maps }: Pick<PlacementClass, 'code' | 'level' | 'maps'>,
  providers: readonly Pick<PlacementProvider, 'id' | 'domain'>[],
  lost: ReadonlySet<string>,
): number {
  const places = new Map(providers.map(({ id }, place) => [id, place]));
  for (const id of lost) places.delete(id);
  const certifier = new Certifier({ code: createLinearCode(code), providers, failureDomain: level });
  for (const map of maps) certifier.add(map.map((id) => places.get(id) ?? NOT_PLACED));
  return certifier.certificate().tolerates;
}
