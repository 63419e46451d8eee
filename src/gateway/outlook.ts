import { type Clock, withDeadline } from '../core/clock.ts';
import type { Outlook } from '../http/gates.ts';
import { isDecodable, isStorable, type ReachPolicy } from '../placement/reach.ts';
import type { Provider } from '../providers/provider.ts';

interface OutlookOptions {
  readonly policy: ReachPolicy;
  readonly clock: Clock;
  providers(): readonly Provider[];
  respondsToProbe(id: string): boolean;
  /** The providers that may take new shards. */
  eligible(): readonly Provider[];
  /** Finds out who answers. */
  probe(signal: AbortSignal): Promise<unknown>;
  /** Reads something of the state. @throws HoldfastError when that fails. */
  readState(signal: AbortSignal): Promise<unknown>;
  /** Looks whether what repair moves can be counted. @throws HoldfastError when it cannot. */
  readPace(signal: AbortSignal): Promise<unknown>;
}

/** Many who ask share a probe. Nobody waits for one that hangs; those who ask after it see its outcome. */
const PROBE_AGE_MS = 3_000;
const PROBE_WAIT_MS = 2_000;
/** The state is on a disk or in a database near by. */
const STATE_WAIT_MS = 1_000;

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

  const answers = (look: (signal: AbortSignal) => Promise<unknown>): (() => Promise<boolean>) =>
    createShared(() =>
      withDeadline(clock, STATE_WAIT_MS, 'readiness', look).then(
        () => true,
        () => false,
      ),
    );
  const stateAnswers = answers((signal) => options.readState(signal));
  const paceAnswers = answers((signal) => options.readPace(signal));

  let known: { readonly key: string; readonly outlook: Providers } | undefined;
  const lookAt = (there: ReadonlySet<string>, eligible: readonly Provider[]): Providers => {
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
    const [stateful, paced] = await Promise.all([stateAnswers(), paceAnswers(), probeLately()]);
    const ids = options.providers().map(({ id }) => id);
    const there = new Set(ids.filter((id) => options.respondsToProbe(id)));
    const takers = options.eligible().filter(({ id }) => there.has(id));
    return { stateful, paced, ...lookAt(there, takers) };
  };
}

type Providers = Pick<Outlook, 'answering' | 'decodable' | 'storable'>;

/** Those who ask while an answer is on its way share it. */
function createShared<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= work().finally(() => {
      running = undefined;
    });
    return running;
  };
}
