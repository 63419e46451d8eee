/** Counts what each client holds, up to a bound. */
export interface ClientCounts {
  /** @returns what gives it back, once; undefined when the client holds as much as it may. */
  enter(client: string): (() => void) | undefined;
}

/** @param max undefined: not limited. */
export function createClientCounts(max: number | undefined): ClientCounts {
  const counts = new Map<string, number>();
  return {
    enter(client) {
      const held = counts.get(client) ?? 0;
      if (max !== undefined && held >= max) return undefined;
      counts.set(client, held + 1);
      return () => {
        const left = (counts.get(client) ?? 1) - 1;
        if (left > 0) counts.set(client, left);
        else counts.delete(client);
      };
    },
  };
}
