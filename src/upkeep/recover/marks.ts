import { abortable, throwIfAborted } from '../../core/abort.ts';
import { LISTINGS } from '../../core/straggler-policies.ts';
import { Stragglers } from '../../core/stragglers.ts';
import { domainOf } from '../../placement/domains.ts';
import type { Provider } from '../../providers/provider.ts';
import { adoptMarks, marksAt } from '../../records/move-marks.ts';
import { withSlots } from '../../records/slots.ts';
import type { UpkeepContext } from '../context.ts';

/** Marks of moves, by provider; of those that said what they have. */
export type Marks = ReadonlyMap<string, readonly string[]>;

/** Who does not answer while others do is not waited for. */
export async function marksHeard(context: UpkeepContext, signal: AbortSignal | undefined): Promise<Marks> {
  const { clock, directory } = context;
  const marks = new Map<string, readonly string[]>();
  const laggards = new Stragglers(clock, LISTINGS);
  const hear = async (provider: Provider): Promise<void> => {
    const turn = laggards.begin(signal, 'recover', () => directory.late(provider.id));
    const started = clock.monotonic();
    try {
      const found = await abortable(marksAt(provider, { signal: turn.signal }), turn.signal);
      turn.progressed(clock.monotonic() - started);
      if (found !== undefined) marks.set(provider.id, found);
    } catch {
      throwIfAborted(signal, 'recover');
    } finally {
      turn.end();
    }
  };
  try {
    await Promise.all(withSlots(directory.all()).map(hear));
  } finally {
    laggards.close();
  }
  return marks;
}

/** What was heard of the objects, and of whom not. */
interface Heard {
  readonly uncertain: ReadonlyMap<string, string>;
  readonly found: readonly { readonly opened: boolean; readonly tolerates?: number | undefined }[];
}

/**
 * Where every object could be read, and each slot of relocations has a copy among those that were heard, the state knows of all
 * moves that were told before: what is nobody's at a provider can be told again, but for those that were not heard.
 */
export async function adoptHeard(context: UpkeepContext, marks: Marks, heard: Heard): Promise<void> {
  const { directory, policy } = context;
  const { uncertain, found } = heard;
  if (found.some(({ opened, tolerates }) => opened && tolerates === undefined)) return;
  if (found.some(({ opened }) => !opened)) return;
  const unheard = [...uncertain.keys()].flatMap((id) => directory.get(id) ?? []);
  const domains = new Set(withSlots(unheard).map((one) => domainOf(one, policy.failureDomain)));
  const least =
    found.length === 0 ? 0 : found.reduce((least, { tolerates = 0 }) => Math.min(least, tolerates), Infinity);
  if (domains.size > least) return;
  for (const [id, its] of marks) if (!uncertain.has(id)) await adoptMarks(context, id, its);
}
