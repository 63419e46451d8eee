/** A place in `src/`, and what stands there while the bug is planted. */
interface Change {
  readonly file: string;
  /** Occurs once in the file. */
  readonly find: string;
  readonly replace: string;
}

/** A mistake that somebody could make, for the simulation to find. */
export interface PlantedBug {
  readonly id: string;
  /** What is wrong then, for the table. */
  readonly what: string;
  readonly changes: readonly Change[];
}

export const bug = (
  id: string,
  what: string,
  ...changes: [file: string, find: string, replace: string][]
): PlantedBug => ({
  id,
  what,
  changes: changes.map(([file, find, replace]) => ({ file: `src/${file}`, find, replace })),
});
