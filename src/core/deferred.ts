/** A promise that is settled from outside. */
export interface Deferred {
  readonly promise: Promise<void>;
  /** Only the first time counts. */
  readonly resolve: () => void;
}

export function deferred(): Deferred {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
