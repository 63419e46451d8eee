import { type AbortOptions, abortable } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { withDeadline } from '../core/clock.ts';
import type { RecordsContext } from '../records/context.ts';
import { countManifests } from '../records/manifests.ts';
import { placementClasses, segmentsIn } from '../records/shard-index.ts';
import { toleratesWithout } from '../upkeep/repair/due.ts';

/** What every object survives now, as far as the index of shards knows. */
export interface Survey {
  /** Failure domains that may still vanish, of the weakest segment of each object; −1: a part of it is lost. */
  readonly tolerates: ReadonlyMap<BlobAddress, number>;
  /** Objects that there are. */
  readonly total: number;
  /** Providers whose shards were not counted, and why. */
  readonly without: ReadonlyMap<string, string>;
  /** There was more than was counted. */
  readonly more: boolean;
  readonly atMs: number;
}

export interface SurveyOptions {
  readonly context: RecordsContext;
  /** Providers that are gone for good, and why. */
  lost(signal: AbortSignal | undefined): Promise<ReadonlyMap<string, string>>;
}

/** Segments and manifests that are looked at. */
const MAX_COUNTED = 200_000;
/** A survey serves everybody who asks so long, and longer where it took long: it never takes more than a 20th of the time. */
const LEAST_AGE_MS = 5_000;
const AGE_PER_COST = 20;
const DEADLINE_MS = 30_000;

/**
 * Surveys all objects by the index of shards; nothing is asked of a provider. Those who ask at once share one survey.
 * The rule is that of certificates: see {@link toleratesWithout}.
 */
export function createSurveys(options: SurveyOptions): (asked: AbortOptions) => Promise<Survey> {
  const { clock } = options.context;
  let kept: { readonly survey: Survey; readonly untilMs: number } | undefined;
  let running: Promise<Survey> | undefined;
  const renew = async (): Promise<Survey> => {
    const startMs = clock.monotonic();
    const survey = await withDeadline(clock, DEADLINE_MS, 'the survey', (signal) =>
      surveyOf(options, signal),
    );
    const endMs = clock.monotonic();
    kept = { survey, untilMs: endMs + Math.max(LEAST_AGE_MS, AGE_PER_COST * (endMs - startMs)) };
    return survey;
  };
  return async ({ signal }) => {
    if (kept !== undefined && clock.monotonic() < kept.untilMs) return kept.survey;
    running ??= renew().finally(() => {
      running = undefined;
    });
    return abortable(running, signal, 'the survey');
  };
}

/** Providers whose shards do not count now, and why: they are gone for good, or do not answer. */
export async function awayNow(
  { context: { directory }, lost }: SurveyOptions,
  signal: AbortSignal | undefined,
): Promise<Map<string, string>> {
  const away = new Map(await lost(signal));
  for (const { id } of directory.all()) {
    if (!directory.isResponsive(id) && !away.has(id)) away.set(id, 'not_answering');
  }
  return away;
}

async function surveyOf({ context, lost }: SurveyOptions, signal: AbortSignal): Promise<Survey> {
  const without = await awayNow({ context, lost }, signal);
  const providers = context.directory.all();
  const away = new Set(without.keys());
  const tolerates = new Map<BlobAddress, number>();
  let [left, more] = [MAX_COUNTED, false];
  for await (const one of placementClasses(context, { signal })) {
    const its = toleratesWithout(one, providers, away);
    for await (const { manifest } of segmentsIn(context, one.id, { signal, limit: left + 1 })) {
      if (left-- === 0) {
        more = true;
        break;
      }
      tolerates.set(manifest, Math.min(its, tolerates.get(manifest) ?? its));
    }
    if (more) break;
  }
  const counted = await countManifests(context, { signal, limit: MAX_COUNTED });
  return {
    tolerates,
    total: counted.count,
    without,
    more: more || counted.more,
    atMs: context.clock.now(),
  };
}
