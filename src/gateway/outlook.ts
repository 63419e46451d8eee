import { type Clock, withDeadline } from '../core/clock.ts';
import { isDecodable, isStorable, type ReachPolicy } from '../placement/reach.ts';
import type { Provider } from '../providers/provider.ts';

/** What can be done with the providers that answer. */
export interface Outlook {
  /** At least one answers. */
  readonly answering: boolean;
  /** The providers that answer could decode an object that lies over all providers, in the code in force. */
  readonly decodable: boolean;
  /** A put would find enough providers to survive what it must. */
  readonly storable: boolean;
}

interface OutlookOptions {
  readonly policy: ReachPolicy;
  readonly clock: Clock;
  providers(): readonly Provider[];
  respondsToProbe(id: string): boolean;
  /** The providers that may take new shards. */
  eligible(): readonly Provider[];
  /** Finds out who answers. */
  probe(signal: AbortSignal): Promise<unknown>;
}

/** Many who ask share a probe. Nobody waits for one that hangs; those who ask after it see its outcome. */
const PROBE_AGE_MS = 3_000;
const PROBE_WAIT_MS = 2_000;

export function createOutlook(options: OutlookOptions): () => Promise<Outlook> {
  const { clock, policy } = options;
  let probedMs = Number.NEGATIVE_INFINITY;
  let probing: Promise<unknown> | undefined;

  const probeLately = async (): Promise<void> => {
    if (probing === undefined && clock.monotonic() - probedMs > PROBE_AGE_MS) {
      probedMs = clock.monotonic();
      probing = options
        .probe(new AbortController().signal)
        .catch(() => {}) // who did not answer is known all the same
        .finally(() => {
          probing = undefined;
        });
    }
    const running = probing;
    if (running !== undefined)
      await withDeadline(clock, PROBE_WAIT_MS, 'probe', () => running).catch(() => {});
  };

  let known: { readonly key: string; readonly outlook: Outlook } | undefined;
  const lookAt = (there: ReadonlySet<string>, eligible: readonly Provider[]): Outlook => {
    const key = `${[...there].join()} ${eligible.map(({ id }) => id).join()}`;
    if (known?.key !== key) {
      const outlook = {
        answering: there.size > 0,
        decodable: isDecodable(policy, options.providers(), there),
        storable: isStorable(policy, eligible),
      };
      known = { key, outlook };
    }
    return known.outlook;
  };

  return async () => {
    await probeLately();
    const ids = options.providers().map(({ id }) => id);
    const there = new Set(ids.filter((id) => options.respondsToProbe(id)));
    return lookAt(
      there,
      options.eligible().filter(({ id }) => there.has(id)),
    );
  };
}
