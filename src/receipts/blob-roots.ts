import { type BlobAddress, digestOf, isBlobAddress } from '../core/address.ts';
import { utf8Encode } from '../core/bytes.ts';
import { type Clock, withDeadline } from '../core/clock.ts';
import { asHoldfastError } from '../core/errors.ts';
import type { BatchOp, Engine } from '../engine/engine.ts';
import type { Anchor, AnchorItem, AnchorState } from './anchors/anchor.ts';
import { textIn } from './anchors/note.ts';

/** `<level>/<address of the manifest>` → JSON: a stored object whose root is not anchored yet. */
const DUE_TABLE = 'anchor_due';

/** Large objects are few, and their roots wait for each other longer. */
const LEVELS = {
  L2: { everyMs: 4_000 },
  L3: { everyMs: 16_000 },
} as const;
type Level = keyof typeof LEVELS;
const MAX_L2_BYTES = 4 * 2 ** 30;

/** Of one call to the anchor. */
const MAX_ITEMS = 64;
/** Calls of one round: what is further behind comes in the next. */
const MAX_CALLS = 64;
const ROUND_MS = 120_000;

export interface StoredObject {
  readonly address: BlobAddress;
  /** Bytes. */
  readonly size: number;
}

/** That an object's root is to be anchored: written in the step that makes the object one of the vault. */
export const rootDue = ({ address, size }: StoredObject): BatchOp => ({
  table: DUE_TABLE,
  key: `${size <= MAX_L2_BYTES ? 'L2' : 'L3'}/${address}`,
  value: utf8Encode(JSON.stringify({ v: 1, size })),
});

export interface BlobSchedulerOptions {
  readonly engine: Engine;
  readonly anchor: Anchor;
  readonly clock: Clock;
  log(level: 'warn' | 'debug', event: string, fields: Readonly<Record<string, unknown>>): void;
}

/**
 * Takes the roots of stored objects to the anchor: L2, objects up to 4 GiB, every 4 seconds, L3 every 16. A root stays in
 * the engine until it is included as deep as counts, and the anchor takes it once however often it is told: so none is lost
 * and none is there twice, whoever ends when.
 */
export class BlobScheduler {
  readonly #options: BlobSchedulerOptions;
  /** What the last round failed with, so that it is told once. */
  readonly #failed = new Map<Level, string>();

  constructor(options: BlobSchedulerOptions) {
    this.#options = options;
  }

  /** Goes on until the signal fires, and fails never. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#loop('L2', signal), this.#loop('L3', signal)]);
  }

  /** One round of both, for who ends. Fails never: what is left is in the engine. */
  async drain(ms: number): Promise<void> {
    await Promise.all([this.#round('L2', ms), this.#round('L3', ms)]);
  }

  async #loop(level: Level, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const next = (): Promise<boolean> =>
      clock.sleep(LEVELS[level].everyMs, signal, { idle: true }).then(
        () => true,
        () => false,
      );
    while (await next()) await this.#round(level, ROUND_MS, signal);
  }

  async #round(level: Level, ms: number, outer?: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    try {
      await withDeadline(clock, ms, 'anchor', (signal) => this.#anchorDue(level, signal), outer);
      if (this.#failed.delete(level)) log('debug', 'anchor_recovered', { level });
    } catch (error) {
      if (outer?.aborted) return;
      const { code, message } = asHoldfastError(error);
      if (this.#failed.get(level) === code) return;
      this.#failed.set(level, code);
      log('warn', 'anchor_failed', { level, code, message });
    }
  }

  async #anchorDue(level: Level, signal: AbortSignal): Promise<void> {
    let from = `${level}/`;
    for (let call = 0; call < MAX_CALLS; call++) {
      const { due, last } = await this.#due(level, from, signal);
      if (due.length > 0) await this.#anchor(due, signal);
      if (last === undefined) return;
      from = `${last}!`;
    }
  }

  /** @returns with `last` the key after which there may be more. */
  async #due(
    level: Level,
    from: string,
    signal: AbortSignal,
  ): Promise<{ due: Due[]; last: string | undefined }> {
    const { engine, log } = this.#options;
    const due: Due[] = [];
    const keys: string[] = [];
    const onDamaged = (key: string): void => {
      keys.push(key);
      log('warn', 'anchor_due_damaged', { key });
    };
    const range = { prefix: `${level}/`, gte: from, limit: MAX_ITEMS, signal, onDamaged };
    for await (const [key, value] of engine.table(DUE_TABLE).entries(range)) {
      const item = readDue(key, value);
      if (item === undefined) onDamaged(key);
      else {
        keys.push(key);
        due.push({ key, value, item });
      }
    }
    return { due, last: keys.length < MAX_ITEMS ? undefined : keys.sort().at(-1) };
  }

  async #anchor(due: readonly Due[], signal: AbortSignal): Promise<void> {
    const { anchor } = this.#options;
    const items = due.map(({ item }) => item);
    let states = await anchor.look(items, signal);
    const absent = items.filter((_, i) => states[i]!.state === 'absent');
    if (absent.length > 0) {
      await anchor.submit(absent, signal);
      states = await anchor.look(items, signal);
    }
    const done = due.filter((_, i) => counts(states[i]!, anchor.confirmations));
    await this.#forget(done, signal);
  }

  /** Whatever of it is written again meanwhile stays. */
  async #forget(done: readonly Due[], signal: AbortSignal): Promise<void> {
    if (done.length === 0) return;
    const table = DUE_TABLE;
    await this.#options.engine.batch(
      done.map(({ key }) => ({ table, key, value: undefined })),
      done.map(({ key, value }) => ({ table, key, expected: value })),
      { signal },
    );
  }
}

interface Due {
  readonly key: string;
  readonly value: Uint8Array;
  readonly item: AnchorItem;
}

const counts = (state: AnchorState, depth: number): boolean =>
  state.state === 'included' && state.depth >= depth;

function readDue(key: string, value: Uint8Array): AnchorItem | undefined {
  const address = key.slice(3);
  const size = /^\{"v":1,"size":(\d{1,16})\}$/.exec(textIn(value) ?? '')?.[1];
  if (!isBlobAddress(address) || size === undefined || !Number.isSafeInteger(Number(size))) return undefined;
  return { kind: 'blob', key: address, digest: digestOf(address), total: Number(size) };
}
