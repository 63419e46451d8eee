/** One of several readers of the same source. */
export interface StepReader extends AsyncIterable<Uint8Array> {
  /** This reader wants no more; the others go on without it. Idempotent. */
  readonly leave: () => void;
}

interface Asking {
  readonly resolve: (step: IteratorResult<Uint8Array>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A source for several readers, which all get the same pieces. The next piece is pulled when all who still read have
 * asked for it, so none is copied or kept; a reader that never reads must leave. The source is closed when nobody is left.
 */
export function teeStream(source: AsyncIterable<Uint8Array>, count: number): readonly StepReader[] {
  let iterator: AsyncIterator<Uint8Array> | undefined;
  const reading = new Set<StepReader>();
  let asking: Asking[] = [];
  let ended = false;

  const advance = (): void => {
    if (asking.length === 0 || asking.length < reading.size) return;
    const now = asking;
    asking = [];
    iterator ??= source[Symbol.asyncIterator]();
    iterator.next().then(
      (step) => {
        ended ||= step.done === true;
        for (const { resolve } of now) resolve(step);
      },
      (error: unknown) => {
        ended = true;
        for (const { reject } of now) reject(error);
      },
    );
  };

  for (let i = 0; i < count; i++) {
    const leave = (): void => {
      if (!reading.delete(reader)) return;
      if (reading.size > 0) advance();
      else if (!ended) iterator?.return?.().catch(() => {});
    };
    const reader: StepReader = {
      leave,
      [Symbol.asyncIterator]: () => ({
        next: () =>
          new Promise((resolve, reject) => {
            asking.push({ resolve, reject });
            advance();
          }),
        async return() {
          leave();
          return { done: true, value: undefined };
        },
      }),
    };
    reading.add(reader);
  }
  return [...reading];
}
