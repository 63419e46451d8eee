import { type AbortOptions, allOrFirstError, linkedAbort, throwIfAborted } from '../../core/abort.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { Provider } from '../../providers/provider.ts';
import type { UpkeepContext } from '../context.ts';
import { indexShards } from '../shard-index/index-shards.ts';
import { type Answer, challenge } from './challenge.ts';
import { type Drawn, drawShards } from './sample.ts';

export interface AuditOptions extends AbortOptions {
  /** Only this provider. Default: all. */
  readonly provider?: string | undefined;
  /** The share of its shards, 0 to 1, that a provider must have dropped or altered to be caught … Default 0.01. */
  readonly share?: number | undefined;
  /** … with this probability at least, 0 to 1. Default 0.999. */
  readonly confidence?: number | undefined;
  readonly onProgress?: ((done: { readonly challenges: number; readonly of: number }) => void) | undefined;
}

/** How a provider stood. */
export interface ProviderAudit {
  readonly provider: string;
  /**
   * `passed`: it answered all challenges rightly. `failed`: one was answered wrongly, or not at all. `silent`: it answered none, and
   * was not asked for more. `nothing`: no shard should be there.
   */
  readonly state: 'passed' | 'failed' | 'silent' | 'nothing';
  /** Challenges that were made; fewer than planned where it has fewer shards, or where it did not answer. */
  readonly challenges: number;
  readonly right: number;
  readonly missing: number;
  readonly corrupt: number;
  /** Without an answer, though asked for again and again. */
  readonly unanswered: number;
  readonly bytes: number;
}

export interface AuditResult {
  readonly share: number;
  readonly confidence: number;
  /** Challenges of each provider by the plan: one that dropped the share is caught by one of them with the confidence. */
  readonly challenges: number;
  /** False: the index of shards is not complete, so of some objects nothing was asked. */
  readonly whole: boolean;
  readonly providers: readonly ProviderAudit[];
}

const MAX_CHALLENGES = 100_000;
const MAX_DRAWN: number = 4 * MAX_CHALLENGES;
/** Of one provider at once, and providers at once. */
const AT_ONCE = 4;
const PROVIDERS_AT_ONCE = 16;
/** A provider that leaves so many unanswered, one after the other, is asked for no more. */
const MAX_UNANSWERED = 3;
/** Runs of the index, of a vault that has none yet. */
const MAX_INDEX_RUNS = 240;

/** The fewest challenges n for which 1 − (1 − share)^n reaches the confidence. @throws HoldfastError `ConfigInvalid`. */
function challengesFor(share: number, confidence: number): number {
  const isShare = (value: number): boolean => value > 0 && value < 1;
  const count = Math.ceil(Math.log1p(-confidence) / Math.log1p(-share));
  if (isShare(share) && isShare(confidence) && count <= MAX_CHALLENGES) return Math.max(1, count);
  throw new HoldfastError('ConfigInvalid', 'an audit takes a share and a confidence between 0 and 1', {
    code: 'bad_option',
    hint: `With both it may take up to ${MAX_CHALLENGES} challenges.`,
  });
}

/**
 * Asks providers for shards chosen at random among all that the records say they hold. Needs no key. A provider that does not answer
 * is a result, not an error.
 * @param options `timeoutMs`: for one request.
 * @throws HoldfastError `ConfigInvalid` (`bad_option`), `NotFound` (`unknown_provider`), `Aborted`; what the engine throws.
 */
export async function auditProviders(
  context: UpkeepContext,
  options: AuditOptions & { readonly timeoutMs: number },
): Promise<AuditResult> {
  const { share = 0.01, confidence = 0.999 } = options;
  const challenges = challengesFor(share, confidence);
  const providers = chosen(context, options.provider);
  const stop = linkedAbort(options.signal, 'the audit');
  const { signal } = stop;
  try {
    const whole = await isIndexed(context, { signal });
    const audits = providers.map((provider) => new ProviderChallenges(context, provider, challenges));
    const onDone = (): void => {
      const done = audits.reduce((sum, { result }) => sum + result.challenges, 0);
      options.onProgress?.({ challenges: done, of: challenges * audits.length });
    };
    let open = audits;
    // Of those drawn some are no shards, see `Drawn`: where they are many, more are drawn.
    for (let count = 2 * challenges + 16; open.length > 0 && count <= MAX_DRAWN; count *= 2) {
      const ids = open.map(({ id }) => id);
      const drawn = await drawShards(context, ids, count, { signal });
      await inTurn(open, PROVIDERS_AT_ONCE, (audit) =>
        audit.run(drawn.get(audit.id)!, { ...options, signal }, onDone),
      );
      open = open.filter((audit) => audit.wantsMore && drawn.get(audit.id)!.length === count);
    }
    return { share, confidence, challenges, whole, providers: audits.map(({ result }) => result) };
  } finally {
    stop.dispose();
  }
}

function chosen({ directory }: UpkeepContext, id: string | undefined): readonly Provider[] {
  if (id === undefined) return directory.all();
  const provider = directory.get(id);
  if (provider !== undefined) return [provider];
  throw new HoldfastError('NotFound', `there is no provider "${id}" in the configuration`, {
    code: 'unknown_provider',
    hint: `It has ${directory
      .all()
      .map((one) => one.id)
      .join(', ')}.`,
  });
}

/** Has the index made, where it is not. */
async function isIndexed(context: UpkeepContext, options: AbortOptions): Promise<boolean> {
  for (let run = 0; run < MAX_INDEX_RUNS; run++) {
    const { whole, failures } = await indexShards(context, { ...options, compare: 'nothing' });
    if (whole || failures.length > 0) return whole;
  }
  return false;
}

class ProviderChallenges {
  readonly #context: UpkeepContext;
  readonly #provider: Provider;
  readonly #planned: number;
  readonly #sum = { right: 0, missing: 0, corrupt: 0, unanswered: 0 };
  #bytes = 0;
  #underWay = 0;
  #silentFor = 0;

  constructor(context: UpkeepContext, provider: Provider, planned: number) {
    this.#context = context;
    this.#provider = provider;
    this.#planned = planned;
  }

  get id(): string {
    return this.#provider.id;
  }

  get wantsMore(): boolean {
    return this.result.challenges + this.#underWay < this.#planned && this.#silentFor < MAX_UNANSWERED;
  }

  get result(): ProviderAudit {
    const { right, missing, corrupt, unanswered } = this.#sum;
    const challenges = right + missing + corrupt + unanswered;
    const state =
      challenges === 0
        ? 'nothing'
        : unanswered === challenges
          ? 'silent'
          : right === challenges
            ? 'passed'
            : 'failed';
    return { provider: this.#provider.id, state, challenges, ...this.#sum, bytes: this.#bytes };
  }

  /** Until enough were made, or all that were drawn, or it is found silent. */
  async run(
    drawn: readonly Drawn[],
    options: AbortOptions & { readonly timeoutMs: number },
    onDone: () => void,
  ): Promise<void> {
    const { signal, timeoutMs } = options;
    const left = drawn.values();
    const onRead = (bytes: number): void => {
      this.#bytes += bytes;
    };
    const work = async (): Promise<void> => {
      while (this.wantsMore) {
        const { value } = left.next();
        if (value === undefined) return;
        throwIfAborted(signal, 'the audit');
        this.#underWay++;
        try {
          this.#count(await challenge(this.#context, this.#provider, value, { signal, timeoutMs, onRead }));
        } finally {
          this.#underWay--;
        }
        onDone();
      }
    };
    await allOrFirstError(Array.from({ length: AT_ONCE }, work));
  }

  #count(answer: Answer): void {
    if (answer === 'void') return;
    this.#sum[answer]++;
    this.#silentFor = answer === 'unanswered' ? this.#silentFor + 1 : 0;
  }
}

/** So many at once. */
async function inTurn<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const lane = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await allOrFirstError(Array.from({ length: Math.min(atOnce, items.length) }, lane));
}
