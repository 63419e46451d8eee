import type { Exchange } from '../http/exchange.ts';
import { at, type Endpoint, type Route, readable } from '../http/handle.ts';
import { badRequest } from '../http/problem.ts';
import { addressFrom } from '../http/request.ts';
import { sendJson } from '../http/respond.ts';
import { type PageContext, pageRoutes } from './page.ts';
import type {
  ExplorerSource,
  ManifestSummary,
  ProviderSummary,
  RepairSummary,
  StoragePolicy,
} from './source.ts';

/** What the routes of the explorer work with. */
export interface ExplorerContext extends PageContext {
  readonly explorer: ExplorerSource;
  readonly policy: StoragePolicy;
}

export const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

interface ManifestsPage {
  readonly manifests: readonly ManifestSummary[];
  /** In force for what is put now; each manifest says itself what it was put with. */
  readonly policy: StoragePolicy;
}

/** Undefined unless it is a whole number from 1 to 1000. */
export function checkLimit(value: unknown): number | undefined {
  const whole = typeof value === 'number' && Number.isSafeInteger(value);
  return whole && value >= 1 && value <= MAX_LIMIT ? value : undefined;
}

export const manifestsPage = async (
  { explorer, policy }: Pick<ExplorerContext, 'explorer' | 'policy'>,
  limit: number,
  signal: AbortSignal,
): Promise<ManifestsPage> => ({ manifests: await explorer.manifests(limit, signal), policy });

export const providersPage = ({
  explorer,
}: Pick<ExplorerContext, 'explorer'>): { readonly providers: readonly ProviderSummary[] } => ({
  providers: explorer.providers(),
});

export const repairsPage = async (
  { explorer }: Pick<ExplorerContext, 'explorer'>,
  limit: number,
  signal: AbortSignal,
): Promise<{ readonly repairs: readonly RepairSummary[] }> => ({
  repairs: await explorer.repairs(limit, signal),
});

/** @throws HttpProblem for a `limit` that is none. */
function limitOf({ target }: Exchange): number {
  const text = target?.query.get('limit') ?? String(DEFAULT_LIMIT);
  const limit = checkLimit(/^\d{1,9}$/.test(text) ? Number(text) : undefined);
  if (limit === undefined) throw badRequest('limit is a whole number from 1 to 1000');
  return limit;
}

/** For an operator alone: all addresses are told. */
const shown = (
  answer: (context: ExplorerContext, exchange: Exchange) => Promise<object>,
): Endpoint<ExplorerContext> => ({
  scope: 'admin',
  load: 'read',
  run: async (context, exchange) => sendJson(exchange, 200, await answer(context, exchange)),
});

/** The newest manifests by their public parts, and the policy in force. */
const listManifests = shown((context, exchange) =>
  manifestsPage(context, limitOf(exchange), exchange.signal),
);
/** What is known of each provider. */
const listProviders = shown(async (context) => providersPage(context));
/** The latest repairs. */
const repairHistory = shown((context, exchange) => repairsPage(context, limitOf(exchange), exchange.signal));
/** How many losses what is stored survives, what is due, and what was lost. */
const storageStatus = shown(({ explorer }, { signal }) => explorer.status(signal));
/** How many objects survive how many losses. */
const overview = shown(({ explorer }, { signal }) => explorer.overview(signal));

/** What was checked, what was found, and what waits to be repaired. */
const checks = shown(({ explorer }, { signal }) => explorer.checks(signal));
/** The policy and the settings in force. */
const inForce = shown(async ({ explorer, policy }) => ({ policy, ...explorer.settings() }));

const CURSOR = /^\d{1,16}\/b3:[0-9a-f]{64}$/;
const MAX_PREFIX = 512;
const MAX_PROVIDERS = 255;

/** Objects, the newest first; or those whose names begin with something. */
const listObjects = shown(async ({ explorer }, exchange) => {
  const { signal, target } = exchange;
  const prefix = target?.query.get('name') ?? undefined;
  const before = target?.query.get('before') ?? undefined;
  const most = target?.query.get('most') ?? undefined;
  const limit = limitOf(exchange);
  if (prefix !== undefined) {
    if (before !== undefined || most !== undefined || prefix.length > MAX_PREFIX) {
      throw badRequest(
        `name is the beginning of one, of up to ${MAX_PREFIX} characters, and goes with limit alone`,
      );
    }
    return explorer.named(prefix, limit, signal);
  }
  if (before !== undefined && !CURSOR.test(before)) throw badRequest('before is what a page said is next');
  if (most !== undefined && !/^(-1|\d{1,3})$/.test(most)) throw badRequest('most is a whole number from -1');
  return explorer.objects({ limit, before, most: most === undefined ? undefined : Number(most) }, signal);
});

/** One object and the versions of its name. */
const showObject = shown(({ explorer }, { signal, target }) =>
  explorer.object(addressFrom(target?.query.get('manifest') ?? undefined), signal),
);

/** Where its shards are, and what is left without some of the providers. */
const shardMap = shown(({ explorer }, { signal, target }) => {
  const without = target?.query.getAll('without') ?? [];
  if (without.length > MAX_PROVIDERS) throw badRequest(`without is given ${MAX_PROVIDERS} times at most`);
  return explorer.shardMap(addressFrom(target?.query.get('manifest') ?? undefined), without, signal);
});

/** The page at `/`, and what it shows as JSON. */
export const explorerRoutes: readonly Route<ExplorerContext>[] = [
  ...pageRoutes,
  at('/storage/manifests', readable(listManifests)),
  at('/storage/providers', readable(listProviders)),
  at('/storage/repair-history', readable(repairHistory)),
  at('/storage/status', readable(storageStatus)),
  at('/storage/overview', readable(overview)),
  at('/storage/objects', readable(listObjects)),
  at('/storage/object', readable(showObject)),
  at('/storage/shard-map', readable(shardMap)),
  at('/storage/checks', readable(checks)),
  at('/storage/settings', readable(inForce)),
];
