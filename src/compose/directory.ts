import type { LeftOut, NodeCatalog, ProbeReport, SkipReason } from '../catalog/index.ts';
import { linkedAbort, NO_LONGER_NEEDED } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import { type ErrorKind, isHoldfastError } from '../core/errors.ts';
import type { ProviderDirectory, TransferOutcome } from '../pipeline/ports.ts';
import type { Punctuality } from '../pipeline/punctuality.ts';

/** Reads that failed like this: what had been acknowledged is gone, or was altered. */
const LIES: ReadonlySet<ErrorKind> = new Set(['NotFound', 'Corrupt', 'HashMismatch', 'RangeNotSatisfiable']);
/** Why a provider gets no new shards and is not worth waiting for either. */
const SILENT: ReadonlySet<SkipReason | undefined> = new Set(['quarantined', 'recently_failing']);
/** Who is asked whether it is there is silent after this, or three times what its probes usually take. */
const SILENT_AFTER_MS = 500;
/** What a byte costs more at a provider that new shards would not go to. */
const POOR = 1000;

/** The catalog as the pipeline sees it. @param lastProbe reports of the latest round, by provider. */
export function directoryOf(
  catalog: NodeCatalog,
  lastProbe: ReadonlyMap<string, ProbeReport>,
  { late, heard, isLate }: Punctuality,
  clock: Clock,
): ProviderDirectory {
  const byId = new Map(catalog.providers.map((provider) => [provider.id, provider]));
  const leftOut = (id: string, bytes: number): LeftOut | undefined =>
    catalog.eligible({ bytes }).leftOut.find(({ provider }) => provider.id === id);
  const poor = (): Set<string> =>
    new Set(catalog.eligible({ bytes: 1 }).leftOut.map(({ provider }) => provider.id));
  let poorNow = poor();
  return {
    all: () => catalog.providers,
    get: (id) => byId.get(id),
    forStore() {
      const { candidates, leftOut: skipped } = catalog.eligible({ bytes: 1 });
      poorNow = poor();
      const silent = candidates.flatMap(({ provider }) => {
        const error = lastProbe.get(provider.id)?.error;
        return error === undefined ? [] : [{ id: provider.id, why: `its probe failed just now: ${error}` }];
      });
      const gone = new Set(silent.map(({ id }) => id));
      return {
        eligible: candidates.map(({ provider }) => provider).filter(({ id }) => !gone.has(id)),
        leftOut: [...skipped.map(({ provider, why }) => ({ id: provider.id, why })), ...silent],
      };
    },
    noRoom(id, bytes) {
      const out = leftOut(id, bytes);
      return out?.reason === 'over_quota' || out?.reason === 'full' ? out.why : undefined;
    },
    readCost(id) {
      const price = byId.get(id)?.price ?? 1;
      const poor = poorNow.has(id) || lastProbe.get(id)?.error !== undefined || isLate(id);
      return poor ? price * POOR : price;
    },
    preferredChunk: (id) => catalog.preferredChunk(id),
    usualMs: (id, operation, bytes) =>
      byId.has(id) ? catalog.hedgeAfterMs(id, operation === 'fetch' ? 'read' : 'store', bytes) : undefined,
    late,
    heard,
    worthAsking: (id) =>
      lastProbe.get(id)?.error === undefined && !isLate(id) && !SILENT.has(leftOut(id, 1)?.reason),
    async answers(id, { signal } = {}) {
      if (!byId.has(id)) return false;
      const rttMs = catalog.snapshot().find((known) => known.id === id)?.rttMs ?? 0;
      const stop = linkedAbort(signal, 'probe');
      const asked = catalog.probe(id, { signal: stop.signal }).then(({ error }) => error === undefined);
      const tooLate = clock.sleep(Math.max(SILENT_AFTER_MS, 3 * rttMs), stop.signal).then(() => false);
      try {
        return await Promise.race([asked, tooLate]);
      } finally {
        stop.dispose();
        stop.abort(NO_LONGER_NEEDED);
        asked.catch(() => {});
        tooLate.catch(() => {});
      }
    },
    deleted(id, bytes) {
      if (byId.has(id)) catalog.report(id, { type: 'deleted', bytes });
    },
    report(id, { operation, bytes, elapsedMs, error }) {
      if (!byId.has(id)) return;
      if (isHoldfastError(error) && error.code === 'lost_race') late(id);
      else if (error === undefined) heard(id);
      if (error !== undefined) {
        const type = operation === 'store' ? 'store_failed' : 'read_failed';
        catalog.report(id, { type, error, grave: isGrave(operation, error) });
        poorNow = poor();
      } else catalog.report(id, { type: operation === 'store' ? 'stored' : 'read', bytes, elapsedMs });
    },
  };
}

/** A lie, or hanging for many times what others take. */
function isGrave(operation: TransferOutcome['operation'], error: unknown): boolean {
  if (!isHoldfastError(error)) return false;
  return error.code === 'lost_race' || (operation === 'fetch' && LIES.has(error.kind));
}
