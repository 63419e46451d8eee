import { abortable } from '../core/abort.ts';
import { type Deferred, deferred } from '../core/deferred.ts';
import { chunkStartOf } from '../object/readable-segments.ts';
import type { OpenedObject } from '../pipeline/get/get.ts';

/** Chunks on their way into memory: who wants one that another read decodes waits for it. */
export interface Decodings {
  /** A read begins to decode the chunk that has the byte `at`. @returns how to say that it is in memory, or will not be. */
  begin(opened: OpenedObject, at: number): () => void;
  /** Resolves when nobody is decoding the chunk that has the byte `at`. @throws Aborted. */
  over(opened: OpenedObject, at: number, signal: AbortSignal): Promise<void>;
}

export function createDecodings(): Decodings {
  const running = new Map<string, Deferred>();
  return {
    begin(opened, at) {
      const key = keyOf(opened, at);
      if (key === undefined || running.has(key)) return () => {};
      const mine = deferred();
      running.set(key, mine);
      return () => {
        if (running.get(key) === mine) running.delete(key);
        mine.resolve();
      };
    },
    async over(opened, at, signal) {
      const key = keyOf(opened, at);
      const one = key === undefined ? undefined : running.get(key);
      if (one !== undefined) await abortable(one.promise, signal);
    },
  };
}

/** Undefined where the manifest's nodes are not in memory. */
function keyOf({ manifest, root, nodes }: OpenedObject, at: number): string | undefined {
  const start = nodes && chunkStartOf(root, nodes, at);
  return start === undefined ? undefined : `${manifest} ${start}`;
}
