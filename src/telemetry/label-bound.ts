import { entryOf } from '../core/maps.ts';

/** Distinct values per label of a metric; a time series each, so they must not follow what outsiders send. */
const MAX_LABEL_VALUES = 128;
const MAX_LABEL_LENGTH = 64;
const OTHER = 'other';

/** Lets the first values of each label through and calls all others "other". */
export class LabelBound {
  readonly #seen = new Map<string, Set<string>>();

  bound(metric: string, labels: Readonly<Record<string, string>>): Record<string, string> {
    const out: Record<string, string> = {};
    for (const [label, value] of Object.entries(labels))
      out[label] = this.#value(`${metric} ${label}`, value);
    return out;
  }

  #value(of: string, value: string): string {
    if (value.length > MAX_LABEL_LENGTH) return OTHER;
    const seen = entryOf(this.#seen, of, () => new Set<string>());
    if (seen.has(value)) return value;
    if (seen.size >= MAX_LABEL_VALUES) return OTHER;
    seen.add(value);
    return value;
  }
}
