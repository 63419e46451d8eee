/** Unfinished uploads that crashed writers left behind. */

/** Names of temporary files: 16 random bytes in hex. */
const TEMP_NAME = /^[0-9a-f]{32}$/;
/** Older than any upload that may still be running. */
export const STALE_MS: number = 24 * 60 * 60 * 1000;

export const isTempName = (name: string): boolean => TEMP_NAME.test(name);

/** Runs the first time it is called; what goes wrong is left for the next adapter to sweep. */
export function sweepOnce(sweep: (signal: AbortSignal | undefined) => Promise<void>): typeof sweep {
  let swept: Promise<void> | undefined;
  return (signal) => {
    swept ??= sweep(signal).catch(() => {});
    return swept;
  };
}

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
