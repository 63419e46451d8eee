import { entryOf } from '../core/maps.ts';
import { STAGES, type Stage } from '../telemetry/index.ts';
import { table } from './format.ts';

/** What `--profile` prints: where the time of a put or get went. */
export class Profile {
  readonly #started = performance.now();
  readonly #cpu = process.cpuUsage();
  readonly #stages = new Map<Stage, { seconds: number; times: number }>();

  add(stage: Stage, seconds: number): void {
    const entry = entryOf(this.#stages, stage, () => ({ seconds: 0, times: 0 }));
    entry.seconds += seconds;
    entry.times++;
  }

  result(): ProfileResult {
    const { user, system } = process.cpuUsage(this.#cpu);
    return {
      seconds: (performance.now() - this.#started) / 1000,
      cpuSeconds: (user + system) / 1e6,
      stages: STAGES.flatMap((stage) => {
        const entry = this.#stages.get(stage);
        return entry === undefined ? [] : [{ stage, ...entry }];
      }),
    };
  }
}

export interface ProfileResult {
  readonly seconds: number;
  /** Of all threads, from the opening of the vault. */
  readonly cpuSeconds: number;
  readonly stages: readonly { readonly stage: Stage; readonly seconds: number; readonly times: number }[];
}

export function renderProfile({ seconds, cpuSeconds, stages }: ProfileResult): string {
  const ms = (value: number): string => (1000 * value).toFixed(value < 0.01 ? 2 : 0).padStart(8);
  const rows = stages.map((row) => [row.stage, ms(row.seconds), row.times, ms(row.seconds / row.times)]);
  return [
    table([['stage', '      ms', 'times', '    each'], ...rows]),
    `${seconds.toFixed(2)} s by the clock, ${cpuSeconds.toFixed(2)} s of processors; stages run side by side`,
  ].join('\n');
}
