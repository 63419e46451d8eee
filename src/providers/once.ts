/** Runs until it has succeeded once; those who call meanwhile wait for the same try. */
export function once<A extends unknown[]>(work: (...args: A) => Promise<void>): typeof work {
  let done: Promise<void> | undefined;
  return (...args) => {
    done ??= work(...args).catch((error: unknown) => {
      done = undefined;
      throw error;
    });
    return done;
  };
}
