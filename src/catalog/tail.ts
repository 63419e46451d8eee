import { bandwidthOf, type ChunkSample } from '../profiles/observe.ts';

/** Recent transfers remembered per provider and direction. */
const WINDOW = 128;
/** Fewer say nothing about a tail. */
const MIN_SAMPLES = 8;
const TAIL = 0.95;

/** The throughputs of the last transfers, in bytes a second. */
export class ThroughputWindow {
  readonly #samples: number[] = [];
  #next = 0;

  add(sample: ChunkSample): void {
    const throughput = bandwidthOf(sample);
    if (throughput === undefined) return;
    this.#samples[this.#next] = throughput;
    this.#next = (this.#next + 1) % WINDOW;
  }

  /** The throughput that 95 % of the last transfers reached; undefined while there are too few of them. */
  tail(): number | undefined {
    return tailThroughput(this.#samples);
  }
}

/** Nearest-rank percentile: the largest sample that at least 95 % of the samples reach. */
function tailThroughput(samples: readonly number[]): number | undefined {
  if (samples.length < MIN_SAMPLES) return undefined;
  const falling = samples.toSorted((a, b) => b - a);
  return falling[Math.ceil(TAIL * falling.length) - 1];
}
