import { withDeadline } from '../core/clock.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { RecordsContext } from '../records/context.ts';
import { listManifests } from '../records/manifests.ts';
import { checksOf } from './checks.ts';
import { namedPage, objectDetail, objectsPage, summaryOf } from './objects.ts';
import { createShardMaps } from './shard-map.ts';
import type { ExplorerSource, ManifestSummary, Overview, ProviderSummary, RepairSummary } from './source.ts';
import { awayNow, createSurveys, type Survey, type SurveyOptions } from './survey.ts';

export interface VaultSourceOptions extends SurveyOptions {
  readonly context: RecordsContext;
  /** Without a key there are no names. */
  readonly sealed: boolean;
  readonly providers: () => readonly ProviderSummary[];
  /** The latest repairs, newest first. */
  readonly repairs: (limit: number, signal: AbortSignal) => AsyncIterable<RepairSummary>;
  /** What is in force, as it is shown. */
  readonly settings: () => object;
  /** What `holdfast status` shows. */
  readonly status: (signal: AbortSignal) => Promise<object>;
}

/** So long is a list of objects kept waiting. */
const SOON_MS = 5_000;

/** Shows a vault by its records. */
export function createVaultSource(options: VaultSourceOptions): ExplorerSource {
  const { context, sealed } = options;
  const surveyed = createSurveys(options);
  /** Objects are shown all the same where it takes long to count what they survive. */
  const surveyedSoon = (signal: AbortSignal): Promise<Survey | undefined> =>
    withDeadline(context.clock, SOON_MS, 'the survey', () => surveyed({ signal }), signal).catch(
      (error: unknown) => {
        if (isHoldfastError(error, 'Timeout')) return undefined;
        throw error;
      },
    );
  const shardMaps = createShardMaps(context);
  const records = { records: context, sealed };
  return {
    sealed,
    async overview(signal) {
      return overviewOf(await surveyed({ signal }));
    },
    async objects(query, signal) {
      // Who picks objects by what they survive has to wait for that.
      const survey = query.most === undefined ? surveyedSoon(signal) : surveyed({ signal });
      return objectsPage(records, query, await survey, { signal });
    },
    async named(prefix, limit, signal) {
      return namedPage(records, prefix, limit, await surveyedSoon(signal), { signal });
    },
    async object(manifest, signal) {
      return objectDetail(records, manifest, await surveyedSoon(signal), { signal });
    },
    async shardMap(manifest, without, signal) {
      const away = await awayNow(options, signal);
      return shardMaps(manifest, { away, without, signal });
    },
    async manifests(limit, signal) {
      const found: ManifestSummary[] = [];
      for await (const { address, storedMs, root } of listManifests(context, { limit, signal })) {
        found.push({ manifest: address, storedMs, ...summaryOf(root) });
      }
      return found;
    },
    providers: options.providers,
    async repairs(limit, signal) {
      const found: RepairSummary[] = [];
      for await (const repair of options.repairs(limit, signal)) found.push(repair);
      return found;
    },
    checks: (signal) => checksOf(context, { signal }),
    settings: options.settings,
    status: options.status,
  };
}

function overviewOf({ tolerates, total, without, more, atMs }: Survey): Overview {
  const counts = new Map<number, number>();
  for (const its of tolerates.values()) counts.set(its, (counts.get(its) ?? 0) + 1);
  const bySurvival = [...counts].map(([losses, count]) => ({ tolerates: losses, count }));
  return {
    objects: {
      total,
      bySurvival: bySurvival.sort((a, b) => a.tolerates - b.tolerates),
      unknown: Math.max(0, total - tolerates.size),
      more,
    },
    without: [...without].map(([provider, why]) => ({ provider, why })),
    atMs,
  };
}
