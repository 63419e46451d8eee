import type { AbortOptions } from '../core/abort.ts';
import { utf8Encode } from '../core/bytes.ts';
import type { Engine, WriteOptions } from '../engine/engine.ts';

/** The latest failed transfer of a provider, told to the operator; nothing is decided by it. */
export interface LastFailure {
  /** In milliseconds since the Unix epoch. */
  readonly at: number;
  readonly operation: 'store' | 'read';
  /** Stable, of the error. */
  readonly code: string;
}

/** Key is the provider's id, the value JSON. */
const TABLE = 'provider_last_failure';
const STORED = /^\{"v":1,"at":(\d{1,15}),"operation":"(store|read)","code":"([A-Za-z0-9_]{1,64})"\}$/;

export interface LastFailures {
  /** Undefined also for what cannot be read: it is only told. */
  load(providerId: string, options?: AbortOptions): Promise<LastFailure | undefined>;
  save(providerId: string, failure: LastFailure, options?: WriteOptions): Promise<void>;
}

export function createLastFailures(engine: Engine): LastFailures {
  const table = engine.table(TABLE);
  return {
    async load(providerId, options = {}) {
      const stored = await table.get(providerId, options);
      const [, at, operation, code] = STORED.exec(new TextDecoder().decode(stored)) ?? [];
      if (code === undefined) return undefined;
      return { at: Number(at), operation: operation as LastFailure['operation'], code };
    },
    async save(providerId, { at, operation, code }, options = {}) {
      const text = JSON.stringify({ v: 1, at: Math.max(0, Math.trunc(at)), operation, code });
      if (STORED.test(text)) await table.put(providerId, utf8Encode(text), options);
    },
  };
}
