/** Which of a command's calls are struck, counted from 1. */
export interface Strikes {
  readonly first: number;
  readonly step: number;
  /** Goes on behind the last call for as long as there is one to strike: a run may have a few more than another. */
  readonly beyond: boolean;
}

/** Given how many calls a run makes. */
export type ChooseStrikes = (calls: number) => Strikes;

/** Every `step`-th call. */
export const every =
  (step: number, first = 1): ChooseStrikes =>
  () => ({ first, step: Math.max(1, step), beyond: true });

/** `count` calls, evenly apart and from a drawn one on: many short runs strike all calls by and by. */
export const drawn =
  (count: number, random: () => number): ChooseStrikes =>
  (calls) => {
    const step = Math.max(1, Math.floor(calls / count));
    return { first: 1 + Math.floor(random() * step), step, beyond: false };
  };
