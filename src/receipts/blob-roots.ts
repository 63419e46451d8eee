import type { AbortOptions } from '../core/abort.ts';
import { type BlobAddress, digestOf, isBlobAddress } from '../core/address.ts';
import { utf8Decode, utf8Encode } from '../core/bytes.ts';
import { type Clock, withDeadline } from '../core/clock.ts';
import { asHoldfastError } from '../core/errors.ts';
import type { BatchOp, Engine } from '../engine/engine.ts';
import type { Anchor, AnchorItem, AnchorState } from './anchors/anchor.ts';
import { textIn } from './anchors/note.ts';

/**
 * `<level>/<address of the manifest>` → JSON: a stored object whose root is not anchored yet; `older` → JSON: how far those are
 * that were stored before there was this anchor.
 */
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
/** With more that wait for the anchor no older ones are added. */
const MAX_BEHIND = 512;
const OLDER_KEY = 'older';

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

/** Objects that were stored before there was an anchor, or this one. */
export interface OlderRoots {
  /** Names the anchor: in another one all of them are looked for anew. */
  readonly anchor: string;
  /**
   * Some of the vault's objects, in an order that stays. Those whose root cannot be read are left out.
   * @param after where to go on; empty: the first. @returns with `last` where to go on; undefined: there are no more.
   */
  page(
    after: string,
    limit: number,
    signal: AbortSignal,
  ): Promise<{ readonly objects: readonly StoredObject[]; readonly last: string | undefined }>;
}

export interface BlobSchedulerOptions {
  /** Undefined: only what is put from now on is anchored. */
  readonly older?: OlderRoots | undefined;
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
  #isOlderDone = false;

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
    let left = 0;
    let from = `${level}/`;
    for (let call = 0; call < MAX_CALLS; call++) {
      const { due, last } = await this.#due(level, from, signal);
      if (due.length > 0) left += await this.#anchor(due, signal);
      if (last === undefined) break;
      from = `${last}!`;
    }
    if (level === 'L2' && left < MAX_BEHIND) await this.#addOlder(signal);
  }

  /** Some of the older ones become due, so many a round: what is put goes first, and a chain takes only so much. */
  async #addOlder(signal: AbortSignal): Promise<void> {
    const { engine, anchor, older } = this.#options;
    if (older === undefined || this.#isOlderDone) return;
    const stored = await engine.table(DUE_TABLE).get(OLDER_KEY, { signal });
    const before = readOlder(stored, older.anchor);
    if (!before.isDone) {
      const { objects, last } = await older.page(before.after, MAX_ITEMS, signal);
      const states = await anchor.look(objects.map(itemOf), signal);
      const due = objects.filter((_, i) => !counts(states[i]!, anchor.confirmations)).map(rootDue);
      const value = encodeOlder(older.anchor, { after: last ?? before.after, isDone: last === undefined });
      await engine.batch(
        [...due, { table: DUE_TABLE, key: OLDER_KEY, value }],
        // Of two at once one goes on.
        [{ table: DUE_TABLE, key: OLDER_KEY, expected: stored }],
        { signal },
      );
      if (last !== undefined) return;
    }
    this.#isOlderDone = true;
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

  /** @returns how many of them are not included as deep as counts. */
  async #anchor(due: readonly Due[], signal: AbortSignal): Promise<number> {
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
    return due.length - done.length;
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
  return itemOf({ address, size: Number(size) });
}

const itemOf = ({ address, size }: StoredObject): AnchorItem => ({
  ...{ kind: 'blob', key: address, digest: digestOf(address), total: size },
});

interface OlderState {
  readonly after: string;
  readonly isDone: boolean;
}

const encodeOlder = (anchor: string, { after, isDone }: OlderState): Uint8Array =>
  utf8Encode(JSON.stringify({ v: 1, anchor, after, done: isDone }));

/** From the beginning where it says nothing of this anchor. */
function readOlder(bytes: Uint8Array | undefined, of: string): OlderState {
  try {
    const { anchor, after, done } = JSON.parse(utf8Decode(bytes!)) as Record<string, unknown>;
    if (anchor === of && typeof after === 'string') return { after, isDone: done === true };
  } catch {
    // Looked through again.
  }
  return { after: '', isDone: false };
}

/** What waits to be anchored. */
export interface BlobRootsStatus {
  /** Up to 10,000. */
  readonly due: number;
  /** Whether objects from before the anchor have been looked through; `unknown`: nobody has begun. */
  readonly older: 'done' | 'under way' | 'unknown';
}

/** @param anchor names it, as in {@link OlderRoots}. */
export async function blobRootsStatus(
  engine: Engine,
  anchor: string,
  options: AbortOptions,
): Promise<BlobRootsStatus> {
  const table = engine.table(DUE_TABLE);
  let due = 0;
  const range = { prefix: 'L', limit: MAX_SHOWN, ...options, onDamaged: () => undefined };
  for await (const _ of table.entries(range)) due++;
  const { after, isDone } = readOlder(await table.get(OLDER_KEY, options), anchor);
  return { due, older: isDone ? 'done' : after === '' ? 'unknown' : 'under way' };
}

const MAX_SHOWN = 10_000;
