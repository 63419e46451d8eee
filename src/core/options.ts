import { HoldfastError } from './errors.ts';

/** Every option of a type, so that the compiler notices when the list lacks one. */
export type OptionNames<T> = Readonly<Record<keyof Required<T> & string, true>>;

/**
 * Refuses options that do not exist, which would otherwise be ignored without a word.
 * @param call for messages, e.g. `putObject`.
 * @throws HoldfastError `ConfigInvalid` (`unknown_option`, `bad_option`).
 */
export function checkOptions<T extends object>(
  call: string,
  options: T | undefined,
  names: OptionNames<T>,
): void {
  if (options === undefined) return;
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new HoldfastError('ConfigInvalid', `the options of ${call} are an object`, { code: 'bad_option' });
  }
  const known = Object.keys(names);
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const name = unknown.slice(0, MAX_SHOWN);
  throw new HoldfastError('ConfigInvalid', `${call}: unknown option "${name}"${didYouMean(unknown, known)}`, {
    code: 'unknown_option',
    hint: `It takes ${known.join(', ')}.`,
  });
}

const MAX_SHOWN = 64;

/** For the end of a message about a word that is not known: `; did you mean "…"?`, or nothing where none is near. */
export function didYouMean(word: string, known: readonly string[]): string {
  const meant = nearest(word.slice(0, MAX_SHOWN), known);
  return meant === undefined ? '' : `; did you mean "${meant}"?`;
}

const MAX_TYPOS = 2;

/** The word that is the fewest typing errors away, if those are few. */
function nearest(word: string, words: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.min(MAX_TYPOS, Math.floor(word.length / 2)) + 1;
  for (const candidate of words) {
    if (Math.abs(candidate.length - word.length) >= least) continue;
    const typos = distance(word.toLowerCase(), candidate.toLowerCase());
    if (typos < least) [best, least] = [candidate, typos];
  }
  return best;
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i, ...new Array<number>(b.length).fill(0)]);
  for (let j = 0; j <= b.length; j++) rows[0]![j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(rows[i - 1]![j]! + 1, rows[i]![j - 1]! + 1, rows[i - 1]![j - 1]! + same);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, rows[i - 2]![j - 2]! + 1);
      rows[i]![j] = cost;
    }
  }
  return rows[a.length]![b.length]!;
}
