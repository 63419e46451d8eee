import type { Config } from '../../config/types.ts';
import { systemClock } from '../../core/clock.ts';
import { asHoldfastError } from '../../core/errors.ts';
import { type Trial, tryProvider } from '../add/try.ts';
import { bytes } from '../format.ts';
import type { Io } from '../io.ts';
import type { KnownOfProviders } from './engines.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

const TRIAL_MS = 15_000;
const AT_ONCE = 16;

/** One provider's answer, with what this machine's clock said around it. */
interface Answer {
  readonly id: string;
  readonly trial: Trial | undefined;
  readonly finding: Finding;
  /** How far the provider's clock is ahead of this machine's, if it states the time. */
  readonly aheadMs: number | undefined;
}

/** Asks every provider, a few at once. @param writes whether a blob and a pointer are written and deleted again. */
export async function answersOf(
  config: Config,
  known: KnownOfProviders,
  io: Io,
  writes: boolean,
): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (let at = 0; at < config.providers.length; at += AT_ONCE) {
    const some = config.providers.slice(at, at + AT_ONCE);
    answers.push(...(await Promise.all(some.map(({ id }) => answerOf(config, id, known, io, writes)))));
  }
  return answers;
}

async function answerOf(
  config: Config,
  id: string,
  known: KnownOfProviders,
  io: Io,
  writes: boolean,
): Promise<Answer> {
  const limits = { ...config.limits, maxAttempts: 1 };
  try {
    const trial = await tryProvider({ ...config, limits }, id, io, { deadlineMs: TRIAL_MS, writes });
    const aheadMs = trial.clockUnixMs === undefined ? undefined : trial.clockUnixMs - systemClock.now();
    return { id, trial, finding: judge(config, id, trial, known, writes), aheadMs };
  } catch (thrown) {
    if (io.signal.aborted) throw thrown;
    const { message, code, hint } = asHoldfastError(thrown);
    const todo = hint ?? 'Correct its table in the configuration, or see to the server.';
    const gone = known.lost.has(id)
      ? ' It was declared lost: `holdfast repair-run` rebuilds what it held.'
      : '';
    return {
      id,
      trial: undefined,
      finding: fail('providers', `${id}: ${message} (${code})`, `${todo}${gone}`),
      aheadMs: undefined,
    };
  }
}

/** From here on a quota is nearly used up. */
const NEARLY = 0.9;

function judge(
  config: Config,
  id: string,
  { probeMs, slots, freeBytes }: Trial,
  known: KnownOfProviders,
  writes: boolean,
): Finding {
  const { credits } = config.providers.find((provider) => provider.id === id)!;
  const used = known.usedBytes.get(id);
  const quota = credits === undefined || credits === 0 ? undefined : credits * 2 ** 20;
  const room = [
    ...(quota === undefined || used === undefined ? [] : [`${bytes(used)} of ${bytes(quota)} used`]),
    ...(freeBytes === undefined ? [] : [`${bytes(freeBytes)} free`]),
  ];
  const did = writes
    ? `a blob${slots ? ' and a pointer' : ''} written, read and deleted`
    : 'answers; nothing was written';
  const what = [`${id}: ${probeMs.toFixed(0)} ms, ${did}`, ...room].join('; ');
  if (known.lost.has(id))
    return warn(
      'providers',
      `${what}; it was declared lost`,
      `Run \`holdfast providers lost ${id} off\` if it is back.`,
    );
  if (quota !== undefined && used !== undefined && used >= NEARLY * quota)
    return warn('providers', what, 'Raise its credits, or add a provider: a full one gets no new shards.');
  return ok('providers', what);
}

/** The time is stated to the second, and a round trip takes some; clocks that are kept differ by less. */
const KEPT_MS = 10_000;
/** Servers that check signatures refuse what is off by more. */
const REFUSED_MS = 5 * 60_000;

/** This machine's clock by those of the providers. One that is off alone is its own fault, and no majority. */
export function clockOf(answers: readonly Answer[]): readonly Finding[] {
  const told = answers.flatMap(({ id, aheadMs }) => (aheadMs === undefined ? [] : [{ id, aheadMs }]));
  if (told.length === 0) {
    const what = `${new Date(systemClock.now()).toISOString()}; no provider states the time, so it was not compared`;
    return systemClock.now() < EARLIEST
      ? [fail('clock', what, 'Set the clock of this machine (see `date`).')]
      : [ok('clock', what)];
  }
  const sorted = told.map(({ aheadMs }) => aheadMs).sort((a, b) => a - b);
  const median = sorted[(sorted.length - 1) >> 1]!;
  const off = Math.abs(median);
  const what = `${behindText(median)} by ${told.length === 1 ? told[0]!.id : `the median of ${told.length} providers`}`;
  const todo =
    'Set the clock of this machine, and let NTP keep it: leases, records and signatures tell the time.';
  const own =
    off > REFUSED_MS
      ? fail('clock', what, todo)
      : off > KEPT_MS
        ? warn('clock', what, todo)
        : ok('clock', what);
  const odd = told.filter(({ aheadMs }) => Math.abs(aheadMs - median) > KEPT_MS);
  return [
    own,
    ...odd.map(({ id, aheadMs }) =>
      warn(
        'clock',
        `${id} states another time than the others: ${behindText(aheadMs)}`,
        'Tell its operator; nothing is decided by its word.',
      ),
    ),
  ];
}

/** Before this program was written no clock was right. */
const EARLIEST = Date.UTC(2025, 0, 1);

const behindText = (aheadMs: number): string =>
  Math.abs(aheadMs) < 1500
    ? 'right to the second'
    : `${(Math.abs(aheadMs) / 1000).toFixed(0)} s ${aheadMs > 0 ? 'slow' : 'fast'}`;
