import type { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { entryOf } from '../core/maps.ts';
import { METRICS, type MetricDefinition, type MetricName } from './names.ts';

type Labels = Readonly<Record<string, string>>;
type RecordOne = (labels: Record<string, string>, value: number) => void;

/** Records one value of a metric: adds it to a counter, sets a gauge, observes it in a histogram. */
export type Recorder = (name: MetricName, value: number, labels?: Labels) => void;

/**
 * Declares every metric in the registry, so that all names show from the start. A series appears with its first value:
 * a zero would be a statement by a program that has nothing to say, for example of repairs where nothing repairs.
 */
export function createRecorder(client: typeof import('prom-client'), registry: Registry): Recorder {
  const records = new Map<MetricName, RecordOne>();
  for (const name of Object.keys(METRICS) as MetricName[]) {
    records.set(name, declare(client, registry, name, METRICS[name]));
  }
  const labelBound = new LabelBound();
  return (name, value, labels = {}) => {
    const usable = Number.isFinite(value) && (value >= 0 || METRICS[name].type === 'gauge');
    if (usable) records.get(name)?.(labelBound.bound(name, labels), value);
  };
}

function declare(
  client: typeof import('prom-client'),
  registry: Registry,
  name: string,
  { type, help, labels, buckets }: MetricDefinition,
): RecordOne {
  const shared = { name, help, labelNames: [...labels], registers: [registry] };
  if (type === 'counter') {
    const counter: Counter = new client.Counter(shared);
    if (labels.length === 0) counter.remove();
    return (values, value) => counter.inc(values, value);
  }
  if (type === 'gauge') {
    const gauge: Gauge = new client.Gauge(shared);
    if (labels.length === 0) gauge.remove();
    return (values, value) => gauge.set(values, value);
  }
  const histogram: Histogram = new client.Histogram({ ...shared, buckets: [...(buckets ?? [])] });
  return (values, value) => histogram.observe(values, value);
}

/** Distinct values per label of a metric. Each is a time series, so outsiders must not be able to make more. */
const MAX_LABEL_VALUES = 128;
const MAX_LABEL_LENGTH = 64;
const OTHER = 'other';

/** Lets the first values of each label through and calls all others "other". */
class LabelBound {
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
